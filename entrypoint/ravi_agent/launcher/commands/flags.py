"""Flags and arguments, declared beside the fields of an options dataclass.

    @dataclass(frozen=True, kw_only=True)
    class StopOptions:
        run: str = argument("RUN", help="Name of the run.")
        time_s: int = flag("--time", "-t", default=10, metavar="SECONDS", help="Grace period.")

A field whose type is such a dataclass itself contributes all of its flags.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from enum import StrEnum
from functools import cache
from types import UnionType
from typing import Any, Generic, TypeVar, get_args, get_origin, get_type_hints

_METADATA = "parameter"
_METAVARS = {str: "TEXT", int: "N", float: "NUMBER"}

T = TypeVar("T")


class Group(StrEnum):
    """The headings of `--help`, in their order."""

    OPTIONS = "Options"
    RUN = "Run"
    IDENTITIES = "Identities"
    FAILURE = "Failure"
    CONTAINER = "Container"
    KUBERNETES = "Kubernetes"
    OUTPUT = "Output"
    ENGINE = "Engine"


class Completion(StrEnum):
    """What a shell offers for a value."""

    NOTHING = "nothing"
    FILE = "file"
    DIRECTORY = "directory"
    RUN = "run"  # names of runs, from the engine
    TASK = "task"  # names of tasks of the run on the command line


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A flag, or an argument where `names` is empty.

    choices: the only values. minimum: the least value. default_text: what `--help` shows where
    `default` does not say it. variable: the environment variable that means the same. only_on: the
    one engine that reads it, and `why`. fixed_on: engines that cannot change it in a resumed run.
    """

    names: tuple[str, ...] = ()
    help: str
    group: Group = Group.OPTIONS
    metavar: str = ""
    choices: tuple[str, ...] = ()
    minimum: int | None = None
    default_text: str = ""
    variable: str = ""
    completion: Completion = Completion.NOTHING
    only_on: str | None = None
    why: str = ""
    fixed_on: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The long name, by which messages mention it."""
        return self.names[0] if self.names else self.metavar


@dataclass(frozen=True, kw_only=True)
class Declared:
    """A parameter together with its field. kind: `str`, `int`, `float` or `bool`."""

    field: str
    parameter: Parameter
    kind: type
    is_repeated: bool
    is_required: bool
    default: Any

    @property
    def metavar(self) -> str:
        """How `--help` shows the value; empty for a switch."""
        if self.kind is bool:
            return ""
        return self.parameter.metavar or "|".join(self.parameter.choices) or _METAVARS[self.kind]

    @property
    def default_text(self) -> str:
        """The default as `--help` shows it; empty where there is none worth showing."""
        if self.parameter.default_text or self.default in {None, False, ()}:
            return self.parameter.default_text
        return str(self.default)

    @property
    def type_name(self) -> str:
        """The type in words, for reference pages."""
        name = {str: "string", int: "integer", float: "number", bool: "boolean"}[self.kind]
        return f"list of {name}s" if self.is_repeated else name


def flag(*names: str, default: Any = None, **parameter: Any) -> Any:
    """A field that is typed as a flag; see `Parameter`. The long name comes first."""
    return field(default=default, metadata={_METADATA: Parameter(names=names, **parameter)})


def list_format(help_text: str = "Format of the list.") -> Any:
    """The field of a command that prints a table for people, or JSON for machines."""
    return flag(
        "--output",
        "-o",
        default="table",
        choices=("table", "json"),
        group=Group.OUTPUT,
        help=help_text,
    )


def argument(metavar: str, *, default: Any = MISSING, **parameter: Any) -> Any:
    """A field that is typed by its position; required unless it has a default."""
    metadata = {_METADATA: Parameter(metavar=metavar, **parameter)}
    return (
        field(metadata=metadata)
        if default is MISSING
        else field(default=default, metadata=metadata)
    )


@cache
def declared(options: type[Any]) -> tuple[Declared, ...]:
    """The parameters of an options dataclass, those of nested ones included, in their order."""
    return tuple(_declared(options))


def _declared(options: type[Any]) -> Iterator[Declared]:
    hints = get_type_hints(options)
    for one in fields(options):
        if _has_fields(hints[one.name]):
            yield from _declared(hints[one.name])
        else:
            yield _of_field(one, hints[one.name])


def _of_field(one: Field[Any], hint: Any) -> Declared:
    is_repeated = get_origin(hint) is tuple
    if is_repeated:
        hint = get_args(hint)[0]
    elif isinstance(hint, UnionType):
        hint = next(kind for kind in get_args(hint) if kind is not type(None))
    return Declared(
        field=one.name,
        parameter=one.metadata[_METADATA],
        kind=hint,
        is_repeated=is_repeated,
        is_required=one.default is MISSING,
        default=None if one.default is MISSING else one.default,
    )


def _has_fields(hint: object) -> bool:
    return is_dataclass(hint)


def build(options: type[T], values: Mapping[str, Any]) -> T:
    """An options dataclass, nested ones included, from values by the names of fields."""
    hints: dict[str, Any] = get_type_hints(options)
    found = {}
    for one in fields(options):  # type: ignore[arg-type]
        hint = hints[one.name]
        found[one.name] = build(hint, values) if _has_fields(hint) else values[one.name]
    return options(**found)


@dataclass(frozen=True, kw_only=True)
class Call:
    """What a command gets beside its options.

    given: the long names of the flags on the command line. command: what follows `--`, None where
    nothing does. environ: the host's variables.
    """

    given: frozenset[str]
    command: tuple[str, ...] | None
    environ: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Command(Generic[T]):
    """A command of `ravi-launch`. has_command: it takes the agents' command after `--`."""

    name: str
    summary: str
    options: type[T]
    execute: Callable[[T, Call], int]
    has_command: bool = False

    @property
    def parameters(self) -> Sequence[Declared]:
        options: Any = self.options  # mypy takes no type variable for hashable
        return declared(options)
