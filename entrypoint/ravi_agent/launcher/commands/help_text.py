"""`--help`: plain text as wide as the terminal, flags under the names of their groups."""

import textwrap
from itertools import groupby

from ravi_agent.launcher.commands.program import PROGRAM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ravi_agent.launcher.commands.reference import CommandReference, ParameterReference

    Rows = Sequence[tuple[str, str]]

_COLUMN = 32  # characters that flags may take beside their help
_GLOBAL = [("-h, --help", "Show this help."), ("    --version", "Show the version.")]


def command_help(command: "CommandReference", width: int) -> str:
    """The help of one command, in lines of at most `width` characters where words allow it."""
    arguments = [(one.metavar, one.help) for one in command.arguments]
    return "\n".join(
        [
            *_wrapped(f"Usage: {command.usage}", width),
            "",
            *_wrapped(f"{command.summary}.", width),
            *_section("Arguments", arguments, width),
            *_flags(command.flags, width),
        ]
    )


def program_help(
    commands: "Sequence[CommandReference]", default: "CommandReference", width: int
) -> str:
    """The help of the program: its commands, then the flags of the default one."""
    listed = [
        (one.name, one.summary + (" (the default)" if one.is_default else "")) for one in commands
    ]
    more = (
        f"`{PROGRAM} COMMAND --help` shows the flags of a command. Those of `{PROGRAM}"
        f" {default.name}` follow; the flags under Engine also work before the command."
    )
    return "\n".join(
        [
            f"Usage: {PROGRAM} [COMMAND] [OPTIONS] [ARGUMENT]...",
            "",
            *_wrapped(f"{default.summary}.", width),
            *_section("Commands", listed, width),
            "",
            *_wrapped(more, width),
            *_flags(default.flags, width),
        ]
    )


def _flags(flags: "Iterable[ParameterReference]", width: int) -> list[str]:
    lines = []
    for group, ones in groupby(flags, key=lambda one: one.group):
        lines += _section(group, [(_names(one), _text(one)) for one in ones], width)
    return lines + _section("Help", _GLOBAL, width)


def _section(title: str, rows: "Rows", width: int) -> list[str]:
    """A heading, then each name with its text beside it, or below it where it is long."""
    if not rows:
        return []
    column = max(len(name) for name, _ in rows if len(name) <= _COLUMN) + 4
    lines = ["", f"{title}:"]
    for name, text in rows:
        below = _wrapped(text, max(20, width - column))
        if len(name) > _COLUMN:
            lines.append(f"  {name}")
        else:
            lines.append(f"  {name}".ljust(column) + below.pop(0))
        lines += [" " * column + line for line in below]
    return lines


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def _names(one: "ParameterReference") -> str:
    """`-e, --env KEY[=VALUE]`; what has no short name is indented as if it had one."""
    names = ", ".join(sorted(one.names, key=len))
    indent = "" if len(one.names) > 1 else "    "
    return f"{indent}{names} {one.metavar}".rstrip()


def _text(one: "ParameterReference") -> str:
    notes = []
    if one.is_repeatable:
        notes.append("can be repeated")
    if one.default:
        notes.append(f"default: {one.default}")
    if one.variable:
        notes.append(f"variable: {one.variable}")
    if one.engine and one.group != one.engine.title():
        notes.append(f"{one.engine.title()} only")
    return one.help + (f" [{'; '.join(notes)}]" if notes else "")
