"""`ravi-release`: give a workspace's identity back; also the last phase of PID 1.

The agent can write the workspace, so what that says decides nothing here: what is deleted was
named by the caller, by PID 1 as it was before the agent ran, or by this host's ledger, and the
service's own record agrees in name and UUID.
"""

import os
import sys
import time

from ravi_agent import contract
from ravi_agent.container.on_exit import KNOWN_NAME, KNOWN_UUID
from ravi_agent.container.options import from_release_words
from ravi_agent.container.provisioned import load_provisioned
from ravi_agent.container.status import remove_status
from ravi_agent.container.user import ActingAs, AgentUser, find_agent_user
from ravi_agent.credential import (
    Credential,
    container_credential,
    no_container_credential,
)
from ravi_agent.errors import RaviError, RefusedError
from ravi_agent.log import Log
from ravi_agent.settings import ON_EXIT_DELETE, Settings
from ravi_agent.workspace.credential_files import CredentialFiles
from ravi_agent.workspace.removal import remove

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

    from ravi_agent.identity import Identity
    from ravi_agent.workspace.ledger import Entry

PROGRAM = "ravi-release"
# The settings it reads, each with a flag. A key has none: command lines are public.
VARIABLES = (
    "RAVI_API_URL",
    "RAVI_ALLOW_HTTP",
    "RAVI_MANAGEMENT_KEY_FILE",
    "RAVI_ACCESS_TOKEN_FILE",
    "RAVI_NAME_PREFIX",
    "RAVI_CREDENTIAL_FILES",
    "RAVI_SKILL",
    "RAVI_LOG_FORMAT",
    "RAVI_LOG_LEVEL",
)
SWITCHES = {"--delete": "delete the identity first; if the service refuses, both stay"}
_TIMEOUT_S = 30.0
# Behind the agent's grace, and inside the 10 s after which Docker kills: 8 s and this.
_ON_EXIT_TIMEOUT_S = 1.5

# An identity by name and, where it is known, UUID.
Known = tuple[str, str | None]


def main() -> None:
    """Console script: 0 once nothing is left of it, also where nothing was."""
    from ravi_agent.container.environ import initial_environ
    from ravi_agent.container.failure import run

    run(PROGRAM, lambda: release_command(sys.argv[1:], initial_environ()))


def release_command(argv: list[str], environ: "Mapping[str, str]") -> int:
    """As the command line says. Raises any RaviError; what stays is named."""
    from ravi_agent.container.arguments import Parser, parse_settings, settings_of

    parser = Parser(
        prog=PROGRAM,
        description="Revoke the identity's key and remove .ravi/ from a workspace; with --delete, "
        "delete the identity too.",
    )
    environ, given = parse_settings(
        parser,
        VARIABLES,
        argv,
        environ,
        SWITCHES,
    )
    is_deleting = "--delete" in given
    settings = settings_of(environ, given)
    log = settings.log_for(PROGRAM)
    credential = container_credential(environ)
    if is_deleting and credential is None:
        raise no_container_credential()
    found = load_provisioned(settings, None, is_owner_checked=False)
    known = _known(settings, environ, found)
    if is_deleting and found and known is None:
        raise _unknown(found)
    if credential and known and (is_deleting or found):
        ends = time.monotonic() + _TIMEOUT_S
        _end_identity(settings, environ, credential, known, ends, log, is_deleting=is_deleting)
    _remove_files(settings, None, log)
    return 0


def main_on_exit(argv: list[str]) -> "NoReturn":
    """The last phase of PID 1: `CODE name=value…`; exits with CODE, the agent's, in any case."""
    code, words = from_release_words(argv)
    settings = Settings(words)
    log = settings.log_for("ravi-entrypoint")
    ends = time.monotonic() + _ON_EXIT_TIMEOUT_S
    is_deleting = settings.on_exit == ON_EXIT_DELETE
    try:
        credential = container_credential(words)
        if is_deleting and credential is None:
            raise no_container_credential()
        name = words.get(KNOWN_NAME)
        if credential and name:
            known = name, words.get(KNOWN_UUID)
            _end_identity(settings, None, credential, known, ends, log, is_deleting=is_deleting)
        user = find_agent_user(settings.agent_user, is_asked_for=False)
        _remove_files(settings, user, log)
    except RaviError as exc:
        log.warning(f"not released: {exc}", exc.fix)
    os._exit(code)


def _known(
    settings: Settings, environ: "Mapping[str, str]", found: "Identity | None"
) -> Known | None:
    """The identity that is to end; None where nothing but the workspace names it.

    found: what the workspace says, which narrows a name down to one UUID and no more.
    """
    if settings.asked_name is not None:
        return settings.asked_name, found.uuid if found else None
    if found is None:
        name = settings.identity_name if settings.is_name_of_workspace else None
        return _last_recorded(settings, environ) or ((name, None) if name else None)
    if found.name == settings.identity_name:
        return found.name, found.uuid
    return (found.name, found.uuid) if _is_recorded(settings, environ, found) else None


def _last_recorded(settings: Settings, environ: "Mapping[str, str]") -> Known | None:
    """The identity that this host's ledger has for a workspace which may be gone itself."""
    entries = _recorded(settings, environ)
    return (entries[-1].name, entries[-1].uuid) if entries else None


def _recorded(settings: Settings, environ: "Mapping[str, str]") -> "list[Entry]":
    from ravi_agent.workspace import ledger

    path = os.path.realpath(settings.workspace)
    try:
        return [
            entry
            for entry in ledger.owned(environ)
            if entry.path == path and entry.is_of_here(settings.api_url)
        ]
    except OSError:
        return []  # there is no ledger to read


def _is_recorded(settings: Settings, environ: "Mapping[str, str]", found: "Identity") -> bool:
    """Whether PID 1, or this host's ledger, says that this workspace has this identity."""
    from ravi_agent.container.root_env import read_root_env

    record = read_root_env()
    folder = os.path.join(settings.workspace, contract.RAVI_DIR)
    if (folder, found.uuid, found.name) == (
        record.get("RAVI_CONFIG_DIR"),
        record.get("RAVI_IDENTITY_UUID"),
        record.get("RAVI_IDENTITY_NAME"),
    ):
        return True
    return any(
        (entry.uuid, entry.name) == (found.uuid, found.name)
        for entry in _recorded(settings, environ)
    )


def _unknown(found: "Identity") -> RefusedError:
    return RefusedError(
        f"identity {found.name} ({found.uuid}) stays",
        "only the workspace names it, which an agent can write",
        f"ravi-release --delete --name {found.name!r}",
        status=403,
    )


def _end_identity(
    settings: Settings,
    environ: "Mapping[str, str] | None",
    credential: Credential,
    known: Known,
    ends: float,
    log: Log,
    *,
    is_deleting: bool,
) -> None:
    """Delete the identity, or revoke its keys; the latter may fail, and is a warning then.

    environ: that of a host, whose ledger learns of it; None in a container.
    """
    from ravi_agent.service.api import RaviApi
    from ravi_agent.service.revocation import delete_identity, find_identity, revoke_keys

    name, uuid = known

    def left_s() -> float:
        return max(0.1, ends - time.monotonic())

    with RaviApi(settings.api_url, credential) as api:
        try:
            identity = find_identity(api, name, uuid, timeout_s=left_s())
            if identity is None:
                return
            if is_deleting:
                delete_identity(api, identity, timeout_s=left_s())
                _note(environ, "delete", identity, settings, log)
            elif revoke_keys(api, identity, timeout_s=left_s()):
                _note(environ, "revoke", identity, settings, log)
        except RaviError as exc:
            if is_deleting:
                which = f"identity {name} ({uuid})" if uuid else f"identity {name}"
                if " stays" not in exc.what:
                    exc.restated(f"{which} stays: {exc.what}")
                raise
            log.warning(f"the key of identity {name} is not revoked: {exc}", exc.fix)


def _note(
    environ: "Mapping[str, str] | None",
    action: str,
    identity: "Identity",
    settings: Settings,
    log: Log,
) -> None:
    if environ is None:
        return
    from ravi_agent.workspace import ledger

    try:
        ledger.note(environ, action, identity, settings.api_url, workspace=settings.workspace)
    except OSError as exc:
        log.warning(
            f"the ledger cannot be written: {exc}",
            "set XDG_STATE_HOME to a directory that can be written",
        )


def _remove_files(settings: Settings, user: AgentUser | None, log: Log) -> None:
    with ActingAs(user):
        if os.path.isdir(settings.workspace):
            CredentialFiles(settings.workspace, settings.credential_files).remove()
            if settings.skill_files:
                from ravi_agent.workspace.skill_files import SkillFiles

                SkillFiles(settings.workspace, settings.skill_files, log).remove()
        is_removed = remove(settings.workspace)
        remove_status(settings.workspace)
    if is_removed:
        log.info(f"removed {os.path.join(settings.workspace, contract.RAVI_DIR)}")
