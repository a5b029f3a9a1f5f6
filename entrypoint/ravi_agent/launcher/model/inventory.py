"""What runs have left behind on an engine: the input of `reap`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass


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
class Leftover:
    """One thing to remove: a line that describes it, and how it is removed."""

    line: str
    remove: Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """noun: what `leftovers` are, in the plural. names_in_use: identities that others have.

    names_made: identities that the engine's runs have made, whether they are in use or not.
    """

    noun: str
    leftovers: Sequence[Leftover]
    names_in_use: frozenset[str]
    names_made: frozenset[str] = frozenset()
