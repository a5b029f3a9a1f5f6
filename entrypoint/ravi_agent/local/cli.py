"""`ravi-local`: run the local Ravi from the command line."""

import os
import sys
from pathlib import Path

from ravi_agent import contract
from ravi_agent.container.arguments import Parser
from ravi_agent.container.failure import run
from ravi_agent.credential import check_token
from ravi_agent.errors import SettingsError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ravi_agent.local.faults import Fault

PROGRAM = "ravi-local"
DEFAULT_KEY = contract.LOCAL_MANAGEMENT_KEY
DEFAULT_PORT = contract.LOCAL_PORT
DEFAULT_SMTP_PORT = 1025


def main() -> None:
    """Console script: serves until SIGTERM or Ctrl-C."""
    run(PROGRAM, lambda: serve(sys.argv[1:]))


def serve(argv: list[str]) -> int:
    """Serve as the command line says. Raises UsageError or SettingsError before it listens."""
    parser = Parser(
        prog=PROGRAM,
        description="A Ravi to develop against. Its identities are not real.",
        allow_abbrev=False,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="TCP port (%(default)s)")
    parser.add_argument(
        "--smtp-port", type=int, default=DEFAULT_SMTP_PORT, help="TCP port for mail (%(default)s)"
    )
    parser.add_argument(
        "--database", metavar="FILE", default="ravi-local.db", help="SQLite file (%(default)s)"
    )
    parser.add_argument("--key", default=DEFAULT_KEY, help="the management key (%(default)s)")
    parser.add_argument(
        "--faults", metavar="FILE", help="JSON array of ways to misbehave, for tests"
    )
    given = parser.parse_args(argv)
    for flag, port in (("--port", given.port), ("--smtp-port", given.smtp_port)):
        if not 0 <= port < 65536:
            raise UsageError(f"{flag} {port}", "not a port", "give 0 to 65535")
    key = check_token(given.key, "--key")
    faults = _read_faults(given.faults) if given.faults else []

    from ravi_agent.local.server import LocalRavi  # bad input needs no web server

    folder = os.path.dirname(os.path.abspath(given.database))
    if not os.access(folder, os.W_OK):
        raise SettingsError(
            f"--database {given.database}", f"{folder} cannot be written", "chown it"
        )
    local = LocalRavi(
        database=given.database,
        management_key=key,
        host=given.host,
        port=given.port,
        smtp_port=given.smtp_port,
        out=sys.stdout,
    )
    local.faults.extend(faults)
    sys.stderr.write(
        f"{PROGRAM}: listening on {local.url}, data in {given.database}\n"
        f"{PROGRAM}: mail comes in by SMTP on port {local.smtp_port}\n"
        f"{PROGRAM}: warning: these identities are not real: no mail leaves, no phone rings\n"
    )
    sys.stderr.flush()
    local.run()
    return 0


def _read_faults(path: str) -> "list[Fault]":
    from ravi_agent.local.faults import parse_faults

    try:
        return parse_faults(Path(path).read_text(encoding="utf-8"))
    except OSError as exc:
        raise UsageError(f"--faults {path}", str(exc.strerror), "give a readable file") from None
    except (ValueError, TypeError) as exc:
        raise UsageError(f"--faults {path}", str(exc), "see ravi_agent/local/faults.py") from None
