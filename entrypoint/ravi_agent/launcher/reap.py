"""What runs have left behind on an engine and in the account, and its removal."""

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from ravi_agent.credential import host_account
from ravi_agent.errors import RaviError, UsageError
from ravi_agent.identity import Identity
from ravi_agent.launcher.backend import Backend
from ravi_agent.launcher.model.bookkeeping import Books
from ravi_agent.launcher.model.inventory import Inventory, ReapOptions
from ravi_agent.launcher.model.leases import leased_names, pool_of, pool_prefix
from ravi_agent.launcher.model.run_keys import end_keys
from ravi_agent.launcher.show.confirm import is_agreed_to
from ravi_agent.launcher.show.for_terminal import say
from ravi_agent.service.api import RaviApi
from ravi_agent.service.revocation import revoke_keys
from ravi_agent.settings import value_of
from ravi_agent.workspace import ledger

_REVOKE_TIMEOUT_S = 5.0


def reap_leftovers(
    backend: Backend,
    environ: Mapping[str, str],
    reaping: ReapOptions,
    *,
    is_local: bool,
    is_forced: bool,
) -> int:
    """Print what is left behind and, unless this is a dry run, remove it.

    An identity is left behind if nothing on this engine has its name, and this engine's records
    or this host's ledger say that we made it: of any other, an agent on another engine may live.
    Returns 1 if an identity could not be deleted; it is named on standard error. Raises RaviError.
    """
    url, credential = host_account(environ, is_local=is_local)
    with RaviApi(url, credential) as api:
        found = backend.inventory(reaping)
        leased = leased_names(environ, url)
        left = [
            identity
            for identity in api.list_identities(reaping.prefix)
            if identity.name not in found.names_in_use | leased
            and is_older(identity, reaping.before)
            and not _is_of_unnamed_pool(identity.name, environ, reaping.prefix)
        ]
        made_here = _made_here(environ, url)
        strange = [
            identity
            for identity in left
            if identity.name not in found.names_made
            and made_here.get(identity.uuid) != identity.name
        ]
        orphans = left if reaping.is_for_all else [one for one in left if one not in strange]
        for one in found.leftovers:
            say(one.line)
        for identity in orphans:
            say(f"identity {identity.name} ({identity.uuid}), made {identity.created_at}")
        _say_strange(strange, is_for_all=reaping.is_for_all)
        if reaping.is_dry_run or not (found.leftovers or orphans):
            print(_counts(found, orphans, ", "), file=sys.stderr)
            return 0
        if not is_forced:
            confirm(_counts(found, orphans, " and "))
        code = _remove(api, found, orphans, Books(environ, url))
    _end_keys(environ, found, {one.name for one in orphans})
    return code


def _is_of_unnamed_pool(name: str, environ: Mapping[str, str], prefix: str) -> bool:
    """Whether it is of a pool, and so there to be used again, and `--prefix` means others."""
    word = value_of(environ, "RAVI_NAME_PREFIX")
    pool = pool_of(name, word)
    return pool is not None and not prefix.startswith(pool_prefix(word, pool))


def _made_here(environ: Mapping[str, str], api_url: str) -> dict[str, str]:
    """The names, by UUID, of identities that this host's ledger says were made here."""
    try:
        entries = ledger.owned(environ)
    except OSError:
        return {}  # no home, or no right to read it: then it says nothing
    return {one.uuid: one.name for one in entries if one.is_of_here(api_url)}


def _say_strange(strange: Sequence[Identity], *, is_for_all: bool) -> None:
    """Of how many identities neither this engine nor this host knows who made them."""
    if not strange:
        return
    runs = len({one.name.rpartition("-")[0] for one in strange})
    what = f"{len(strange)} identities of {runs} runs that neither this engine nor this host knows"
    says = f"--all: {what} are deleted" if is_for_all else f"{what} stay; --all deletes them too"
    print(f"ravi-launch: {says}; agents elsewhere may have them", file=sys.stderr)


def _counts(found: Inventory, orphans: Sequence[Identity], between: str) -> str:
    return f"{len(found.leftovers)} {found.noun}{between}{len(orphans)} identities"


def is_older(identity: Identity, before: float) -> bool:
    """Whether it was created before that; False where its date cannot be read."""
    try:
        return datetime.fromisoformat(identity.created_at).timestamp() < before
    except ValueError:
        return False


def confirm(what: str) -> None:
    """Ask whether to remove `what`; raises UsageError unless the answer is yes."""
    if not sys.stdin.isatty():
        raise UsageError(
            f"{what} would be removed",
            "nobody is there to be asked",
            "add --force, or --dry-run to only list them",
        )
    if not is_agreed_to(f"{what} will be removed and cannot be restored"):
        raise UsageError("nothing removed", "the answer was no", "--dry-run lists what there is")


def _remove(api: RaviApi, found: Inventory, orphans: Sequence[Identity], books: Books) -> int:
    for one in found.leftovers:
        one.remove()
    deleted = sum(delete(api, identity, books) for identity in orphans)
    print(
        f"removed {len(found.leftovers)} {found.noun}, deleted {deleted} identities",
        file=sys.stderr,
    )
    return 0 if deleted == len(orphans) else 1


def _end_keys(environ: Mapping[str, str], found: Inventory, dealt_with: Collection[str]) -> None:
    """Revoke the keys of removed runs, but of identities that something else has.

    dealt_with: names of identities that were deleted, or whose keys were revoked.
    """
    for one in found.leftovers:
        if one.run and one.keys:
            unknown = [name for name in one.keys.unknown if name not in dealt_with]
            keys = replace(one.keys, unknown=unknown, in_use=found.names_in_use)
            end_keys(environ, one.run, inside=keys)


def delete(api: RaviApi, identity: Identity, books: Books) -> bool:
    """Delete an identity. False, with a message on standard error, where the service refuses.

    Its keys end then all the same: nobody uses them any more.
    """
    try:
        api.delete_identity(identity.uuid)
    except RaviError as exc:
        say(f"identity {identity.name} ({identity.uuid}) stays: {exc}", sys.stderr)
        _revoke(api, identity, books)
        return False
    books.note(identity, ledger.DELETE)
    return True


def _revoke(api: RaviApi, identity: Identity, books: Books) -> None:
    try:
        if revoke_keys(api, identity, timeout_s=_REVOKE_TIMEOUT_S):
            books.note(identity, ledger.REVOKE)
    except RaviError as exc:
        say(f"its keys stay, too: {exc}", sys.stderr)
