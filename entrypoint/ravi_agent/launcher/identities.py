"""The identities that this host's runs have made: which there are, and their deletion."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from ravi_agent.credential import host_account
from ravi_agent.errors import RaviError
from ravi_agent.launcher.model.leases import pool_of
from ravi_agent.service.api import RaviApi
from ravi_agent.settings import value_of
from ravi_agent.workspace import ledger


@dataclass(frozen=True, kw_only=True)
class MadeIdentity:
    """One identity by this host's ledger. run, path: of its latest use, None where it has none.

    is_created: this host created it; else it adopted it. made_at, used_at: Unix seconds.
    """

    uuid: str
    name: str
    api_url: str
    run: str | None
    path: str | None
    is_created: bool
    made_at: float
    used_at: float


def made_here(environ: Mapping[str, str]) -> list[MadeIdentity]:
    """All that this host has made or adopted and not deleted, oldest first. Raises OSError."""
    host = os.uname().nodename
    found: dict[tuple[str, str], list[ledger.Entry]] = {}
    for entry in ledger.owned(environ):
        if entry.host == host:
            found.setdefault((entry.api_url, entry.uuid), []).append(entry)
    made = [
        MadeIdentity(
            uuid=entries[0].uuid,
            name=entries[-1].name,
            api_url=entries[0].api_url,
            run=entries[-1].run,
            path=entries[-1].path,
            is_created=any(one.action == ledger.CREATE for one in entries),
            made_at=entries[0].seconds,
            used_at=entries[-1].seconds,
        )
        for entries in found.values()
    ]
    return sorted(made, key=lambda one: one.made_at)


def delete_of_run(run: str, environ: Mapping[str, str], *, is_local: bool) -> int:
    """Delete the identities that this host created for a run: 0 if none of them stays, else 1.

    Those that it only adopted stay, somebody else has made them; and those of pools. Each is named
    on standard error. Raises RaviError without a key.
    """
    url, credential = host_account(environ, is_local=is_local)
    prefix = value_of(environ, "RAVI_NAME_PREFIX")
    try:
        found = [
            one
            for one in made_here(environ)
            if one.run == run and one.api_url == url and not pool_of(one.name, prefix)
        ]
    except OSError as exc:
        print(f"ravi-launch: warning: the ledger: {exc.strerror}", file=sys.stderr)
        return 1
    created = [one for one in found if one.is_created]
    with RaviApi(url, credential) as api:
        deleted = sum(_delete(api, one, environ) for one in created)
    stays = len(found) - len(created)
    more = f"; {stays} that were only adopted stay" if stays else ""
    print(f"run {run}: deleted {deleted} of {len(created)} identities{more}", file=sys.stderr)
    return int(deleted < len(created))


def _delete(api: RaviApi, one: MadeIdentity, environ: Mapping[str, str]) -> bool:
    """Delete it where the service says the same of it. False, with a message, where it stays."""
    try:
        identity = api.get_identity(one.uuid)
        if identity.name != one.name:
            print(f"identity {one.uuid} stays: it is now {identity.name!r}", file=sys.stderr)
            return False
        api.delete_identity(one.uuid)
        ledger.note(environ, ledger.DELETE, identity, one.api_url, run=one.run)
    except RaviError as exc:
        print(f"identity {one.name} ({one.uuid}) stays: {exc}", file=sys.stderr)
        return False
    except OSError as exc:
        print(f"ravi-launch: warning: the ledger: {exc.strerror}", file=sys.stderr)
    return True
