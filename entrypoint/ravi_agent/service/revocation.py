"""What ends with its use: an identity's keys are revoked, an identity is deleted.

What is revoked or deleted is named by whoever may say so, by name and, where it is known, by UUID;
the service's own record has to agree with both.
"""

import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import quote

from ravi_agent.errors import RaviError, RefusedError
from ravi_agent.identity import Identity
from ravi_agent.log import Log
from ravi_agent.service.api import RaviApi
from ravi_agent.service.keys import KEYS_PATH, key_label
from ravi_agent.service.patience import Patience
from ravi_agent.service.still_trying import how_to_reach

_AT_ONCE = 8
_GONE = frozenset({404, 410})


def find_identity(
    api: RaviApi, name: str, uuid: str | None, *, timeout_s: float
) -> Identity | None:
    """The one identity of that name and, where it is known, that UUID; None where it is gone.

    Raises RefusedError where the UUID belongs to another name, or several have the name, and any
    error of the service.
    """
    if uuid is None:
        found = api.find_identities(name, timeout_s=timeout_s)
        if len(found) > 1:
            raise RefusedError(
                f"{len(found)} identities are called {name}",
                f"any of them could be meant: {', '.join(one.uuid for one in found)}",
                "delete or rename all but one",
                status=409,
            )
        return found[0] if found else None
    try:
        identity = api.get_identity(uuid, timeout_s=timeout_s)
    except RefusedError as exc:
        if exc.status in _GONE:
            return None
        raise
    if identity.name != name:
        raise RefusedError(
            f"identity {uuid} stays",
            f"the service calls it {identity.name!r}, and {name!r} was to go",
            "look at both: ravi identity list",
            status=409,
        )
    return identity


def revoke_keys(api: RaviApi, identity: Identity, *, timeout_s: float) -> int:
    """Revoke the identity's keys that a start has made; how many there were.

    Those carry a label of this project (`key_label`); keys that somebody has made for another use
    stay. Where the identity has a `key_uuid`, that one key alone is meant, and it must be one of
    them. 0 on an account that has no identity keys. A call that fails for a while is made again.
    Raises any error of the service.
    """
    return len(_revoke(api, lambda key: _is_own(key, identity), timeout_s))


def revoke_made(api: RaviApi, made: Mapping[str, Identity], *, timeout_s: float) -> list[Identity]:
    """Revoke keys that are known by UUID, as `revoke_keys` does; whose keys there were.

    made: the identity of each. One list for all of them, and a call for each that is there.
    """

    def is_meant(key: dict[str, Any]) -> bool:
        identity = made.get(str(key.get("uuid")))
        return identity is not None and _is_own(key, identity)

    return [made[uuid] for uuid in _revoke(api, is_meant, timeout_s)]


def revoke_made_between(
    api: RaviApi,
    identities: Collection[Identity],
    span: tuple[float, float],
    *,
    spared: Collection[str],
    timeout_s: float,
) -> list[Identity]:
    """Revoke the keys of identities that others made for them, in a span of Unix seconds.

    Nobody here knows which these are; `spared` are known to be others, by UUID. A key whose record
    has no time counts as made then. As `revoke_made` otherwise; the identities have their
    `key_uuid` set to the key that ended.
    """
    known = {one.uuid: one for one in identities}
    meant: dict[str, Identity] = {}

    def is_meant(key: dict[str, Any]) -> bool:
        identity = known.get(str(_identity_of(key)))
        if identity is None or not _is_own(key, identity) or key["uuid"] in spared:
            return False
        if not _is_between(key.get("created_dt"), *span):
            return False
        meant[key["uuid"]] = identity
        return True

    return [meant[uuid].with_key(None, uuid) for uuid in _revoke(api, is_meant, timeout_s)]


def _is_between(stamp: object, since: float, until: float) -> bool:
    try:
        return since <= datetime.fromisoformat(str(stamp)).timestamp() <= until
    except ValueError:
        return True


def _is_own(key: dict[str, Any], identity: Identity) -> bool:
    """Whether a key opens that identity, was made by this project, and is still good."""
    is_ours = _identity_of(key) == identity.uuid and key.get("label") == key_label(identity.name)
    is_active = isinstance(key.get("uuid"), str) and key.get("is_active") is not False
    return is_ours and is_active and identity.key_uuid in {None, key["uuid"]}


def _revoke(
    api: RaviApi, is_meant: Callable[[dict[str, Any]], bool], timeout_s: float
) -> list[str]:
    """Revoke the keys that are meant, several at once; their UUIDs."""
    patience = Patience(
        deadline=time.monotonic() + timeout_s,
        log=Log("ravi", level="error"),
        fix=how_to_reach(api.api_url, is_in_container=False),
    )

    def revoke(uuid: str) -> None:
        try:
            path = f"{KEYS_PATH}{quote(uuid, safe='')}/"
            patience.until_answered(partial(api.ask, "DELETE", path))
        except RefusedError as exc:
            if exc.status not in _GONE:  # revoked meanwhile, or by a call whose answer was lost
                raise

    try:
        keys = api.read_list(
            KEYS_PATH, timeout_s=timeout_s, attempt=patience.until_answered, keep=is_meant
        )
    except RefusedError as exc:
        if exc.status in {404, 405}:
            return []
        raise
    uuids = [str(key["uuid"]) for key in keys]
    if len(uuids) > 1:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(revoke, uuids))
    else:
        list(map(revoke, uuids))
    return uuids


def delete_identity(api: RaviApi, identity: Identity, *, timeout_s: float) -> None:
    """Delete an identity; one that is gone already counts as deleted.

    Raises any error of the service, naming the identity that stays. Status 404 is that of a
    service that cannot delete where the identity is still there.
    """
    ends = time.monotonic() + timeout_s
    try:
        api.delete_identity(identity.uuid, timeout_s=timeout_s)
    except RaviError as exc:
        if not _is_gone(api, exc, identity, ends):
            exc.restated(f"identity {identity.name} ({identity.uuid}) stays: {exc.what}")
            raise


def _identity_of(key: dict[str, object]) -> object:
    """The UUID of a key's identity, which a record has by itself or in an object."""
    identity = key.get("identity_uuid") or key.get("identity")
    return identity.get("uuid") if isinstance(identity, dict) else identity


def _is_gone(api: RaviApi, exc: RaviError, identity: Identity, ends: float) -> bool:
    if not isinstance(exc, RefusedError) or exc.status not in _GONE:
        return False
    left_s = max(0.1, ends - time.monotonic())
    listed = api.find_identities(identity.name, timeout_s=left_s)
    return identity.uuid not in {one.uuid for one in listed}
