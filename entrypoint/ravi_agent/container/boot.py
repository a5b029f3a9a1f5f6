"""The first half of PID 1: settings, identity, environment, then supervise takes over.

`main` reads as the story of a start. It imports what it needs when it needs it, because the
agent waits for every import: a provisioned start loads neither http nor ssl.
"""

import os
import sys

from ravi_agent.container.descriptors import give_standard, open_standard
from ravi_agent.container.stop import StopWatch, block_signals

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
RAVI_PHONE_POLICY, RAVI_PROVISION_TIMEOUT, RAVI_GRACE, RAVI_AGENT_USER, …:
see docs/reference/variables.md.
"""


def main() -> None:
    """Console script: never returns; exits with the agent's code or one of ours."""
    block_signals()
    open_standard()
    from ravi_agent.container.environ import initial_environ
    from ravi_agent.container.failure import leave_with

    try:
        boot(sys.argv[1:], initial_environ())
    except Exception as exc:  # noqa: BLE001 - the one place where every failure becomes a code
        os._exit(leave_with(exc, PROGRAM, is_container_over=True))


def boot(argv: list[str], environ: "Mapping[str, str]") -> "NoReturn":
    """One start, from the command line to supervise. Raises any RaviError."""
    command, is_ensuring = _parse(argv, environ)

    from ravi_agent.container.surroundings import is_started_by_engine
    from ravi_agent.container.user import find_agent_user
    from ravi_agent.settings import ON_EXIT_KEEP, Settings, unknown_variables

    # The image sets the variable, so that `docker run --init` provisions too.
    is_on_a_host = os.getpid() != 1 and not environ.get("RAVI_WORKSPACE")
    is_load_only = is_on_a_host and not is_ensuring
    if is_on_a_host:
        from ravi_agent.container.nearby import variables_on_a_host

        environ = variables_on_a_host(environ, is_ensuring=is_ensuring)
    settings = Settings(environ)
    if is_ensuring and not settings.is_name_asked_for and not is_started_by_engine():
        from ravi_agent.container.nearby import name_by_workspace

        name_by_workspace(settings)
    # A workspace can be slow by its file system, or by what an agent has put there.
    with StopWatch(settings.signal_map) as watch:
        log = settings.log_for(PROGRAM)
        for name, meant in unknown_variables(environ):
            log.warning(f"{name} is not a setting", f"did you mean {meant}?")
        on_exit: dict[str, str] = {}
        if settings.on_exit != ON_EXIT_KEEP:
            from ravi_agent.container.on_exit import release_variables

            on_exit = release_variables(settings, environ)
        user = find_agent_user(settings.agent_user, is_asked_for=settings.is_agent_user_asked_for)

        from ravi_agent.container.provisioned import FOUND
        from ravi_agent.container.status import status_path, write_status

        # A host has no health check to answer, and a work tree that is to stay clean.
        status = None if is_load_only else status_path(settings.workspace)
        try:
            identity, origin = _identify(
                settings, environ, user, log, watch, status, is_load_only=is_load_only
            )
            if (is_ensuring or origin != FOUND) and not is_started_by_engine():
                from ravi_agent.container.record import record

                record(settings, environ, identity, origin, log)
            if settings.on_exit != ON_EXIT_KEEP:
                from ravi_agent.container.on_exit import known_identity

                on_exit |= known_identity(settings, identity, is_found=origin == FOUND)
        except Exception:
            write_status(status, phase="failed")
            raise
        if settings.skill_files:
            from ravi_agent.container.ensure import keep_skill_files

            keep_skill_files(settings, user, log, watch)
        environment = _prepare(settings, environ, identity, user)
        from ravi_agent.container.beside import warn_of_another_agent, warn_of_official_cli

        held = None
        if status:  # else this is a second start in a container, or on a host
            held = warn_of_another_agent(settings, identity, user, log, is_found=origin == FOUND)
        warn_of_official_cli(settings, environment, log, is_on_a_host=is_on_a_host)
        _say_ready(settings, identity, log)
        if not is_load_only:  # there, whoever runs the hooks runs the agent: docs/harnesses.md
            _guard_key(settings, environ, user, log)
    from ravi_agent.container.onward import supervise

    supervise(settings, user, status, on_exit, command, environment, held=held, parent=_PARENT)


def _say_ready(settings: "Settings", identity: "Identity", log: "Log") -> None:
    """Answer the launcher where one has handed the identity over; else tell whoever reads."""
    if settings.is_handover_expected:
        from ravi_agent.handover import ready_line
        from ravi_agent.log import write_stderr

        write_stderr(ready_line(identity))
    else:
        phone = identity.phone or "no phone"
        log.info(f"{identity.name} is {identity.email}, {phone}, {identity.uuid}")


def _identify(
    settings: "Settings",
    environ: "Mapping[str, str]",
    user: "AgentUser | None",
    log: "Log",
    watch: StopWatch,
    status: str | None,
    *,
    is_load_only: bool,
) -> "tuple[Identity, str]":
    """The workspace's identity, and where it came from, in the words of `ensure`."""
    from ravi_agent.container.provenance import check_provenance
    from ravi_agent.container.provisioned import FOUND, load_provisioned
    from ravi_agent.workspace.reader import mark_path

    identity = load_provisioned(settings, user)
    check_provenance(settings, user, is_provisioned=identity is not None)
    if identity and not is_load_only and os.path.lexists(mark_path(settings.workspace)):
        from ravi_agent.container.refused_key import replace_refused_key

        identity = replace_refused_key(settings, environ, identity, user, log, watch, status)
    if identity:
        if settings.credential_files:
            from ravi_agent.container.ensure import keep_credential_files

            keep_credential_files(settings, identity, user, log, watch)
        return identity, FOUND
    if is_load_only:
        from ravi_agent.container.nearby import not_provisioned

        raise not_provisioned(f"{settings.workspace}/.ravi is not complete")
    from ravi_agent.container.ensure import provision_workspace

    return provision_workspace(settings, environ, user, log, watch, status)


def _prepare(
    settings: "Settings",
    environ: "Mapping[str, str]",
    identity: "Identity",
    user: "AgentUser | None",
) -> dict[str, str]:
    """The agent's environment, once its home, its descriptors and root's shells are ready."""
    from ravi_agent.container.environment import agent_environment
    from ravi_agent.container.surroundings import is_started_by_engine

    environment = agent_environment(environ, settings, identity, user)
    is_container = is_started_by_engine()
    if is_container:
        _link_home(environment, user, settings.workspace)
    if user:
        give_standard(user.uid, is_container=is_container)
        if is_container:
            from ravi_agent.container.root_env import write_root_env
            from ravi_agent.contract import AGENT_VARIABLES

            write_root_env({name: environment[name] for name in AGENT_VARIABLES})
    if settings.is_handover_expected:
        _close_stdin()
    return environment


def _parse(argv: list[str], environ: "Mapping[str, str]") -> tuple[list[str], bool]:
    """The command, and whether the current directory is to be provisioned for it."""
    # lalph passes the first word of its command prefix twice.
    if argv and os.path.basename(argv[0]) == PROGRAM:
        argv = argv[1:]
    if argv and argv[0] in {"-h", "--help"}:
        _answer(USAGE)
    if argv and argv[0] == "--version":
        from ravi_agent import __version__

        _answer(f"{PROGRAM} {__version__}\n")
    if argv == ["--check"]:
        from ravi_agent.container.check import check

        with StopWatch():
            code = check(environ)
        os._exit(code)
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


def _answer(text: str) -> "NoReturn":
    from ravi_agent.container.answer import write_answer

    write_answer(text)
    os._exit(0)


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


def _close_stdin() -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)


def _guard_key(
    settings: "Settings", environ: "Mapping[str, str]", user: "AgentUser | None", log: "Log"
) -> None:
    from ravi_agent.container.key_file import remove_key_file, warn_of_readable_key

    if settings.removes_key_file:
        remove_key_file(environ, log)
    warn_of_readable_key(environ, user, log)
