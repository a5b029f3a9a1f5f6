"""One key in the YAML front matter of a Markdown file; every other byte stays as it is.

A YAML library says where the key is, and the text is cut there: what it would write itself loses
somebody's indentation, quotes or line breaks.
"""

import json
import re
from collections.abc import Mapping

KEY = "ravi"
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
    from ruamel.yaml import YAML, MappingNode
    from ruamel.yaml.error import YAMLError

    try:
        root = YAML().compose(front)
    except YAMLError:
        raise ValueError("its front matter is no YAML") from None
    if root is None:
        return len(front), len(front), ""
    if not isinstance(root, MappingNode) or root.flow_style:
        raise ValueError("its front matter is no list of keys, one a line")
    for key, value in root.value:
        if key.value == KEY:
            if not isinstance(value, MappingNode) or not value.value:
                raise ValueError(f"its key {KEY!r} holds something else")
            if not {name.value for name, _ in value.value} <= fields:
                raise ValueError(f"its key {KEY!r} holds something else")
            start = front.rfind("\n", 0, key.start_mark.index) + 1
            end = front.find("\n", value.value[-1][1].end_mark.index) + 1
            return start, end, " " * key.start_mark.column
    return len(front), len(front), " " * root.start_mark.column


def _others(front: str) -> object:
    """What the front matter says besides our key."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        values = YAML().load(front) or {}
    except YAMLError:
        raise ValueError("its front matter is no YAML") from None
    return {name: value for name, value in values.items() if name != KEY}
