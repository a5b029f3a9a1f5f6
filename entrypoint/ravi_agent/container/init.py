"""`ravi-init`: provision a workspace and leave; for init containers and harness hooks."""

import os
import sys

from ravi_agent.container.stop import StopWatch, block_signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

PROGRAM = "ravi-init"
_REUSE = "--reuse"
SWITCHES = {_REUSE: "take over the identity of a work tree of this repository that is gone"}
# The settings it reads, each with a flag. A key has none: command lines are public.
VARIABLES = (
    "RAVI_API_URL",
    "RAVI_ALLOW_HTTP",
    "RAVI_MANAGEMENT_KEY_FILE",
    "RAVI_ACCESS_TOKEN_FILE",
    "RAVI_NAME_PREFIX",
    "RAVI_PHONE_POLICY",
    "RAVI_MAX_IDENTITIES",
    "RAVI_PROVISION_TIMEOUT",
    "RAVI_REMOVE_KEY_FILE",
    "RAVI_EXPORT_API_KEY",
    "RAVI_CREDENTIAL_FILES",
    "RAVI_SKILL",
    "RAVI_AGENT_USER",
    "RAVI_LOG_FORMAT",
    "RAVI_LOG_LEVEL",
)


def main() -> None:
    """Console script: 0 once the workspace is provisioned; prints nothing on standard output."""
    block_signals()
    from ravi_agent.container.failure import run

    with StopWatch() as watch:
        run(PROGRAM, lambda: init(sys.argv[1:], watch), is_container_over=True)


def init(argv: list[str], watch: StopWatch) -> int:
    """Provision as the command line and the environment say. Raises any RaviError."""
    import json

    from ravi_agent.container.arguments import Parser, parse_settings, settings_of
    from ravi_agent.container.ensure import (
        keep_credential_files,
        keep_skill_files,
        provision_workspace,
    )
    from ravi_agent.container.environ import initial_environ
    from ravi_agent.container.failure import leave_termination_message
    from ravi_agent.container.provisioned import FOUND, load_provisioned
    from ravi_agent.container.user import find_agent_user
    from ravi_agent.workspace.reader import mark_path

    parser = Parser(
        prog=PROGRAM,
        description="Make sure that a workspace has its Ravi identity, then exit.",
    )
    flags = {word.partition("=")[0] for word in argv}
    if flags & {"-h", "--help", "--harness", "--undo", "--print"}:
        from ravi_agent.container import harness  # a hook does not wait for it

        harness.add_options(parser)
        if not flags & {"-h", "--help"}:
            return harness.configure(parser, argv, initial_environ())
    environ, given = parse_settings(parser, VARIABLES, argv, initial_environ(), SWITCHES)
    settings = settings_of(environ, given)
    _check_default_workspace(settings.workspace, environ)
    log = settings.log_for(PROGRAM)
    # On a host root provisions for root; only an image has a user of ours to provision for.
    user = find_agent_user(settings.agent_user, is_asked_for=settings.is_agent_user_asked_for)
    user = user if settings.is_agent_user_asked_for or os.getpid() == 1 else None
    identity = load_provisioned(settings, user)
    origin = FOUND
    if identity and os.path.lexists(mark_path(settings.workspace)):
        from ravi_agent.container.refused_key import replace_refused_key

        identity = replace_refused_key(settings, environ, identity, user, log, watch, None)
    if identity:
        keep_credential_files(settings, identity, user, log, watch)
    else:
        if _REUSE in given:
            from ravi_agent.container.takeover import take_over

            take_over(settings, environ, log)
        identity, origin = provision_workspace(settings, environ, user, log, watch, None)
        log.info(f"{settings.workspace} is provisioned: {identity.name} is {identity.email}")
    keep_skill_files(settings, user, log, watch)
    if os.getpid() != 1:  # what a container calls its workspace says nothing on the host
        from ravi_agent.container.record import record

        record(settings, environ, identity, origin, log)
    if settings.removes_key_file:
        from ravi_agent.container.key_file import remove_key_file

        remove_key_file(environ, log)
    # Who watches the pods learns of the identities with them, and need not read a log each.
    leave_termination_message(json.dumps(identity.public()))
    return 0


def _check_default_workspace(workspace: str, environ: "Mapping[str, str]") -> None:
    """Raises UsageError where root would make the image's workspace on a host."""
    from ravi_agent.container.surroundings import is_started_by_engine

    if environ.get("RAVI_WORKSPACE") or os.path.isdir(workspace) or is_started_by_engine():
        return
    from ravi_agent.errors import UsageError

    raise UsageError(
        f"workspace {workspace}",
        "there is no such directory, and none was named",
        f'{PROGRAM} --workspace "$PWD"',
    )
