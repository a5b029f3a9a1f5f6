"""The first half of PID 1: settings, identity, environment, then supervise takes over.

`main` reads as the story of a start. It imports what it needs when it needs it, because the
agent waits for every import: a provisioned start loads neither httpx nor ssl.
"""

import os
import sys

from ravi_agent.container.descriptors import give_standard, open_standard
from ravi_agent.container.stop import StopWatch, block_signals, exit_now

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

    from ravi_agent.container.user import AgentUser
    from ravi_agent.identity import Identity
    from ravi_agent.log import Log
    from ravi_agent.settings import Settings

PROGRAM = "ravi-entrypoint"
_PARENT = os.getppid()  # before anything else: it may end while the workspace is provisioned
USAGE = f"""\
usage: {PROGRAM} [--ensure] [--] CMD [ARG...]

Make sure the workspace has its Ravi identity, then run CMD as a child and supervise it.
Outside a container, where RAVI_WORKSPACE is not set, the workspace is the nearest directory upward
that has .ravi/, and CMD does not start unless ravi-init has provisioned it.

  --ensure       provision the current directory if that has not been done
  --check        report problems in this container, their effects and how to fix them
  --version      show the version and exit
  -h, --help     show this help and exit

Settings are variables: RAVI_API_URL, RAVI_MANAGEMENT_KEY_FILE, RAVI_WORKSPACE, RAVI_IDENTITY_NAME,
RAVI_PHONE_POLICY, RAVI_PROVISION_TIMEOUT, RAVI_GRACE, RAVI_AGENT_USER, …: see the README.
"""


def main() -> None:
    """Console script: never returns; leaves with the agent's code or one of ours."""
    block_signals()
    open_standard()
    from ravi_agent.container.environ import initial_environ
    from ravi_agent.container.failure import leave_with

    try:
        boot(sys.argv[1:], initial_environ())
    except Exception as exc:  # noqa: BLE001 - the one place where every failure becomes a code
        exit_now(leave_with(exc, PROGRAM, is_container_over=True))


def boot(argv: list[str], environ: "Mapping[str, str]") -> "NoReturn":
    """One start, from the command line to the execve of supervise. Raises any RaviError."""
    command, is_ensuring = _parse(argv, environ)

    from ravi_agent.container.ensure import (
        keep_credential_files,
        load_provisioned,
        provision_workspace,
    )
    from ravi_agent.container.user import find_agent_user
    from ravi_agent.settings import Settings, unknown_variables

    # In our image somebody has named it: the image, so that `docker run --init` provisions too.
    is_on_a_host = os.getpid() != 1 and not environ.get("RAVI_WORKSPACE")
    is_load_only = is_on_a_host and not is_ensuring
    if is_on_a_host:
        from ravi_agent.container.nearby import variables_on_a_host

        environ = variables_on_a_host(environ, is_ensuring=is_ensuring)
    settings = Settings(environ)
    log = settings.log_for(PROGRAM)
    for name, meant in unknown_variables(environ):
        log.warning(f"{name} is no setting of ours", f"did you mean {meant}?")
    on_exit = _on_exit(settings, environ)
    user = find_agent_user(settings.agent_user, is_asked_for=settings.is_agent_user_asked_for)

    from ravi_agent.container.status import status_path, write_status
    from ravi_agent.container.surroundings import is_started_by_engine

    # A host has no health check to answer, and a work tree that is to stay clean.
    status = None if is_load_only else status_path(settings.workspace)
    try:
        identity = load_provisioned(settings, user)
        if identity is None:
            if is_load_only:
                from ravi_agent.container.nearby import not_provisioned

                raise not_provisioned(f"{settings.workspace}/.ravi is not complete")
            with StopWatch(settings.signal_map) as watch:
                identity = provision_workspace(settings, environ, user, log, watch, status)
        else:
            keep_credential_files(settings, identity, user, log)
    except Exception:
        write_status(status, phase="failed")
        raise

    environment = agent_environment(environ, settings, identity, user)
    is_container = is_started_by_engine()
    if is_container:
        _link_home(environment, user, settings.workspace)
    if user:
        give_standard(user.uid, is_container=is_container)
    if settings.is_handover_expected:
        _close_stdin()
        from ravi_agent.handover import ready_line
        from ravi_agent.log import write_stderr

        write_stderr(ready_line(identity))
    else:
        phone = identity.phone or "no phone"
        log.info(f"{identity.name} is {identity.email}, {phone}, {identity.uuid}")
    if not is_load_only:  # there, whoever runs the hooks runs the agent: docs/harnesses.md
        _warn_of_readable_key(environ, user, log)
    _exec_supervise(settings, user, status, on_exit, expand(command, environment), environment)


def agent_environment(
    environ: "Mapping[str, str]",
    settings: "Settings",
    identity: "Identity",
    user: "AgentUser | None",
) -> dict[str, str]:
    """What the agent gets: its own variables without our knobs and keys, and its identity."""
    from ravi_agent.settings import VARIABLES
    from ravi_agent.workspace.contents import agent_variables

    environment = {name: value for name, value in environ.items() if name not in VARIABLES}
    environment |= agent_variables(settings.workspace, identity, settings.api_url)
    if user and user.home and environment.get("HOME", "/root") in {"/root", "/"}:
        environment["HOME"] = user.home  # Docker set root's
    return environment


def expand(command: list[str], environment: "Mapping[str, str]") -> list[str]:
    """Replace `$(RAVI_EMAIL)` and its like as Kubernetes does; `$$(` stands for `$(`.

    Only our own variables, and only dollars before a parenthesis, so that what is meant for a
    shell (`$(date)`, `$$`) stays what it is.
    """
    return [_expand_argument(argument, environment) for argument in command]


def _expand_argument(argument: str, environment: "Mapping[str, str]") -> str:
    from ravi_agent.contract import AGENT_VARIABLES

    done = ""
    rest = argument
    while "$(" in rest:
        before, _, after = rest.partition("$(")
        text = before.rstrip("$")
        dollars = len(before) - len(text) + 1
        done += text + "$" * (dollars // 2)  # pairs stand for one, from the left
        name, closing, behind = after.partition(")")
        if dollars % 2 and closing and name in AGENT_VARIABLES:
            done += environment[name]
            rest = behind
        else:
            done += "$(" if dollars % 2 else "("
            rest = after
    return done + rest


def _parse(argv: list[str], environ: "Mapping[str, str]") -> tuple[list[str], bool]:
    """The command, and whether the current directory is to be provisioned for it."""
    # lalph passes the first word of its command prefix twice.
    if argv and os.path.basename(argv[0]) == PROGRAM:
        argv = argv[1:]
    if argv and argv[0] in {"-h", "--help"}:
        print(USAGE, end="")  # noqa: T201 - the answer to the question
        exit_now(0)
    if argv and argv[0] == "--version":
        from ravi_agent import __version__

        print(f"{PROGRAM} {__version__}")  # noqa: T201 - the answer to the question
        exit_now(0)
    if argv == ["--check"]:
        from ravi_agent.container.check import check

        with StopWatch():
            code = check(environ)
        exit_now(code)
    is_ensuring = bool(argv) and argv[0] == "--ensure"
    argv = argv[1:] if is_ensuring else argv
    is_separated = bool(argv) and argv[0] == "--"
    command = argv[1:] if is_separated else argv
    if command and not (command[0].startswith("-") and not is_separated):
        return command, is_ensuring
    from ravi_agent.errors import UsageError

    if command:
        raise UsageError(f"option {command[0]!r}", "unknown", f"{PROGRAM} -- CMD, or {PROGRAM} -h")
    raise UsageError("no command", "nothing says what to run", f"{PROGRAM} -- CMD [ARG…]")


def _link_home(environment: "Mapping[str, str]", user: "AgentUser | None", path: str) -> None:
    """Let the Ravi CLI, which looks at `~/.ravi`, find the identity from any directory."""
    from ravi_agent import contract
    from ravi_agent.container.user import ActingAs

    home = environment.get("HOME") or ""
    if not home.startswith("/") or os.path.normpath(home) == path:
        return
    with ActingAs(user):
        try:
            os.symlink(os.path.join(path, contract.RAVI_DIR), os.path.join(home, contract.RAVI_DIR))
        except OSError:
            return  # something is there already, or home is read-only: the variable does as well


def _warn_of_readable_key(
    environ: "Mapping[str, str]", user: "AgentUser | None", log: "Log"
) -> None:
    """A key that the agent can read is no secret of ours any more."""
    from ravi_agent.container.user import can_read
    from ravi_agent.credential import key_path

    path = key_path(environ)
    if not can_read(user, path):
        return
    fix = f"chmod 600 and chown root the file mounted at {path}"
    if user is None:
        fix = "provision with ravi-init or ravi-launch, or start as root: it steps down"
    log.warning(f"the agent can read the management key in {path}", fix)


def _close_stdin() -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)


def _exec_supervise(
    settings: "Settings",
    user: "AgentUser | None",
    status: str | None,
    on_exit: dict[str, str],
    command: list[str],
    environment: dict[str, str],
) -> "NoReturn":
    """Become supervise: this program's memory and environment, keys and all, are gone with it."""
    from ravi_agent.container.options import Options
    from ravi_agent.container.phases import exec_phase

    options = Options(
        command,
        grace_s=settings.grace_s,
        log_level=settings.log_level,
        log_format=settings.log_format,
        signal_scope=settings.signal_scope,
        signal_map=settings.signal_map,
        exit_remap=settings.exit_remap,
        status_path=status,
        user=user.to_ids() if user else None,
        on_exit=on_exit,
        parent=_PARENT if settings.dies_with_parent else None,
        start_hook=settings.start_hook,
        stop_hook=settings.stop_hook,
    )
    exec_phase("supervise", options.to_words(), environment)


def _on_exit(settings: "Settings", environ: "Mapping[str, str]") -> dict[str, str]:
    """What release is told; {} where nothing is to be released.

    Raises SettingsError where it could not do what it is asked to.
    """
    from ravi_agent.container.phases import ON_EXIT_VARIABLES
    from ravi_agent.credential import key_path
    from ravi_agent.errors import SettingsError
    from ravi_agent.settings import ON_EXIT_DELETE, ON_EXIT_KEEP

    if settings.on_exit == ON_EXIT_KEEP:
        return {}
    key_file = key_path(environ)
    if settings.on_exit == ON_EXIT_DELETE and not os.path.exists(key_file):
        raise SettingsError(
            "RAVI_ON_EXIT=delete",
            "at the exit only a file still has the management key",
            f"mount it at {key_file}, or take RAVI_ON_EXIT=forget",
        )
    return {name: environ[name] for name in ON_EXIT_VARIABLES if environ.get(name)}
