"""The end of the keys that were made for a run: by this host, or in the run's own containers."""

import itertools
import shlex
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence

from ravi_agent.credential import host_credential
from ravi_agent.errors import RaviError
from ravi_agent.identity import Identity
from ravi_agent.launcher.model.bookkeeping import Books
from ravi_agent.launcher.model.inventory import KeysInside
from ravi_agent.log import Log
from ravi_agent.service_url import is_same_service, read_service_url
from ravi_agent.settings import VARIABLES, Settings
from ravi_agent.workspace import ledger

_TIMEOUT_S = 5.0  # for all keys of a run: their containers are gone, and nobody waits for more
_CLOCKS_APART_S = 300.0  # an engine's and the service's


def end_keys(
    environ: Mapping[str, str],
    run: str,
    *,
    names: Collection[str] | None = None,
    inside: KeysInside | None = None,
) -> None:
    """Revoke the keys of a run whose containers are gone.

    names: of those that this host made, only those of these identities. Fails nothing: what stays
    is said in one line.
    """
    log = Settings(environ).log_for("ravi-launch")
    entries: list[ledger.Entry] = []
    try:
        entries = ledger.read(environ)
    except OSError as exc:
        log.warning(f"the keys of run {run} stay: no ledger says which they are: {exc}")
    for api_url, keys in _keys_of(entries, run, names).items():
        try:
            _revoke(environ, run, api_url, keys, log)
        except RaviError as exc:
            count = f"{len(keys)} identity keys" if len(keys) > 1 else "an identity key"
            log.warning(f"{count} of run {run} stay: {exc}", exc.fix)
    if inside:
        _end_inside(environ, run, inside, entries, log)


def _keys_of(
    entries: Iterable[ledger.Entry], run: str, names: Collection[str] | None
) -> dict[str, dict[str, Identity]]:
    """The keys of a run that are not known to be revoked: by service, then by their UUID."""
    found: dict[str, dict[str, Identity]] = {}
    for entry in entries:
        keys = found.setdefault(entry.api_url, {})
        if entry.action in {ledger.REVOKE, ledger.DELETE}:
            gone = [uuid for uuid, one in keys.items() if _ends(entry, uuid, one)]
            for uuid in gone:
                del keys[uuid]
        is_meant = names is None or entry.name in names
        if entry.action == ledger.KEY and entry.run == run and entry.key and is_meant:
            keys[entry.key] = _identity(entry)
    return {api_url: keys for api_url, keys in found.items() if keys}


def _identity(entry: ledger.Entry) -> Identity:
    return Identity(
        uuid=entry.uuid,
        name=entry.name,
        email="",
        phone=None,
        created_at="",
        key_uuid=entry.key,
    )


def _ends(entry: ledger.Entry, key_uuid: str, identity: Identity) -> bool:
    return entry.uuid == identity.uuid and entry.key in {None, key_uuid}


def _revoke(
    environ: Mapping[str, str], run: str, api_url: str, keys: dict[str, Identity], log: Log
) -> None:
    # What calls the service is imported only where it is called.
    from ravi_agent.service.api import RaviApi
    from ravi_agent.service.revocation import revoke_made

    is_of_here = is_same_service(api_url, read_service_url(environ))
    credential = host_credential(environ) if is_of_here else None
    if credential is None:
        what = f"{len(keys)} identity keys of run {run} stay: this host has no key for {api_url}"
        log.warning(what, f"RAVI_API_URL={api_url} RAVI_MANAGEMENT_KEY_FILE=/path/to/key, or reap")
        return
    with RaviApi(api_url, credential) as api:
        revoked = revoke_made(api, keys, timeout_s=_TIMEOUT_S)
    _note(environ, run, api_url, revoked)


def _note(environ: Mapping[str, str], run: str, api_url: str, revoked: list[Identity]) -> None:
    books = Books(environ, api_url, run)
    for identity in revoked:
        books.note(identity, ledger.REVOKE)
    if revoked:
        print(f"revoked {len(revoked)} identity keys", file=sys.stderr)


def _end_inside(
    environ: Mapping[str, str],
    run: str,
    inside: KeysInside,
    entries: Sequence[ledger.Entry],
    log: Log,
) -> None:
    from ravi_agent.service.api import RaviApi
    from ravi_agent.service.revocation import revoke_made_between

    known = _known_inside(run, inside, entries)
    names = {one.name for one in known.values()}
    stays, why, fix = set(inside.unknown) - names, "nobody can say whose they are", None
    try:
        is_of_here = is_same_service(inside.api_url, read_service_url(environ))
        credential = host_credential(environ) if is_of_here else None
        if known and credential is None:
            stays, why = stays | names, f"this host has no key for {inside.api_url}"
        elif known and credential:
            spared = {one.key for one in entries if one.key and one.run != run}
            span = inside.since - _CLOCKS_APART_S, inside.until + _CLOCKS_APART_S
            with RaviApi(inside.api_url, credential) as api:
                revoked = revoke_made_between(
                    api, known.values(), span, spared=spared, timeout_s=_TIMEOUT_S
                )
            _note(environ, run, inside.api_url, revoked)
    except RaviError as exc:
        stays, why, fix = stays | names, str(exc), exc.fix
    if stays:
        log.warning(
            f"the keys that {len(stays)} agents of run {run} made stay valid: {why}",
            fix or _fix_by_reaping(stays),
        )


def _known_inside(
    run: str, inside: KeysInside, entries: Iterable[ledger.Entry]
) -> dict[str, Identity]:
    """By UUID: those that the engine knows, and those that this host has seen in the run."""
    seen: dict[str, Identity] = {}
    for entry in entries:
        if entry.action == ledger.DELETE:
            seen.pop(entry.uuid, None)
        elif entry.run == run and is_same_service(entry.api_url, inside.api_url):
            seen[entry.uuid] = _identity(entry)
    seen |= {one.uuid: one for one in inside.identities}
    # Without a key's own UUID any of the identity's is meant.
    return {
        uuid: one.with_key(None, None)
        for uuid, one in seen.items()
        if one.name not in inside.in_use
    }


def _fix_by_reaping(names: Collection[str]) -> str:
    pairs = itertools.takewhile(
        lambda pair: pair[0] == pair[1], zip(min(names), max(names), strict=False)
    )
    prefix = shlex.quote("".join(one for one, _ in pairs) or VARIABLES["RAVI_NAME_PREFIX"][0])
    fix = f"ravi-launch reap --backend kubernetes --all --older-than 0s --prefix {prefix}"
    return f"{fix}, which deletes their identities; it needs the account's key"
