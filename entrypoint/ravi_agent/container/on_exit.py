"""What boot tells the last phase: how to release, and which identity it may end.

It is told on supervise's command line, which no agent can change. Loaded only where something is
to be released.
"""

import os

from ravi_agent.container.root_env import read_root_env
from ravi_agent.credential_paths import credential_paths, key_path
from ravi_agent.errors import SettingsError
from ravi_agent.settings import ON_EXIT_DELETE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ravi_agent.identity import Identity
    from ravi_agent.settings import Settings

# The words besides variables.
KNOWN_NAME, KNOWN_UUID = "identity-name", "identity-uuid"
# The variables release needs. No key: it reads its file again.
_VARIABLES = (
    "RAVI_ON_EXIT",
    "RAVI_WORKSPACE",
    "RAVI_API_URL",
    "RAVI_ALLOW_HTTP",
    "RAVI_MANAGEMENT_KEY_FILE",
    "RAVI_ACCESS_TOKEN_FILE",
    "RAVI_CREDENTIAL_FILES",
    "RAVI_SKILL",
    "RAVI_AGENT_USER",
    "RAVI_LOG_LEVEL",
    "RAVI_LOG_FORMAT",
    "HOME",  # where an older account's auth.json is
)


def release_variables(settings: "Settings", environ: "Mapping[str, str]") -> dict[str, str]:
    """How to release, as words for it.

    Raises SettingsError where there will be no key to delete with.
    """
    if settings.on_exit == ON_EXIT_DELETE and settings.removes_key_file:
        raise SettingsError(
            "RAVI_REMOVE_KEY_FILE=1",
            "RAVI_ON_EXIT=delete reads the key's file again when the agent has ended",
            "RAVI_REMOVE_KEY_FILE=0, or RAVI_ON_EXIT=keep",
        )
    if settings.on_exit == ON_EXIT_DELETE and not any(
        map(os.path.exists, credential_paths(environ))
    ):
        raise SettingsError(
            "RAVI_ON_EXIT=delete",
            "only a file still has the management key when the agent ends",
            f"mount it at {key_path(environ)}, or set RAVI_ON_EXIT=forget",
        )
    return {name: environ[name] for name in _VARIABLES if environ.get(name)}


def known_identity(settings: "Settings", identity: "Identity", *, is_found: bool) -> dict[str, str]:
    """The identity that release may end, as words for it; {} where only the workspace names it.

    is_found: it was in the workspace, which the agent of an earlier start could write. Raises
    SettingsError where it could then not be deleted, although that is asked for.
    """
    known = {KNOWN_NAME: identity.name, KNOWN_UUID: identity.uuid}
    if not is_found:
        return known
    before = read_root_env()
    if (identity.name, identity.uuid) == (
        before.get("RAVI_IDENTITY_NAME"),
        before.get("RAVI_IDENTITY_UUID"),
    ):
        return known
    if identity.name == settings.identity_name:
        return {KNOWN_NAME: identity.name}  # the service says which UUID has it
    if settings.on_exit == ON_EXIT_DELETE:
        raise SettingsError(
            "RAVI_ON_EXIT=delete",
            f"only the workspace says that its identity is {identity.name!r}",
            f"RAVI_IDENTITY_NAME={identity.name!r} to have that one deleted, or "
            "RAVI_ON_EXIT=forget",
        )
    return {}
