"""`ravi-local`: run the local Ravi from the command line."""

import os
import signal
import sys
from argparse import SUPPRESS
from pathlib import Path

from ravi_agent import contract, extras
from ravi_agent.container.arguments import Parser
from ravi_agent.container.failure import run
from ravi_agent.credential import check_token
from ravi_agent.errors import SettingsError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace

    from ravi_agent.local.faults import Fault
    from ravi_agent.local.server import LocalRavi

PROGRAM = "ravi-local"
DEFAULT_KEY = contract.LOCAL_MANAGEMENT_KEY
DEFAULT_PORT = contract.LOCAL_PORT
DEFAULT_SMTP_PORT = contract.LOCAL_SMTP_PORT
DEFAULT_DATABASE = "ravi-local.db"


def main() -> None:
    """Console script: serves until SIGTERM or Ctrl-C."""
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))  # until there is something to end
    run(PROGRAM, lambda: serve(sys.argv[1:]))


def serve(argv: list[str]) -> int:
    """Serve as the command line says. Raises UsageError or SettingsError before it listens."""
    given = _parser().parse_args(argv)
    if given.command in {"serve", "reset"} and given.file:
        raise UsageError(f"{given.command} {given.file}", "it takes no file", f"{PROGRAM} --help")
    if given.command == "reset":
        return _reset(given.database)
    if given.command != "serve":
        return _transfer(given.command, given.database, given.file or "-")
    for flag, port in (("--port", given.port), ("--smtp-port", given.smtp_port)):
        if not 0 <= port < 65536:
            raise UsageError(f"{flag} {port}", "not a port", f"{flag} 0 takes a free one")
    if given.page_size is not None and given.page_size < 1:
        raise UsageError(f"--page-size {given.page_size}", "not a length", "--page-size 100")
    key = check_token(given.management_key, "--management-key")
    refresh_token = (
        check_token(given.refresh_token, "--refresh-token") if (given.refresh_token) else None
    )
    faults = _read_faults(given.faults) if given.faults else []
    extras.require(PROGRAM, "local", extras.LOCAL)
    folder = os.path.dirname(os.path.abspath(given.database))
    if not os.access(folder, os.W_OK):
        raise SettingsError(
            f"--database {given.database}",
            f"{folder} cannot be written",
            f"make it writable, or give another --database ({DEFAULT_DATABASE} is the default)",
        )
    return _serve(given, key, refresh_token, faults)


def _parser() -> Parser:
    parser = Parser(
        prog=PROGRAM,
        description="A Ravi to develop against. Its identities are not real.",
        allow_abbrev=False,
    )
    parser.add_version()
    parser.add_argument(
        "command",
        nargs="?",
        choices=["serve", "reset", "export", "import"],
        default="serve",
        help="serve (the default); delete the database; write all of it to FILE, or read it",
    )
    parser.add_argument(
        "file",
        nargs="?",
        metavar="FILE",
        help="JSON Lines, for export and import; - is standard output or input, and the default",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="TCP port (%(default)s)")
    parser.add_argument(
        "--smtp-port", type=int, default=DEFAULT_SMTP_PORT, help="TCP port for mail (%(default)s)"
    )
    parser.add_argument(
        "--database", metavar="FILE", default=DEFAULT_DATABASE, help="SQLite file (%(default)s)"
    )
    parser.add_argument(
        "--seed",
        metavar="FILE",
        help="create the identities, mail and SMS of a JSON file that are not there yet",
    )
    parser.add_argument(
        "--management-key",
        metavar="KEY",
        default=DEFAULT_KEY,
        help="the account's key (%(default)s)",
    )
    # What it was called before: `--key` of ravi-init is something else.
    parser.add_argument("--key", dest="management_key", default=SUPPRESS, help=SUPPRESS)
    parser.add_argument(
        "--refresh-token",
        metavar="TOKEN",
        help="let an older account with this refresh token in (default: none)",
    )
    parser.add_argument(
        "--allow-host",
        metavar="NAME",
        action="append",
        default=[],
        help="answer requests for this host name, too; may be given several times",
    )
    parser.add_argument(
        "--page-size",
        type=int,
        metavar="N",
        help="send every list in pages of N entries (default: where ?page= asks for one)",
    )
    parser.add_argument(
        "--errors",
        choices=["auto", "detail", "error"],
        default="auto",
        help="the form of errors: older, newest, or that of the caller (%(default)s)",
    )
    parser.add_argument(
        "--approve-logins", action="store_true", help="approve every device login at once"
    )
    parser.add_argument(
        "--faults", metavar="FILE", help="JSON array of ways to misbehave, for tests"
    )
    return parser


def _serve(given: "Namespace", key: str, refresh_token: str | None, faults: "list[Fault]") -> int:
    from ravi_agent.local.endpoints import Options  # bad input needs no web server
    from ravi_agent.local.refusals import Errors
    from ravi_agent.local.server import LocalRavi

    local = LocalRavi(
        database=given.database,
        management_key=key,
        refresh_token=refresh_token,
        host=given.host,
        port=given.port,
        smtp_port=given.smtp_port,
        out=sys.stdout,
        options=Options(
            page_size=given.page_size,
            errors=Errors(given.errors),
            approve_logins=given.approve_logins,
        ),
        allowed_hosts=given.allow_host,
    )
    local.faults.extend(faults)
    if given.seed:
        _seed(local, given.seed)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: local.stop())
    sys.stderr.write(
        f"{PROGRAM}: listening on {local.url}, data in {given.database}\n"
        f"{PROGRAM}: mail comes in by SMTP on port {local.smtp_port}\n"
        f"{PROGRAM}: warning: these identities are not real: no mail leaves, no phone rings\n"
    )
    sys.stderr.flush()
    local.run()
    return 0


def _seed(local: "LocalRavi", path: str) -> None:
    from ravi_agent.local.seed import plant, read_seed

    try:
        plant(local.store, read_seed(path))
    except BaseException:
        local.close()
        raise


def _transfer(command: str, database: str, path: str) -> int:
    """Write the whole database to a file, or fill an empty one from it."""
    extras.require(PROGRAM, "local", extras.LOCAL)
    from ravi_agent.local import transfer

    try:
        if command == "import":
            with open(0 if path == "-" else path, "rb") as source:
                count = transfer.import_from(database, source, path)
        else:
            with open(1 if path == "-" else path, "w", encoding="utf-8", opener=_private) as out:
                count = transfer.export_to(database, out)
    except OSError as exc:
        raise UsageError(f"{command} {path}", str(exc.strerror), "give another FILE") from exc
    sys.stderr.write(
        f"{PROGRAM}: {command}ed {count} rows; {database}.key opens what is sealed in them\n"
    )
    return 0


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _reset(database: str) -> int:
    """Delete a database and its key, unless a server is using them."""
    files = [f"{database}{suffix}" for suffix in ("", "-wal", "-shm", ".key")]
    there = [file for file in files if os.path.lexists(file)]
    if f"{database}.key" in there:
        from ravi_agent.local.sealed import lock

        os.close(lock(database))
    for file in there:
        try:
            os.unlink(file)
        except OSError as exc:
            raise SettingsError(file, str(exc.strerror), f"make {file} deletable") from exc
    sys.stderr.write(f"{PROGRAM}: {f'deleted {database}' if there else 'nothing to delete'}\n")
    return 0


def _read_faults(path: str) -> "list[Fault]":
    from ravi_agent.local.faults import parse_faults

    try:
        return parse_faults(Path(path).read_text(encoding="utf-8"))
    except OSError as exc:
        raise UsageError(f"--faults {path}", str(exc.strerror), "give a readable file") from exc
    except (ValueError, TypeError) as exc:
        raise UsageError(f"--faults {path}", str(exc), "see ravi_agent/local/faults.py") from exc
