"""Identity keys: how those of this project are told from others, revoked, and tried."""

from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import quote

from ravi_agent.credential import Credential
from ravi_agent.errors import RaviError, RefusedError
from ravi_agent.identity import Identity
from ravi_agent.log import Log
from ravi_agent.service.api import RaviApi
from ravi_agent.service.patience import Patience
from ravi_agent.service.still_trying import how_to_reach

_PATH = "auth/keys/identity/"
_NO_SUCH_CALL = frozenset({404, 405, 501})


def key_label(name: str) -> str:
    """How keys for the identity of that name are labelled: those that somebody made by hand are
    labelled otherwise, and stay.
    """
    return f"ravi-agent-base {name}"[:100]


def revoke_keys(api: RaviApi, identity: Identity, *, deadline: float, log: Log) -> int:
    """Revoke the identity's keys that this project has minted; how many there were.

    api: with the account's credential. identity: its `uuid` and `name` say which keys are meant,
    so they must come from the service or from whoever started the agent, never from a file that
    the agent can write; with a `key_uuid` that one key alone is meant. deadline:
    `time.monotonic()` seconds. 0 also where the service has no keys, or cannot revoke them.
    Raises UnreachableError, ThrottledError, AnswerError or RefusedError.
    """
    patience = Patience(
        deadline=deadline, log=log, fix=how_to_reach(api.api_url, is_in_container=False)
    )
    label = key_label(identity.name)

    def is_meant(key: dict[str, Any]) -> bool:
        if key.get("is_active") is False or not isinstance(key.get("uuid"), str):
            return False
        if identity.uuid != key.get("identity") and identity.uuid != key.get("identity_uuid"):
            return False
        return bool(
            key["uuid"] == identity.key_uuid if identity.key_uuid else key["label"] == label
        )

    keys = _unless_unknown(
        lambda: api.read_list(
            _PATH,
            timeout_s=patience.left_s(),
            attempt=patience.until_answered,
            keep=is_meant,
        )
    )
    if keys is None:
        log.debug("no identity keys on this account")
        return 0
    for key in keys:
        path = f"{_PATH}{quote(key['uuid'], safe='')}/"
        # Sent again after an unclear outcome: a key that is gone stays gone.
        _unless_unknown(partial(patience.until_answered, partial(api.ask, "DELETE", path)))
    return len(keys)


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


def _unless_unknown(call: Callable[[], Any]) -> Any:
    """The answer; None where the service has no such call, or nothing there any more."""
    try:
        return call()
    except RefusedError as exc:
        if exc.status not in _NO_SUCH_CALL:
            raise
        return None
