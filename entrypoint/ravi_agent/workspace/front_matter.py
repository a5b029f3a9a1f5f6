"""One key in the YAML front matter of a Markdown file; every other byte stays as it is.

A YAML library says where the key is, and the text is cut there: what it would write itself loses
somebody's indentation, quotes or line breaks.
"""

import json
import re
from collections.abc import Iterable, Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ruamel.yaml import MappingNode, Node
    from ruamel.yaml.events import Event

KEY = "ravi"
_FRONT_LIMIT = 32 * 1024  # characters; a second's work for a YAML reader in Python
_DEPTH_LIMIT = 32
_ALIAS_LIMIT = 50
# The lines between the first `---` and the next, as Jekyll introduced them and Symphony reads them.
_FRONT = re.compile(
    r"(\ufeff?---[ \t]*(\r?\n))(.*?)(^---[ \t]*(?:\r?\n|\Z))", re.DOTALL | re.MULTILINE
)


def merge(text: str, fields: Mapping[str, str | None]) -> str:
    """The file with `ravi:` holding `fields`; front matter is put first where there is none.

    Raises ValueError, saying why, for front matter that cannot be read or where `ravi` holds
    something else.
    """
    found = _FRONT.match(text)
    if not found:
        if re.match(r"\ufeff?---[ \t]*\r?$", text, re.MULTILINE):
            raise ValueError("its front matter has no end")
        newline = "\r\n" if "\r\n" in text else "\n"
        bare = text.removeprefix("\ufeff")
        mark = text[: len(text) - len(bare)]
        return f"{mark}---{newline}{_block(fields, '', newline)}---{newline}{bare}"
    _, newline, front, _ = found.groups()
    start, end, indent = _place(front, set(fields))
    merged = front[:start] + _block(fields, indent, newline) + front[end:]
    if _others(merged) != _others(front):
        raise ValueError("its front matter has no room for a key")
    return text[: found.start(3)] + merged + text[found.end(3) :]


def without(text: str, fields: set[str]) -> str:
    """The file without what `merge` put there; raises ValueError as `merge` does."""
    found = _FRONT.match(text)
    if not found:
        return text
    front = found[3]
    start, end, _ = _place(front, fields)
    if start == end:
        return text
    rest = front[:start] + front[end:]
    if _others(rest) != _others(front):
        raise ValueError("its front matter would say something else without our key")
    if rest:
        return text[: found.start(3)] + rest + text[found.end(3) :]
    return text[: text.index("---")] + text[found.end() :]


def _block(fields: Mapping[str, str | None], indent: str, newline: str) -> str:
    # JSON's strings and null are YAML's too.
    values = (
        f"  {name}: {json.dumps(value, ensure_ascii=False)}" for name, value in fields.items()
    )
    return "".join(f"{indent}{line}{newline}" for line in (f"{KEY}:", *values))


def _place(front: str, fields: set[str]) -> tuple[int, int, str]:
    """From where to where our lines stand, or are to stand, and how far they are indented."""
    root = _compose(front)
    if root is None:
        return len(front), len(front), ""
    ours = [(key, value) for key, value in root.value if key.value == KEY]
    if not ours:
        return len(front), len(front), " " * root.start_mark.column
    ((key, value),) = ours if len(ours) == 1 else (ours[0],)
    names = [name.value for name, _ in value.value] if _is_mapping(value) else []
    if len(ours) > 1 or not names or not set(names) <= fields:
        raise ValueError(f"its key {KEY!r} holds something else")
    start = front.rfind("\n", 0, key.start_mark.index) + 1
    end = value.value[-1][1].end_mark.index
    if front[end - 1] != "\n":  # a block scalar ends where the next line begins
        end = front.find("\n", end) + 1
    return start, end, " " * key.start_mark.column


def _others(front: str) -> object:
    """What the front matter says besides our key."""
    root = _compose(front)
    return [(_content(k), _content(v)) for k, v in root.value if k.value != KEY] if root else []


def _compose(front: str) -> "MappingNode | None":
    """The front matter's nodes, None where it is empty.

    Raises ValueError for what is not a mapping of lines, and for what is larger, deeper or more
    entangled than anybody writes by hand: a few hundred bytes of aliases stand for gigabytes.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if len(front) > _FRONT_LIMIT:
        raise ValueError(f"its front matter has more than {_FRONT_LIMIT} characters")
    try:
        _check_shape(YAML().parse(front))
        root: MappingNode | None = YAML().compose(front)
    except (YAMLError, RecursionError) as exc:
        raise ValueError("its front matter is not YAML") from exc
    if root is None:
        return None
    if not _is_mapping(root) or root.flow_style:
        raise ValueError("its front matter is not a list of keys, one a line")
    keys = [repr(_content(key)) for key, _ in root.value]
    if len(set(keys)) < len(keys):
        raise ValueError("its front matter has a key twice")
    return root


def _check_shape(events: "Iterable[Event]") -> None:
    """Raises ValueError for depth, for many aliases, and for one inside of what another repeats."""
    from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent

    is_anchored: list[bool] = []  # the collections that are open
    aliases = 0
    for event in events:
        if isinstance(event, CollectionStartEvent):
            is_anchored.append(event.anchor is not None)
        elif isinstance(event, CollectionEndEvent):
            is_anchored.pop()
        is_alias = isinstance(event, AliasEvent)
        aliases += is_alias
        if (is_alias and any(is_anchored)) or aliases > _ALIAS_LIMIT:
            raise ValueError("its front matter has aliases of aliases, or very many")
        if len(is_anchored) > _DEPTH_LIMIT:
            raise ValueError("its front matter is nested too deeply")


def _is_mapping(node: object) -> bool:
    from ruamel.yaml import MappingNode

    return isinstance(node, MappingNode)


def _content(node: "Node") -> object:
    """A node's tag and value, whatever its style."""
    value = node.value
    if isinstance(value, list):
        value = [
            tuple(map(_content, one)) if isinstance(one, tuple) else _content(one) for one in value
        ]
    return str(node.tag), value
