"""What runs have left behind on an engine: the input of `reap`."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from ravi_agent.identity import Identity


@dataclass(frozen=True, kw_only=True)
class ReapOptions:
    """What counts as left behind: names with `prefix`, created before `before` (Unix seconds).

    is_for_all: identities too that neither the engine nor this host knows.
    """

    prefix: str
    before: float
    is_dry_run: bool = False
    is_for_all: bool = False


@dataclass(frozen=True, kw_only=True)
class KeysInside:
    """Keys that a run's own containers made: by their identities, as nobody else knows which.

    identities: as the engine's records have them, which no agent can write. unknown: names of
    identities whose containers are gone, or had not told of one. in_use: names of identities that
    something else has, whose keys stay. since, until: Unix seconds between which the run made
    keys, by the engine's clock.
    """

    api_url: str
    identities: Sequence[Identity]
    unknown: Sequence[str]
    since: float
    until: float
    in_use: Collection[str] = ()


@dataclass(frozen=True, kw_only=True)
class Leftover:
    """One thing to remove: a line that describes it, and how it is removed.

    run, keys: that it is of, and that end with it; None where this host's own are all there are.
    """

    line: str
    remove: Callable[[], None]
    run: str | None = None
    keys: KeysInside | None = None


@dataclass(frozen=True, kw_only=True)
class Removed:
    """What `rm` has removed, in words. keys: that end with it, besides those of this host."""

    words: str
    keys: KeysInside | None = None


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """noun: what `leftovers` are, in the plural. names_in_use: identities that others have.

    names_made: identities that the engine's runs have made, whether they are in use or not.
    """

    noun: str
    leftovers: Sequence[Leftover]
    names_in_use: frozenset[str]
    names_made: frozenset[str] = frozenset()
