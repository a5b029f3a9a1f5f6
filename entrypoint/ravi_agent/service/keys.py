"""Identity keys: how those of this project are told from others, and whether one still opens."""

from urllib.parse import quote

from ravi_agent.credential import Credential
from ravi_agent.errors import RaviError, RefusedError
from ravi_agent.identity import Identity
from ravi_agent.service.api import RaviApi

KEYS_PATH = "auth/keys/identity/"


def key_label(name: str) -> str:
    """How keys for the identity of that name are labelled: those that somebody made by hand are
    labelled otherwise, and stay.
    """
    return f"ravi-agent-base {name}"[:100]


def is_key_accepted(api_url: str, identity: Identity, *, timeout_s: float) -> bool | None:
    """Whether the service still takes the identity's own key: False where it was revoked or has
    run out, None where nobody can say now, or there is no key. One call.
    """
    if not identity.key:
        return None
    credential = Credential(identity.key, "identity key")
    try:
        with RaviApi(api_url, credential, identity_uuid=identity.uuid) as api:
            api.ask("GET", f"identities/{quote(identity.uuid, safe='')}/", timeout_s=timeout_s)
    except RefusedError as exc:
        # Whoever is told that something is missing, or not for this key, has been let in.
        return exc.status != 401 and exc.code != "auth.unauthenticated"
    except RaviError:
        return None
    return True
