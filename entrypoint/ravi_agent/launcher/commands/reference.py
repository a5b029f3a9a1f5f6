"""Every command and every flag as data: for `--help`, and for the reference pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ravi_agent.launcher.commands.flags import Command, Declared, Group
from ravi_agent.launcher.commands.program import PROGRAM
from ravi_agent.launcher.commands.registry import DEFAULT, commands


@dataclass(frozen=True, kw_only=True)
class ParameterReference:
    """A flag, or an argument where `names` is empty.

    metavar: how the value is shown; empty for a switch. type: in words ("integer", "list of
    strings"). default: as text, empty where there is none. variable: the environment variable
    that means the same. engine: the only backend that has it, empty for every one.
    """

    names: tuple[str, ...]
    metavar: str
    type: str
    default: str
    help: str
    group: str
    choices: tuple[str, ...]
    is_required: bool
    is_repeatable: bool
    variable: str
    engine: str


@dataclass(frozen=True, kw_only=True)
class CommandReference:
    """A command: `usage` is its command line, `arguments` come by position."""

    name: str
    usage: str
    summary: str
    is_default: bool
    arguments: Sequence[ParameterReference]
    flags: Sequence[ParameterReference]


def describe_commands() -> list[CommandReference]:
    """All commands in the order of `--help`, each with its flags in the order of their groups."""
    return [describe(command) for command in commands()]


def describe(command: Command[Any]) -> CommandReference:
    """One command. Flags come in the order of their groups."""
    described = [_parameter(one) for one in command.parameters]
    arguments = [one for one in described if not one.names]
    words = [PROGRAM, "[run]" if command.name == DEFAULT else command.name, "[OPTIONS]"]
    words += [_argument(one) for one in arguments]
    if command.has_command:
        words.append("[-- COMMAND...]")
    return CommandReference(
        name=command.name,
        usage=" ".join(words),
        summary=command.summary,
        is_default=command.name == DEFAULT,
        arguments=arguments,
        flags=[one for group in Group for one in described if one.names and one.group == group],
    )


def _parameter(one: Declared) -> ParameterReference:
    parameter = one.parameter
    return ParameterReference(
        names=parameter.names,
        metavar=one.metavar,
        type=one.type_name,
        default=one.default_text,
        help=parameter.help,
        group=parameter.group,
        choices=parameter.choices,
        is_required=one.is_required,
        is_repeatable=one.is_repeated,
        variable=parameter.variable,
        engine=parameter.only_on or "",
    )


def _argument(one: ParameterReference) -> str:
    text = one.metavar if one.is_required else f"[{one.metavar}]"
    return f"{text}..." if one.is_repeatable else text
