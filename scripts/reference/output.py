"""The JSON of `ravi-launch`, out of its schema."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reference.markdown import code, page, table

_FOLDER = Path(__file__).parents[2] / "docs"
_SCHEMA = "ravi-launch.schema.json"
_MEANINGS = {
    "run": "`--output json`: the whole run, once it is over.",
    "state": "`--output jsonl`: an agent has changed its state.",
    "output": "`--output jsonl`: a line that an agent has printed.",
    "note": "`--output jsonl`: a message of the launcher.",
    "end": "`--output jsonl`: the last line.",
    "agent": "An agent, in `run` and in `state`.",
    "identity": "An identity.",
    "summary": "Counts and times of the whole run.",
}


def page_of_output() -> str:
    """output.md."""
    schema = json.loads((_FOLDER / _SCHEMA).read_text(encoding="utf-8"))
    definitions = schema["$defs"]
    shapes = {name: one for name, one in definitions.items() if "properties" in one}
    if set(shapes) != set(_MEANINGS):
        raise AssertionError(f"{_SCHEMA} has other objects than this page")
    blocks = [
        "\n\n".join(
            (
                f"## {name}",
                text,
                table(("field", "type", "always there"), _rows(shapes[name], definitions)),
            )
        )
        for name, text in _MEANINGS.items()
    ]
    return page(
        "Output of ravi-launch",
        f"From [{_SCHEMA}](../{_SCHEMA}), the JSON Schema. Times are ISO 8601, durations seconds.",
        *blocks,
    )


def _rows(shape: dict[str, Any], definitions: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    if "$ref" in shape:
        base = _name(shape["$ref"])
        yield f"all of [{base}](#{base})", "", ""
    required = shape.get("required", [])
    for name, field in shape["properties"].items():
        yield code(name), _type(field, definitions), "yes" if name in required else "no"


def _type(field: dict[str, Any], definitions: dict[str, Any]) -> str:
    if "$ref" in field:
        name = _name(field["$ref"])
        if name in _MEANINGS:
            is_nullable = "null" in definitions[name].get("type", ())
            return f"[{name}](#{name})" + (" or null" if is_nullable else "")
        return _type(definitions[name], definitions)
    if "const" in field:
        return code(json.dumps(field["const"]))
    if "enum" in field:
        return ", ".join(code(json.dumps(value)) for value in field["enum"])
    if field.get("type") == "array":
        return f"array of {_type(field['items'], definitions)}"
    if field.get("format") == "date-time":
        return "date and time"
    kinds = field["type"] if isinstance(field["type"], list) else [field["type"]]
    return " or ".join(kinds)


def _name(reference: str) -> str:
    return reference.rpartition("/")[2]
