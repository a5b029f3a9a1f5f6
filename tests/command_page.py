"""The table of docs/command.md, made from the table of commands: `python tests/command_page.py`."""

import sys
from pathlib import Path

from ravi_agent.command.table import TABLE
from ravi_agent.command.words import Command

PAGE = Path(__file__).parents[1] / "docs/command.md"
BEGIN, END = "<!-- commands: made by tests/command_page.py -->\n", "<!-- end -->\n"
_EVERYWHERE = {"--json", "--human"}


def rows() -> str:
    """Every listed command with its flags, as Markdown."""
    lines = [f"| `{_usage(one)}` | {one.text} |" for one in TABLE.commands if one.text]
    return "\n".join(["| command | does or prints |", "|---|---|", *lines]) + "\n"


def _usage(command: Command) -> str:
    fields = [field.usage() for field in command.fields() if field.name not in _EVERYWHERE]
    return " ".join(["ravi", command.words, *fields]).replace("|", "\\|")


def with_rows(page: str) -> str:
    """The page with the table of now."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{rows()}{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(with_rows(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.exit(0)
