"""`--tasks FILE`: one agent a row, as JSON Lines, CSV or bare ids.

JSON Lines: {"id": …, "command": […] or "…", "env": {…}, "image": …, "workspace": …,
"labels": {…}}, all but `id` optional. CSV: a header with `id` and any of `command`, `image`,
`workspace`, `env.NAME` and `label.NAME`. Else: an id a line; empty lines and `#` lines are skipped.
"""

import csv
import io
import json
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from ravi_agent.errors import UsageError

# Part of a container's name, of a label's value and of an identity's name.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_FIELDS = ("id", "command", "env", "image", "workspace", "labels")
_CSV_FIELDS = ("id", "command", "image", "workspace")
STANDARD_INPUT = "-"
_OTHER_COMMAS = re.compile(r"[;\t]")  # with which spreadsheets separate cells in many languages
# A document's start, an item of a list, or a key: no id has a blank, and none begins with `-`.
_YAML = re.compile(r"---|- |%YAML|[A-Za-z_]+:(\s|$)")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One task as written. command None: the run's; image None: the run's."""

    id: str
    command: tuple[str, ...] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    image: str | None = None
    workspace: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


class _Place:
    """Where in the file a row stands, for messages; columns count from 1, in CSV by cells."""

    def __init__(self, name: str, line: int, *, text: str = "", header: Sequence[str] = ()) -> None:
        self.name = name
        self.line = line
        self._text = text
        self._header = header

    def refuse(self, why: str, *, column: int = 1) -> NoReturn:
        raise UsageError(
            f"{self.name}, line {self.line}, column {column}", why, "mend the row; nothing started"
        )

    def column_of(self, key: str, *, is_key: bool = False) -> int:
        """Where a field's value is written, or the field's own name."""
        if key in self._header:
            return self._header.index(key) + 1
        return _json_column(self._text, key, is_key=is_key)


def _json_column(text: str, wanted: str, *, is_key: bool) -> int:
    """The column of a key or its value in the object on a line of valid JSON; else 1."""
    # JSON is YAML (https://yaml.org/spec/1.2.2/#13-terminology), and a YAML parser keeps columns.
    from ruamel.yaml import YAML, MappingNode
    from ruamel.yaml.error import YAMLError

    try:
        node = YAML(typ="safe", pure=True).compose(text)
    except (YAMLError, RecursionError):
        return 1
    pairs = node.value if isinstance(node, MappingNode) else []
    for key, value in pairs:
        if key.value == wanted:
            return int((key if is_key else value).start_mark.index) + 1
    return 1


def read_tasks(path: str) -> list[Row]:
    """The rows of a file, or of standard input for `-`.

    Raises UsageError naming the file, the line and the column of what is wrong.
    """
    name = "standard input" if path == STANDARD_INPUT else path
    try:
        if path == STANDARD_INPUT:
            if sys.stdin is None:  # closed since the start
                raise UsageError("--tasks -", "standard input is closed", "--tasks FILE")
            text = sys.stdin.buffer.read()
        else:
            with open(path, "rb") as file:
                text = file.read()
        return parse_tasks(name, text.decode("utf-8-sig"))
    except OSError as exc:
        raise UsageError(f"--tasks {path}", str(exc.strerror), "--tasks FILE, or -") from exc
    except UnicodeDecodeError as exc:
        raise UsageError(
            f"--tasks {path}", f"byte {exc.start + 1} is no UTF-8", "save the file as UTF-8"
        ) from None


def parse_tasks(name: str, text: str) -> list[Row]:
    """The rows of a text called `name`; what it is written in shows in its first line."""
    lines = [line.strip() for line in _lines(text)]
    first = next((line for line in lines if line and not line.startswith("#")), "")
    if _YAML.match(first):
        raise UsageError(
            f"--tasks {name}",
            "it looks like YAML; tasks are JSON Lines, CSV with a heading, or ids, one a line",
            '{"id": "a", "command": ["python3", "agent.py"]} on a line of its own for each task',
        )
    cells = [cell.strip(' "') for cell in _OTHER_COMMAS.split(first)]
    if len(cells) > 1 and "id" in cells:
        raise UsageError(
            f"--tasks {name}, line 1",
            "its cells are not separated by commas",
            "save it as CSV with commas",
        )
    if first.startswith(("{", "[")):
        rows = _json_rows(name, text)
    elif "," in first or first == "id":
        rows = _csv_rows(name, text)
    else:
        rows = _id_rows(name, text)
    seen: dict[str, int] = {}
    tasks = []
    for place, row in rows:
        if not _ID.fullmatch(row.id):
            place.refuse(
                f"id {row.id!r} is not 1 to 63 letters, digits, '.', '_' and '-'",
                column=place.column_of("id"),
            )
        if row.id in seen:
            place.refuse(
                f"id {row.id!r} stands in line {seen[row.id]} too", column=place.column_of("id")
            )
        seen[row.id] = place.line
        tasks.append(row)
    if not tasks:
        raise UsageError(f"--tasks {name}", "it has no task", "one task a line")
    return tasks


def _lines(text: str) -> list[str]:
    """Lines as files have them; `splitlines` would cut at what JSON allows within a text."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _id_rows(name: str, text: str) -> Iterator[tuple[_Place, Row]]:
    for number, line in enumerate(_lines(text), 1):
        task = line.strip()
        if task and not task.startswith("#"):
            yield _Place(name, number, text=line), Row(id=task)


def _json_rows(name: str, text: str) -> Iterator[tuple[_Place, Row]]:
    for number, line in enumerate(_lines(text), 1):
        if not line.strip():
            continue
        place = _Place(name, number, text=line)
        try:
            record = json.loads(line)
        except json.JSONDecodeError as exc:
            place.refuse(f"no JSON: {exc.msg}", column=exc.colno)
        except (ValueError, RecursionError):
            place.refuse("nested too deeply, or a number too long")
        if not isinstance(record, dict):
            place.refuse('not an object like {"id": "a"}')
        for key in record:
            if key not in _FIELDS:
                place.refuse(
                    f"unknown field {key!r}; there are {', '.join(_FIELDS)}",
                    column=place.column_of(key, is_key=True),
                )
        yield place, _row_of(record, place)


def _row_of(record: Mapping[str, Any], place: _Place) -> Row:
    def take(key: str, kinds: str, is_right: Callable[[Any], bool]) -> Any:
        value = record.get(key)
        if value is not None and not is_right(value):
            place.refuse(f"{key} is not {kinds}", column=place.column_of(key))
        return value

    task = take("id", "text or a whole number", lambda value: type(value) in {str, int})
    if task is None:
        place.refuse("no id")
    command = take("command", "text or a list of texts", _is_command)
    if isinstance(command, str):
        command = _split(command, place)
    return Row(
        id=str(task),
        command=None if command is None else tuple(command),
        environment=_texts(take("env", "an object of texts and numbers", _is_flat)),
        image=take("image", "text", _is_text),
        workspace=take("workspace", "text", _is_text),
        labels=_texts(take("labels", "an object of texts and numbers", _is_flat)),
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _is_command(value: object) -> bool:
    return _is_text(value) or (
        isinstance(value, list) and value != [] and all(isinstance(part, str) for part in value)
    )


def _is_flat(value: object) -> bool:
    return isinstance(value, dict) and all(type(one) in {str, int, float} for one in value.values())


def _texts(value: Mapping[str, object] | None) -> dict[str, str]:
    return {name: str(one) for name, one in (value or {}).items()}


def _split(command: str, place: _Place) -> list[str]:
    """A command in one text, cut as a shell cuts words."""
    try:
        words = shlex.split(command)
    except ValueError as exc:
        place.refuse(f"command: {exc}", column=place.column_of("command"))
    if not words:
        place.refuse("command: no word", column=place.column_of("command"))
    return words


def _csv_rows(name: str, text: str) -> Iterator[tuple[_Place, Row]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] | None = None
    begins = 1
    try:
        for cells in reader:
            place = _Place(name, begins, header=header or ())
            begins = reader.line_num + 1
            if not any(cells):
                continue
            if header is None:
                header = _check_header([cell.strip() for cell in cells], place)
                continue
            if len(cells) != len(header):
                place.refuse(
                    f"{len(cells)} cells under {len(header)} headings",
                    column=min(len(cells), len(header)) + 1,
                )
            yield place, _row_of_cells(dict(zip(header, cells, strict=True)), place)
    except csv.Error as exc:
        _Place(name, begins).refuse(f"no CSV: {exc}")


def _check_header(header: list[str], place: _Place) -> list[str]:
    for column, heading in enumerate(header, 1):
        is_pair = heading.startswith(("env.", "label.")) and heading.partition(".")[2]
        if heading not in _CSV_FIELDS and not is_pair:
            place.refuse(
                f"unknown heading {heading!r}; there are {', '.join(_CSV_FIELDS)}, env.NAME"
                " and label.NAME",
                column=column,
            )
        if heading in header[: column - 1]:
            place.refuse(f"heading {heading!r} stands twice", column=column)
    if "id" not in header:
        place.refuse("no heading 'id'")
    return header


def _row_of_cells(cells: Mapping[str, str], place: _Place) -> Row:
    def pairs(prefix: str) -> dict[str, str]:
        return {
            heading.removeprefix(prefix): cell
            for heading, cell in cells.items()
            if heading.startswith(prefix) and cell
        }

    command = cells.get("command")
    return Row(
        id=cells["id"].strip(),
        command=tuple(_split(command, place)) if command else None,
        environment=pairs("env."),
        image=cells.get("image") or None,
        workspace=cells.get("workspace") or None,
        labels=pairs("label."),
    )
