"""`ravi-init`: provision a workspace and leave; for init containers and harness hooks."""

import os
import sys

from ravi_agent.container.stop import StopWatch, block_signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ravi_agent.identity import Identity
    from ravi_agent.log import Log
    from ravi_agent.settings import Settings

PROGRAM = "ravi-init"
# The settings it reads, each with a flag. A key has none: command lines are public.
VARIABLES = (
    "RAVI_API_URL",
    "RAVI_ALLOW_HTTP",
    "RAVI_MANAGEMENT_KEY_FILE",
    "RAVI_ACCESS_TOKEN_FILE",
    "RAVI_NAME_PREFIX",
    "RAVI_PHONE_POLICY",
    "RAVI_PROVISION_TIMEOUT",
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

    from ravi_agent.container.arguments import Parser, parse_settings
    from ravi_agent.container.ensure import (
        FOUND,
        keep_credential_files,
        keep_skill_files,
        load_provisioned,
        provision_workspace,
    )
    from ravi_agent.container.environ import initial_environ
    from ravi_agent.container.failure import leave_termination_message
    from ravi_agent.container.user import find_agent_user
    from ravi_agent.settings import Settings

    parser = Parser(
        prog=PROGRAM,
        description="Make sure that a workspace has its Ravi identity, then exit.",
    )
    environ, _ = parse_settings(parser, VARIABLES, argv, initial_environ())
    settings = Settings(environ)
    log = settings.log_for(PROGRAM)
    # On a host root provisions for root; only an image has a user of ours to provision for.
    user = find_agent_user(settings.agent_user, is_asked_for=settings.is_agent_user_asked_for)
    user = user if settings.is_agent_user_asked_for or os.getpid() == 1 else None
    identity = load_provisioned(settings, user)
    origin = FOUND
    if identity:
        keep_credential_files(settings, identity, user, log, watch)
    else:
        identity, origin = provision_workspace(settings, environ, user, log, watch, None)
        log.info(f"{settings.workspace} is provisioned: {identity.name} is {identity.email}")
    keep_skill_files(settings, user, log, watch)
    if os.getpid() != 1:  # what a container calls its workspace says nothing on the host
        _note(settings, environ, identity, origin, log)
    # Who watches the pods learns of the identities with them, and need not read a log each.
    leave_termination_message(json.dumps(identity.public()))
    return 0


def _note(
    settings: "Settings",
    environ: "Mapping[str, str]",
    identity: "Identity",
    origin: str,
    log: "Log",
) -> None:
    """Record on this host whose workspace this is, for when it is gone."""
    from ravi_agent.container.ensure import ADOPTED, CREATED, FOUND
    from ravi_agent.workspace import ledger

    if origin == FOUND and identity.name != settings.identity_name:
        return  # whoever can write the workspace says so, and nobody else
    actions = {CREATED: [ledger.CREATE, ledger.KEY], ADOPTED: [ledger.ADOPT, ledger.KEY]}
    try:
        for action in actions.get(origin, [ledger.USE]):
            if action == ledger.KEY and not identity.key:
                continue
            ledger.note(environ, action, identity, settings.api_url, workspace=settings.workspace)
    except OSError as exc:
        log.warning(
            f"the ledger cannot be written: {exc}",
            "set XDG_STATE_HOME to a directory that can be written; until then delete the "
            "identity by its name",
        )
