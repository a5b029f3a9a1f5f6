"""The command line of `ravi`, read and explained from one table of commands.

Flags are read as the official CLI reads them (pflag): anywhere behind the words of the command,
`--flag VALUE` or `--flag=VALUE`, a switch alone or with `=true` or `=false`, and nothing behind
`--`. `--json`, `--human` and `--help` may also stand before or between the words.
"""

from ravi_agent.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ravi_agent.command.session import Session

    Call = Callable[[Session, "Given"], object]

PROGRAM = "ravi"
_EVERYWHERE = ("--json  print JSON, the default", "--human  print text for people to read")
_TRUTH = {"true": True, "1": True, "false": False, "0": False}


class Field:
    """A flag or an operand, from a line such as `--attach FILE*  file to attach`.

    Upper-case letters name its value; `!` behind them makes it required, `*` lets it be given
    again. A flag without them is a switch.
    """

    __slots__ = ("is_flag", "is_list", "is_required", "metavar", "name", "text")

    def __init__(self, line: str) -> None:
        spec, _, self.text = line.partition("  ")
        self.is_flag = spec.startswith("--")
        name, _, metavar = spec.partition(" ") if self.is_flag else ("", "", spec)
        self.is_required = metavar.endswith("!")
        self.is_list = metavar.endswith("*")
        self.metavar = metavar.rstrip("!*")
        self.name = name or self.metavar

    @property
    def key(self) -> str:
        """What `Given` knows it by."""
        return self.name.removeprefix("--").lower()

    def usage(self) -> str:
        shown = f"{self.name} {self.metavar}".strip() if self.is_flag else self.metavar
        return shown if self.is_required else f"[{shown}]"


class Command:
    """Its words, the call that carries it out, what it does in a phrase, and its fields.

    A command whose `text` is empty works and is not listed: a word of older guides.
    """

    __slots__ = ("call", "lines", "text", "words")

    def __init__(self, words: str, call: "Call", text: str, *lines: str) -> None:
        self.words = words
        self.call = call
        self.text = text
        self.lines = lines

    def fields(self) -> list[Field]:
        return [Field(line) for line in (*self.lines, *_EVERYWHERE)]


class Given:
    """What one command line said; a field that it left out is None, False or empty."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self._values: dict[str, str | bool | list[str]] = {}

    def keep(self, field: Field, value: str | bool) -> None:
        """Take a value; the last one counts, as in the official CLI."""
        if not field.is_list:
            self._values[field.key] = value
            return
        self._values[field.key] = [*self.texts(field.key), str(value)]

    def has(self, key: str) -> bool:
        """Whether it was on the command line at all."""
        return key in self._values

    def text(self, key: str) -> str | None:
        value = self._values.get(key)
        return value if isinstance(value, str) else None

    def texts(self, key: str) -> list[str]:
        value = self._values.get(key)
        return value if isinstance(value, list) else []

    def is_on(self, key: str) -> bool:
        return self._values.get(key) is True

    def plain(self, key: str) -> str | None:
        """A text that must be printable and not blank. Raises UsageError."""
        value = self.text(key)
        if value is not None and (not value.strip() or not value.isprintable()):
            raise self.wrong(key, "give printable text")
        return value

    def number(self, key: str) -> int | None:
        """A whole number above 0. Raises UsageError."""
        value = self.text(key)
        if value is None:
            return None
        if not value.isascii() or not value.isdigit() or int(value[:9]) == 0:
            raise self.wrong(key, "give a whole number above 0")
        return int(value[:9])

    def wrong(self, key: str, why: str) -> UsageError:
        """The error for a value that cannot be used."""
        (field,) = (field for field in self.command.fields() if field.key == key)
        return UsageError(f"{field.name} {self._values.get(key, '')!r}", why, help_line(self))


def help_line(given: Given) -> str:
    return f"{PROGRAM} {given.command.words} --help"


class Table:
    """Every command, in the order in which help lists them; `aliases` are other first words."""

    def __init__(
        self, commands: "Sequence[Command]", topics: dict[str, str], aliases: dict[str, str]
    ) -> None:
        self.commands = commands
        self._by_words = {command.words: command for command in commands}
        self._topics = topics
        self._aliases = aliases

    def parse(self, argv: list[str]) -> "Given | str":
        """What the command line says, or the text of the help that it asks for.

        Raises UsageError for what is unknown, missing or too much.
        """
        words: list[str] = []
        common: list[str] = []
        rest = list(argv)
        if rest[:1] == ["help"]:
            rest = [*rest[1:], "--help"]
        command = None
        while rest and command is None and rest[0] != "--":
            word = rest.pop(0)
            if word.startswith("-"):
                common.append(word)
                continue
            words.append(self._aliases.get(word, word) if not words else word)
            command = self._by_words.get(" ".join(words))
            if command is None and (len(words) == 2 or words[0] not in self._topics):
                raise self._unknown(words)
        if command is None:
            self._check_common(words, common)
            return self._overview(words[0] if words else None)
        return self._fields(command, [*common, *rest])

    def _fields(self, command: Command, argv: list[str]) -> "Given | str":
        given = Given(command)
        fields = command.fields()
        flags = {field.name: field for field in fields if field.is_flag}
        operands = [field for field in fields if not field.is_flag]
        waiting = list(argv)
        is_ended = False
        while waiting:
            word = waiting.pop(0)
            if word == "--" and not is_ended:
                is_ended = True
            elif is_ended or not word.startswith("-") or word == "-":
                if not operands:
                    raise _wrong(command.words, f"{word!r} is one argument too many")
                given.keep(operands.pop(0), word)
            elif word in {"-h", "--help"}:
                return _explained(command)
            else:
                _take(given, flags, word, waiting)
        for field in fields:
            if field.is_required and not given.has(field.key):
                raise _wrong(command.words, f"{field.name} is missing")
        return given

    def _check_common(self, words: list[str], flags: list[str]) -> None:
        """Raise UsageError for a flag that no help takes."""
        for flag in flags:
            if flag not in {"-h", "--help", "--json", "--human"}:
                raise _wrong(" ".join(words), f"unknown flag {flag}")

    def _unknown(self, words: list[str]) -> UsageError:
        *above, last = words
        below = self._topics if not above else self._below(above[0])
        known = [*below, *self._by_words] if not above else list(below)
        close = _close(last, [word for word in known if " " not in word])
        hint = f", did you mean {close!r}?" if close else ""
        fix = " ".join([PROGRAM, *above, *([close] if close else []), "--help"])
        return UsageError("command line", f"unknown command {' '.join(words)!r}{hint}", fix)

    def _below(self, topic: str) -> list[str]:
        return [
            command.words.partition(" ")[2]
            for command in self.commands
            if command.text and command.words.startswith(f"{topic} ")
        ]

    def _overview(self, topic: str | None) -> str:
        """The commands of a topic, or of all."""
        about = self._topics[topic] if topic else "Ravi identities, mail, SMS and credentials."
        shown = [
            (command.words, command.text)
            for command in self.commands
            if command.text and (topic is None or command.words.partition(" ")[0] == topic)
        ]
        name = f"{PROGRAM} {topic}" if topic else PROGRAM
        return (
            f"usage: {name} COMMAND [flags]\n\n{about}\n\n{_columns(shown)}\n\n"
            f"{_columns(line.split('  ') for line in _EVERYWHERE)}\n\n"
            f"`{PROGRAM} help COMMAND` explains one. Exit codes: 0 done, 1 not there, 64 usage,\n"
            "69 service unreachable, 75 try later, 76 answer not understood, 77 refused,\n"
            "78 settings.\n"
        )


def _take(given: Given, flags: dict[str, Field], word: str, waiting: list[str]) -> None:
    """One flag, with its value from the word itself or from the next. Raises UsageError."""
    name, equals, value = word.partition("=")
    field = flags.get(name)
    words = given.command.words
    if field is None:
        close = _close(name, list(flags))
        raise _wrong(words, f"unknown flag {name}" + (f", did you mean {close}?" if close else ""))
    if field.metavar:
        if not equals and not waiting:
            raise _wrong(words, f"{name} needs a value")
        given.keep(field, value if equals else waiting.pop(0))
        return
    if equals and value.lower() not in _TRUTH:
        raise _wrong(words, f"{name} takes true or false")
    given.keep(field, _TRUTH[value.lower()] if equals else True)


def _explained(command: Command) -> str:
    fields = command.fields()
    usage = " ".join(field.usage() for field in fields[: -len(_EVERYWHERE)])
    shown = [(f"{field.name} {field.metavar}" if field.is_flag else field.name, field.text)
             for field in fields]  # fmt: skip
    text = command.text or "A word of older guides."
    return (
        f"usage: {PROGRAM} {command.words} {usage}".rstrip()
        + f"\n\n{text[:1].upper()}{text[1:]}.\n\n{_columns(shown)}\n"
    )


def _columns(rows: "Iterable[Iterable[str]]") -> str:
    pairs = [tuple(row) for row in rows]
    width = max(len(name.strip()) for name, _ in pairs)
    return "\n".join(f"  {name.strip():{width}}  {text}" for name, text in pairs)


def _wrong(words: str, why: str) -> UsageError:
    return UsageError("command line", why, " ".join(filter(None, [PROGRAM, words, "--help"])))


def _close(word: str, known: list[str]) -> str | None:
    from difflib import get_close_matches  # only a mistake waits for it

    return next(iter(get_close_matches(word, known, n=1)), None)
