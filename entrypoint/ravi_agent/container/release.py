"""`ravi-release`: give a workspace's identity back; also the last phase of PID 1."""

import os
import sys
import time

from ravi_agent import contract
from ravi_agent.container.ensure import load_provisioned
from ravi_agent.container.options import from_release_words
from ravi_agent.container.user import ActingAs, AgentUser, find_agent_user
from ravi_agent.credential import (
    Credential,
    container_credential,
    no_container_credential,
)
from ravi_agent.errors import RaviError, RefusedError
from ravi_agent.identity import Identity
from ravi_agent.log import Log
from ravi_agent.settings import ON_EXIT_DELETE, Settings
from ravi_agent.workspace.credential_files import CredentialFiles
from ravi_agent.workspace.removal import remove

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

    from ravi_agent.service.api import RaviApi

PROGRAM = "ravi-release"
# The settings it reads, each with a flag. A key has none: command lines are public.
VARIABLES = (
    "RAVI_API_URL",
    "RAVI_ALLOW_HTTP",
    "RAVI_MANAGEMENT_KEY_FILE",
    "RAVI_ACCESS_TOKEN_FILE",
    "RAVI_NAME_PREFIX",
    "RAVI_CREDENTIAL_FILES",
    "RAVI_LOG_FORMAT",
    "RAVI_LOG_LEVEL",
)
_DELETE_TIMEOUT_S = 30.0
# Behind the agent's grace, and inside the 10 s after which Docker kills: 8 s and this.
_DELETE_ON_EXIT_TIMEOUT_S = 1.5


def main() -> None:
    """Console script: 0 once nothing is left of it, also where nothing was."""
    from ravi_agent.container.environ import initial_environ
    from ravi_agent.container.failure import run

    run(PROGRAM, lambda: release_command(sys.argv[1:], initial_environ()))


def release_command(argv: list[str], environ: "Mapping[str, str]") -> int:
    """As the command line says. Raises any RaviError; what stays is named."""
    from ravi_agent.container.arguments import Parser, parse_settings

    parser = Parser(
        prog=PROGRAM,
        description="Remove .ravi/ from a workspace; with --delete, its identity too.",
    )
    environ, given = parse_settings(
        parser,
        VARIABLES,
        argv,
        environ,
        {"--delete": "delete the identity first; if the service refuses, both stay"},
    )
    is_deleting = bool(given)
    settings = Settings(environ)
    log = settings.log_for(PROGRAM)
    credential = container_credential(environ) if is_deleting else None
    if is_deleting and credential is None:
        raise no_container_credential()
    release(settings, None, credential, log, timeout_s=_DELETE_TIMEOUT_S)
    return 0


def main_on_exit(argv: list[str]) -> "NoReturn":
    """The last phase of PID 1: `CODE key=value…`; leaves with the agent's CODE whatever happens."""
    code, environ = from_release_words(argv)
    settings = Settings(environ)
    log = settings.log_for("ravi-entrypoint")
    try:
        credential = container_credential(environ) if settings.on_exit == ON_EXIT_DELETE else None
        user = find_agent_user(settings.agent_user, is_asked_for=False)
        release(settings, user, credential, log, timeout_s=_DELETE_ON_EXIT_TIMEOUT_S)
    except RaviError as exc:
        log.warning(f"not released: {exc}", exc.fix)
    os._exit(code)


def release(
    settings: Settings,
    user: AgentUser | None,
    credential: Credential | None,
    log: Log,
    *,
    timeout_s: float,
) -> None:
    """Delete the identity if there is a credential to do it with, then remove `.ravi/`.

    Where the identity cannot be deleted `.ravi/` stays too, so that it can be tried again.
    """
    identity = load_provisioned(settings, user)
    if credential:
        _delete(settings, identity, credential, timeout_s)
    with ActingAs(user):
        if os.path.isdir(settings.workspace):
            CredentialFiles(settings.workspace, settings.credential_files).remove()
        is_removed = remove(settings.workspace)
    if is_removed:
        log.info(f"removed {os.path.join(settings.workspace, contract.RAVI_DIR)}")


def _delete(
    settings: Settings,
    identity: Identity | None,
    credential: Credential,
    timeout_s: float,
) -> None:
    """Delete the workspace's identity, or where it has none the one of the name asked for."""
    from ravi_agent.service.api import RaviApi

    ends = time.monotonic() + timeout_s
    with RaviApi(settings.api_url, credential) as api:
        found = [identity] if identity else []
        if settings.asked_name and not identity:
            found = api.find_identities(settings.asked_name, timeout_s=timeout_s)
        for one in found:
            try:
                api.delete_identity(one.uuid, timeout_s=max(0.1, ends - time.monotonic()))
            except RaviError as exc:
                if _is_gone(api, exc, one, ends):
                    continue
                raise exc.restated(f"identity {one.name} ({one.uuid}) stays: {exc.what}") from None


def _is_gone(api: "RaviApi", exc: RaviError, identity: Identity, ends: float) -> bool:
    """Whether a 404 means that it was deleted before; else the service cannot delete at all."""
    if not isinstance(exc, RefusedError) or exc.status != 404:
        return False
    left_s = max(0.1, ends - time.monotonic())
    listed = api.find_identities(identity.name, timeout_s=left_s)
    return identity.uuid not in {one.uuid for one in listed}
