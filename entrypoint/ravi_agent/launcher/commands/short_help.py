"""`--help` without the commands: what they say of themselves is kept in `help.json`.

Somebody waits for it, and all commands with their options take four times as long to load as their
help to print. `make reference` writes the file, and `make lint` compares it with the code.
"""

import json
import os
import sys
from types import SimpleNamespace

from ravi_agent.launcher.commands.help_text import command_help, program_help

FILE = os.path.join(os.path.dirname(__file__), "help.json")
_WORDS = ("--help", "-h")
_WIDEST, _NARROWEST, _MARGIN = 100, 50, 2  # as click has them


def answer(argv: list[str]) -> str | None:
    """The help that is asked for; None where something else is, or must be found out."""
    if not argv or argv[-1] not in _WORDS or len(argv) > 2:
        return None
    with open(FILE, encoding="utf-8") as file:
        commands = json.load(file, object_hook=lambda fields: SimpleNamespace(**fields))
    if len(argv) == 1:
        (default,) = (one for one in commands if one.is_default)
        return program_help(commands, default, width())
    found = [one for one in commands if one.name == argv[0]]
    return command_help(found[0], width()) if found else None


def width() -> int:
    """Characters of a line, by COLUMNS or the terminal."""
    try:
        columns = int(os.environ.get("COLUMNS", ""))
    except ValueError:
        columns = 0
    if columns <= 0:
        try:
            columns = os.get_terminal_size(sys.__stdout__.fileno()).columns  # type: ignore[union-attr]
        except (AttributeError, ValueError, OSError):
            columns = 80
    return max(min(columns or 80, _WIDEST) - _MARGIN, _NARROWEST)
