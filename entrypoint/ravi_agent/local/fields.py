"""What a request may hold, said once: checked here, and shown in the OpenAPI document.

A field is a JSON Schema of the few keywords that `read` knows. Unknown fields are ignored, and null
is the same as absent where a field is optional.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ravi_agent.local.refusals import StoreError

if TYPE_CHECKING:
    from starlette.datastructures import QueryParams

Schema = dict[str, object]
_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "array": list,
}


@dataclass(frozen=True)
class Field:
    """One value of a request: its JSON Schema, and whether it has to be there."""

    schema: Schema
    is_required: bool = False

    def required(self) -> "Field":
        return Field(self.schema, is_required=True)


def text(*, pattern: str = "", limit: int = 1_000, **more: object) -> Field:
    """A line of printable characters, at most `limit` of them."""
    schema: Schema = {"type": "string", "maxLength": limit, "format": "line", **more}
    return Field({**schema, "pattern": f"^(?:{pattern})$"} if pattern else schema)


def long_text(limit: int = 1_000_000) -> Field:
    """Text of any characters."""
    return Field({"type": "string", "maxLength": limit})


def choice(*values: str) -> Field:
    return Field({"type": "string", "enum": list(values)})


def number(minimum: int, maximum: int) -> Field:
    return Field({"type": "integer", "minimum": minimum, "maximum": maximum})


def texts(pattern: str = "", limit: int = 1_000) -> Field:
    """A list of lines."""
    return Field({"type": "array", "items": text(pattern=pattern).schema, "maxItems": limit})


FLAG = Field({"type": "boolean"})


def read_body(content: bytes, fields: Mapping[str, Field]) -> dict[str, object]:
    """The known fields of a JSON object; raises StoreError for anything else."""
    try:
        body = json.loads(content or b"{}")
    except (ValueError, RecursionError) as exc:
        raise StoreError("the body is not JSON") from exc
    if not isinstance(body, dict):
        raise StoreError("the body is not a JSON object")
    return _known(body, fields)


def read_query(query: "QueryParams", fields: Mapping[str, Field]) -> dict[str, object]:
    """The known parameters of a query, as the types they are declared with."""
    found: dict[str, object] = {}
    for name in fields:
        if name in query:
            found[name] = _from_query(name, query[name], fields[name].schema)
    return _known(found, fields)


def _known(found: Mapping[str, object], fields: Mapping[str, Field]) -> dict[str, object]:
    known: dict[str, object] = {}
    for name, field in fields.items():
        value = found.get(name)
        if value is not None:
            _check(name, value, field.schema)
            known[name] = value
        elif field.is_required:
            raise StoreError(f"{name}: this field is required")
    return known


def _from_query(name: str, value: str, schema: Schema) -> object:
    if schema["type"] == "integer":
        if not re.fullmatch(r"-?[0-9]{1,18}", value):
            raise StoreError(f"{name}: not a number")
        return int(value)
    if schema["type"] == "boolean":
        # As Python's `True`, JavaScript's `true` and a form's `1` come through a query.
        if value.lower() not in {"true", "false", "1", "0"}:
            raise StoreError(f"{name}: neither true nor false")
        return value.lower() in {"true", "1"}
    return value


def _check(name: str, value: object, schema: Schema) -> None:
    kind = str(schema["type"])
    if not isinstance(value, _TYPES[kind]) or (kind == "integer" and isinstance(value, bool)):
        raise StoreError(f"{name}: not of the type {kind}")
    if isinstance(value, str):
        _check_text(name, value, schema)
    elif isinstance(value, list):
        _check_list(name, value, schema)
    elif kind == "integer":
        _check_number(name, value, schema)


def _check_text(name: str, value: str, schema: Schema) -> None:
    if any("\ud800" <= char <= "\udfff" for char in value):
        raise StoreError(f"{name}: half a surrogate pair")
    if schema.get("format") == "line" and not value.isprintable():
        raise StoreError(f"{name}: not a line of printable characters")
    if len(value) > int(str(schema.get("maxLength", len(value)))):
        raise StoreError(f"{name}: longer than {schema['maxLength']} characters")
    if "enum" in schema and value not in list(schema["enum"]):  # type: ignore[call-overload]
        raise StoreError(f"{name}: none of {schema['enum']}")
    if "pattern" in schema and not re.search(str(schema["pattern"]), value):
        raise StoreError(f"{name}: not of the form that is asked for")


def _check_list(name: str, value: list[object], schema: Schema) -> None:
    items = schema["items"]
    assert isinstance(items, dict)
    if len(value) > int(str(schema.get("maxItems", len(value)))):
        raise StoreError(f"{name}: more than {schema['maxItems']} entries")
    for item in value:
        _check(name, item, items)


def _check_number(name: str, value: object, schema: Schema) -> None:
    assert isinstance(value, int)
    lowest, highest = schema.get("minimum", value), schema.get("maximum", value)
    assert isinstance(lowest, int)
    assert isinstance(highest, int)
    if not lowest <= value <= highest:
        raise StoreError(f"{name}: not between {lowest} and {highest}")
