"""Lists as docker's and kubectl's: a table without lines, JSON, or a template of one's own."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ravi_agent.errors import UsageError

_FIELD = re.compile(r"\{\{\s*(?:\.([A-Za-z]+)|(json)\s+\.([A-Za-z]*))\s*\}\}")
_GAP = 3  # spaces between columns, as kubectl has them
_TABLE = "table"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they need; no line is wrapped or cut, so that scripts can read it."""
    lines = [[name.upper() for name in columns], *rows]
    widths = [max(len(line[at]) for line in lines) for at in range(len(columns))]
    return "".join(
        "".join(cell.ljust(width + _GAP) for cell, width in zip(line, widths, strict=True)).rstrip()
        + "\n"
        for line in lines
    )


def formatter(text: str, fields: Sequence[str]) -> Callable[[Sequence[Mapping[str, str]]], str]:
    """How `--format` wants records shown: `json`, `table`, `table TEMPLATE` or a template.

    A template is docker's without its functions: `{{.Field}}`, `{{json .}}` and `{{json .Field}}`.
    Raises UsageError for a field that there is not.
    """
    if text == "json":
        text = "{{json .}}"
    is_table, _, rest = text.partition(" ")
    template = rest if is_table == _TABLE and rest else "" if text == _TABLE else text
    template = template.replace("\\t", "\t").replace("\\n", "\n")
    named = [found[1] or found[3] for found in _FIELD.finditer(template)]
    for name in named:
        if name and name not in fields:
            raise UsageError(
                f"--format {text!r}",
                f"no field {name!r}; there are {', '.join(fields)}",
                f"--format '{{{{.{fields[0]}}}}}'",
            )
    if "{{" in _FIELD.sub("", template):
        raise UsageError(
            f"--format {text!r}",
            "only {{.Field}}, {{json .}} and {{json .Field}} are known",
            f"--format '{{{{.{fields[0]}}}}}'",
        )
    if is_table == _TABLE:
        return lambda records: _as_table(records, template, named or list(fields))
    return lambda records: "".join(f"{_filled(template, one)}\n" for one in records)


def _as_table(records: Sequence[Mapping[str, str]], template: str, named: Sequence[str]) -> str:
    parts = template.split("\t") if template else [f"{{{{.{name}}}}}" for name in named]
    rows = [[_filled(part, one) for part in parts] for one in records]
    heads = [_FIELD.sub(lambda found: _title(found[1] or found[3]), part) for part in parts]
    return table(heads, rows)


def _title(field: str) -> str:
    """`ExitCode` as a heading: `EXIT CODE`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", field)


def _filled(template: str, record: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        if found[2]:
            what: Any = record[found[3]] if found[3] else dict(record)
            return json.dumps(what)
        return record[found[1]]

    return _FIELD.sub(value, template)
