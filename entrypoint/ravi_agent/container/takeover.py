"""`ravi-init --reuse`: the identity of a work tree that is gone, instead of a new one."""

from ravi_agent.credential import container_credential
from ravi_agent.errors import RaviError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ravi_agent.log import Log
    from ravi_agent.settings import Settings

_TIMEOUT_S = 30.0


def take_over(settings: "Settings", environ: "Mapping[str, str]", log: "Log") -> None:
    """Name the workspace's identity after one that its repository has left, if there is one.

    The keys of the work tree that had it are revoked, as its removal should have done. What fails
    here is a warning: the workspace gets an identity of its own then, or keys too many.
    """
    from ravi_agent.workspace.reuse import take_over as take

    try:
        found = take(environ, settings.workspace, settings.api_url, settings.name_prefix)
    except OSError as exc:
        log.warning(
            f"the ledger cannot be used: {exc}", "set XDG_STATE_HOME to a directory to write"
        )
        return
    if found is None:
        return
    settings.take_name(found.name)
    credential = container_credential(environ)
    if credential is None:
        return  # provisioning says so
    from ravi_agent.service.api import RaviApi
    from ravi_agent.service.revocation import find_identity, revoke_keys

    try:
        with RaviApi(settings.api_url, credential) as api:
            identity = find_identity(api, found.name, found.uuid, timeout_s=_TIMEOUT_S)
            if identity:
                revoke_keys(api, identity, timeout_s=_TIMEOUT_S)
    except RaviError as exc:
        log.warning(f"the earlier key of identity {found.name} is not revoked: {exc}", exc.fix)
