"""Adding to somebody's JSON settings without losing any, and taking it back.

An object of ours is merged into theirs, key by key; an item of a list is added where none equals it
or has its `id` or `name`; a list of words, which is a command, goes in front of theirs. A value of
theirs that ours replaces is written down, so that undoing brings it back; what they have changed
since stays as they have it.
"""

import copy
from collections.abc import Iterable
from typing import Any

# One change: where, the value now, and the value before in a list, which is empty for none.
Change = dict[str, Any]
_NAMING = ("id", "name")


class ShapeError(Exception):
    """Theirs has something else where ours has an object or a list; names the key."""


def merge(theirs: Any, ours: Any) -> list[Change]:
    """Merge into `theirs`, an object or a list, in place; what was changed, in order.

    Raises ShapeError for what cannot be merged, with some of it done.
    """
    changes: list[Change] = []
    _merge(theirs, ours, [], changes)
    return changes


def undo(theirs: Any, changes: Iterable[Change]) -> None:
    """Take changes back in place, where nobody has changed them again."""
    for change in reversed(list(changes)):
        holder = find(theirs, change["at"][:-1])
        last = change["at"][-1]
        if isinstance(holder, list):
            if change["now"] in holder:
                holder.remove(change["now"])
        elif isinstance(holder, dict) and holder.get(last) == change["now"]:
            if change["before"]:
                holder[last] = change["before"][0]
            else:
                del holder[last]


def _merge(theirs: Any, ours: Any, at: list[Any], changes: list[Change]) -> None:
    if isinstance(ours, list):
        for item in ours:
            same = next((one for one in theirs if _is_same(one, item)), None)
            if same is None:
                changes.append({"at": [*at, None], "now": item, "before": []})
                theirs.insert(0, copy.deepcopy(item))  # which may be merged into again
            elif isinstance(item, dict):
                _merge(same, item, [*at, _name(item)], changes)
        return
    for key, value in ours.items():
        there = theirs.get(key)
        if isinstance(value, dict | list) and type(there) not in {type(None), type(value)}:
            raise ShapeError(key)
        if _is_words(value):  # a command: ours goes in front of theirs
            there = there if isinstance(there, list) else []
            if there[: len(value)] != value:
                before = [theirs[key]] if key in theirs else []
                theirs[key] = [*value, *there]
                changes.append({"at": [*at, key], "now": theirs[key], "before": before})
            continue
        if key in theirs and type(there) is type(value) and isinstance(value, dict | list):
            _merge(there, value, [*at, key], changes)
        elif key not in theirs or there != value:
            before = [there] if key in theirs else []
            if before or not isinstance(value, dict | list):
                changes.append({"at": [*at, key], "now": value, "before": before})
                theirs[key] = value
            else:  # an empty one first, so that what they add to it stays when ours goes
                changes.append({"at": [*at, key], "now": type(value)(), "before": []})
                theirs[key] = type(value)()
                _merge(theirs[key], value, [*at, key], changes)


def _is_words(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) for word in value)


def _is_same(one: Any, other: Any) -> bool:
    return one == other or (_name(one) is not None and _name(one) == _name(other))


def _name(item: Any) -> list[str] | None:
    """What tells an item of a list from the others; None for nothing."""
    if isinstance(item, dict):
        for key in _NAMING:
            if isinstance(item.get(key), str):
                return [key, item[key]]
    return None


def find(holder: Any, at: list[Any]) -> Any:
    """What is at a path, None where nothing is: of keys and, in a list, pairs like `id` and its
    value.
    """
    for step in at:
        if isinstance(step, list):
            holder = next((one for one in holder or [] if _name(one) == step), None)
        else:
            holder = holder.get(step) if isinstance(holder, dict) else None
    return holder


def nested(at: list[Any], value: Any) -> Any:
    """An object or a list that has `value` at that path, and nothing else."""
    for step in reversed(at):
        value = [value] if isinstance(step, list) else {step: value}
    return value
