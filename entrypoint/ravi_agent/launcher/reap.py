"""`ravi-launch reap`: what runs have left over, on this engine and in the account."""

import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime

from ravi_agent.credential import host_account
from ravi_agent.errors import RaviError, UsageError
from ravi_agent.identity import Identity
from ravi_agent.launcher.backend import Backend
from ravi_agent.launcher.model.inventory import Leftover, ReapOptions
from ravi_agent.launcher.planning.values import parse_seconds
from ravi_agent.service.api import RaviApi


def parse_options(*, prefix: str, older_than: str, is_dry_run: bool) -> ReapOptions:
    """Raises UsageError for an age that is none, and for an empty prefix."""
    age_s = parse_seconds("--older-than", older_than)
    if not prefix:
        raise UsageError("--prefix ''", "that would be every identity of the account", "task-")
    return ReapOptions(prefix=prefix, before=time.time() - age_s, is_dry_run=is_dry_run)


def reap_leftovers(
    backend: Backend,
    environ: Mapping[str, str],
    reaping: ReapOptions,
    *,
    is_local: bool,
    is_forced: bool,
) -> int:
    """Print what is left over, and remove it unless that is all that is wanted.

    An identity is left over if nothing on this engine has its name: identities of agents
    elsewhere look the same, so the prefix must be this engine's own. 1 if something stays that
    should not; it is named.
    """
    url, credential = host_account(environ, is_local=is_local)
    with RaviApi(url, credential) as api:
        stock = backend.inventory(reaping)
        ended, names = stock.leftovers, stock.names_in_use
        orphans = [
            identity
            for identity in api.list_identities(reaping.prefix)
            if identity.name not in names and is_older(identity, reaping.before)
        ]
        for one in ended:
            print(one.line)
        for identity in orphans:
            print(f"identity {identity.name} ({identity.uuid}), made {identity.created_at}")
        if reaping.is_dry_run or not (ended or orphans):
            print(f"{len(ended)} {stock.noun}, {len(orphans)} identities", file=sys.stderr)
            return 0
        if not is_forced:
            ask(f"{len(ended)} {stock.noun} and {len(orphans)} identities")
        return _remove(stock.noun, api, ended, orphans)


def is_older(identity: Identity, before: float) -> bool:
    """Whether it was made before that; one without a readable date is never old enough."""
    try:
        return datetime.fromisoformat(identity.created_at).timestamp() < before
    except ValueError:
        return False


def ask(what: str) -> None:
    """Have somebody agree to the loss of `what`; raises UsageError where nobody does."""
    if not sys.stdin.isatty():
        raise UsageError(
            f"{what} would go", "nobody is there to be asked", "--force, or --dry-run to see them"
        )
    sys.stderr.write(f"{what} go for good. Continue? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise UsageError("nothing removed", "the answer was no", "--dry-run to see what there is")


def _remove(noun: str, api: RaviApi, ended: Sequence[Leftover], orphans: list[Identity]) -> int:
    for one in ended:
        one.remove()
    deleted = sum(delete(api, identity) for identity in orphans)
    print(f"removed {len(ended)} {noun}, deleted {deleted} identities", file=sys.stderr)
    return 0 if deleted == len(orphans) else 1


def delete(api: RaviApi, identity: Identity) -> bool:
    """Delete an identity; False, and its name on standard error, where the service keeps it."""
    try:
        api.delete_identity(identity.uuid)
    except RaviError as exc:
        print(f"identity {identity.name} ({identity.uuid}) stays: {exc}", file=sys.stderr)
        return False
    return True
