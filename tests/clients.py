"""docs/clients.md: which calls of which official client have been seen to work."""

import os
import re
from pathlib import Path

SDK_VERSION = "0.3.0"
CLI_VERSION = "0.6.2"
PAGE = Path(__file__).parents[1] / "docs" / "clients.md"
# By what is called, and with which key: `✔`, `✘`, or the status it is refused with.
Cells = dict[tuple[str, str], str]


def check_page(client: str, cells: Cells) -> None:
    """Compare the client's rows with what was measured; RAVI_WRITE_DOCS=1 writes them."""
    if os.environ.get("RAVI_WRITE_DOCS") == "1":
        text = PAGE.read_text(encoding="utf-8")
        start, end = f"<!-- {client} -->\n", f"<!-- end of {client} -->"
        head, _, rest = text.partition(start)
        tail = rest.partition(end)[2]
        PAGE.write_text(f"{head}{start}{_table(cells)}{end}{tail}", encoding="utf-8")
    measured = set(_rows(_table(cells)))
    stated = set(_rows(_section(client)))
    assert measured <= stated, f"RAVI_WRITE_DOCS=1 .venv/bin/pytest, {measured - stated}"


def stated_calls(client: str) -> set[str]:
    """What the page has a row for."""
    return {row[0] for row in _rows(_section(client))}


def _section(client: str) -> str:
    text = PAGE.read_text(encoding="utf-8")
    return text.partition(f"<!-- {client} -->")[2].partition(f"<!-- end of {client} -->")[0]


def _table(cells: Cells) -> str:
    kinds = sorted({kind for _, kind in cells}, reverse=True)
    lines = [_row("Call", *kinds), _row("---", *(":-:" for _ in kinds))]
    names = dict.fromkeys(name for name, _ in cells)
    lines += [_row(f"`{name}`", *(cells.get((name, kind), "") for kind in kinds)) for name in names]
    return "\n".join(lines) + "\n"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _rows(text: str) -> list[tuple[str, ...]]:
    lines = [line for line in text.splitlines() if re.match(r"\| `", line)]
    return [tuple(cell.strip() for cell in line.strip("|").split(" | ")) for line in lines]
