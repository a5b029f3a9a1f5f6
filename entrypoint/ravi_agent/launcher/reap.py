"""`ravi-launch reap`: what runs have left over, on this engine and in the account."""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Protocol

from ravi_agent.credential import host_account
from ravi_agent.errors import RaviError, UsageError
from ravi_agent.identity import Identity
from ravi_agent.launcher.docker.engine import DockerEngine
from ravi_agent.launcher.docker.records import forget, records
from ravi_agent.launcher.planning.spec import RunSpec
from ravi_agent.launcher.planning.values import parse_seconds
from ravi_agent.service.api import RaviApi


@dataclass(frozen=True, kw_only=True)
class Reaping:
    """What is looked for: names with `prefix`, made before `before` (Unix seconds)."""

    prefix: str
    before: float
    is_dry_run: bool

    @classmethod
    def from_options(cls, *, prefix: str, older_than: str, is_dry_run: bool) -> "Reaping":
        """Raises UsageError for an age that is none, and for an empty prefix."""
        age_s = parse_seconds("--older-than", older_than)
        if not prefix:
            raise UsageError("--prefix ''", "that would be every identity of the account", "task-")
        before = time.time() - age_s
        return cls(prefix=prefix, before=before, is_dry_run=is_dry_run)


@dataclass(frozen=True, kw_only=True)
class Leftover:
    """What a run has left on an engine: a line that says so, and how it goes."""

    line: str
    remove: Callable[[], None]


class Stock(Protocol):
    """What an engine has of runs. noun: what its leftovers are, in the plural."""

    noun: str

    def take(self, reaping: Reaping) -> tuple[list[Leftover], set[str]]:
        """What has ended and is old enough, and the identities that all else has."""


class DockerStock:
    """The containers of an engine, and what it keeps of runs that have none any more."""

    noun = "containers and records"

    def __init__(self, engine: DockerEngine) -> None:
        self._engine = engine

    def take(self, reaping: Reaping) -> tuple[list[Leftover], set[str]]:
        containers = self._engine.containers()
        ended = [
            one
            for one in containers
            if one.state in {"exited", "dead", "created"}
            and one.created_at < reaping.before
            and one.identity_name.startswith(reaping.prefix)
        ]
        gone = {one.id for one in ended}
        leftovers = [
            Leftover(
                line=f"container {one.id[:12]} of run {one.run}: {one.status}",
                remove=partial(self._engine.remove, one.id),
            )
            for one in ended
        ]
        staying = [one for one in containers if one.id not in gone]
        leftovers += self._records(reaping, {one.run for one in staying})
        return leftovers, {one.identity_name for one in staying}

    def _records(self, reaping: Reaping, runs: set[str]) -> list[Leftover]:
        found = []
        for run, (record, made_at) in records(self._engine).items():
            if run in runs or made_at >= reaping.before:
                continue
            try:
                prefix = RunSpec.from_record(record).name_prefix
            except UsageError:
                continue  # of another version of the launcher, which will know it
            if f"{prefix}{run}".startswith(reaping.prefix):
                remove = partial(forget, self._engine, run)
                found.append(Leftover(line=f"record of run {run}", remove=remove))
        return found


def reap_leftovers(
    stock: Stock,
    environ: Mapping[str, str],
    reaping: Reaping,
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
        ended, names = stock.take(reaping)
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


def _remove(noun: str, api: RaviApi, ended: list[Leftover], orphans: list[Identity]) -> int:
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
