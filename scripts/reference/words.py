"""Commands and their options, as sections of a page."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from reference.markdown import capitalised, code, escaped, table

# A default that stands at the end of a help text goes to a column of its own.
_DEFAULT_AT_END = re.compile(r"\s*[\[(]default: (?P<default>.*?)(?:; variable \w+)?[\])]$")


@dataclass(frozen=True, kw_only=True)
class Word:
    """A flag, or an argument without one: `names` as typed, `value` where it takes one."""

    names: tuple[str, ...]
    value: str = ""
    default: str = ""
    meaning: str
    group: str = "Options"


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command: `name` with all its words, `usage` as typed."""

    name: str
    usage: str
    about: str
    arguments: list[Word] = field(default_factory=list)
    flags: list[Word] = field(default_factory=list)

    def as_markdown(self, *, level: int = 2) -> str:
        """Its section of a page."""
        groups = dict.fromkeys(flag.group for flag in self.flags)
        blocks = [
            f"{'#' * level} {self.name}",
            capitalised(escaped(self.about)),
            f"```text\n{self.usage}\n```",
            table(
                ("argument", "meaning"),
                ((code(" ".join(word.names)), escaped(word.meaning)) for word in self.arguments),
            ),
        ]
        for group in groups:
            if len(groups) > 1:
                blocks.append(f"{'#' * (level + 1)} {group}")
            blocks.append(table_of_flags(flag for flag in self.flags if flag.group == group))
        return "\n\n".join(filter(None, blocks))


def without_default(text: str) -> tuple[str, str]:
    """A help text and the default that stands at its end, empty where none does."""
    found = _DEFAULT_AT_END.search(text)
    if not found:
        return text, ""
    default = found["default"]
    return text[: found.start()], "" if default == "none" else default


def table_of_flags(flags: Iterable[Word]) -> str:
    """A row for each flag."""
    return table(("option", "default", "meaning"), map(_flag_row, flags))


def _flag_row(flag: Word) -> tuple[str, str, str]:
    shown = ", ".join(flag.names)
    return (
        code(f"{shown} {flag.value}".strip()),
        code(flag.default),
        escaped(flag.meaning),
    )
