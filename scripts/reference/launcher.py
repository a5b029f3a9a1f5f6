"""The commands of `ravi-launch`."""

from ravi_agent.launcher.commands.program import PROGRAM
from ravi_agent.launcher.commands.reference import (
    CommandReference,
    ParameterReference,
    describe_commands,
)
from reference.markdown import code, sentence
from reference.words import Command, Word


def launcher_commands() -> list[Command]:
    """Each command, the default one first."""
    return [_command(one) for one in describe_commands()]


def _command(one: CommandReference) -> Command:
    return Command(
        name=f"{PROGRAM} {one.name}",
        usage=one.usage,
        about=one.summary + (". This is the default command" if one.is_default else ""),
        arguments=[_word(argument) for argument in one.arguments],
        flags=[_word(flag) for flag in one.flags],
    )


def _word(one: ParameterReference) -> Word:
    notes = [sentence(one.help)]
    if one.choices:
        notes.append(f"One of {', '.join(map(code, one.choices))}.")
    if one.is_repeatable:
        notes.append("Can be repeated.")
    if one.variable:
        notes.append(f"Variable: {code(one.variable)}.")
    if one.engine and one.engine.title() != one.group:
        notes.append(f"{one.engine.title()} only.")
    is_listed = one.metavar == "|".join(one.choices)
    return Word(
        names=tuple(sorted(one.names, key=len)) or (one.metavar,),
        value=("VALUE" if one.choices and is_listed else one.metavar) if one.names else "",
        default=one.default,
        meaning=" ".join(notes),
        group=one.group,
    )
