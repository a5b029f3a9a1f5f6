"""The end of the keys that this host made for a run."""

import sys
from collections.abc import Collection, Mapping

from ravi_agent.credential import host_credential
from ravi_agent.errors import RaviError
from ravi_agent.identity import Identity
from ravi_agent.launcher.model.bookkeeping import Books
from ravi_agent.log import Log
from ravi_agent.service_url import is_same_service, read_service_url
from ravi_agent.settings import Settings
from ravi_agent.workspace import ledger

_TIMEOUT_S = 5.0  # for all keys of a run: their containers are gone, and nobody waits for more


def end_keys(environ: Mapping[str, str], run: str, *, names: Collection[str] | None = None) -> None:
    """Revoke the keys that this host made for a run whose containers are gone.

    names: only those of these identities. Fails nothing: what stays is said in one line.
    """
    log = Settings(environ).log_for("ravi-launch")
    try:
        services = _keys_of(environ, run, names)
    except OSError as exc:
        log.warning(f"the keys of run {run} stay: no ledger says which they are: {exc}")
        return
    for api_url, keys in services.items():
        try:
            _revoke(environ, run, api_url, keys, log)
        except RaviError as exc:
            count = f"{len(keys)} identity keys" if len(keys) > 1 else "an identity key"
            log.warning(f"{count} of run {run} stay: {exc}", exc.fix)


def _keys_of(
    environ: Mapping[str, str], run: str, names: Collection[str] | None
) -> dict[str, dict[str, Identity]]:
    """The keys of a run that are not known to be revoked: by service, then by their UUID."""
    found: dict[str, dict[str, Identity]] = {}
    for entry in ledger.read(environ):
        keys = found.setdefault(entry.api_url, {})
        if entry.action in {ledger.REVOKE, ledger.DELETE}:
            gone = [uuid for uuid, one in keys.items() if _ends(entry, uuid, one)]
            for uuid in gone:
                del keys[uuid]
        is_meant = names is None or entry.name in names
        if entry.action == ledger.KEY and entry.run == run and entry.key and is_meant:
            keys[entry.key] = Identity(
                uuid=entry.uuid,
                name=entry.name,
                email="",
                phone=None,
                created_at="",
                key_uuid=entry.key,
            )
    return {api_url: keys for api_url, keys in found.items() if keys}


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
    books = Books(environ, api_url, run)
    with RaviApi(api_url, credential) as api:
        revoked = revoke_made(api, keys, timeout_s=_TIMEOUT_S)
    for identity in revoked:
        books.note(identity, ledger.REVOKE)
    if revoked:
        print(f"revoked {len(revoked)} identity keys", file=sys.stderr)
