"""What is wrong with a command line, and what to type instead."""

from collections.abc import Sequence
from typing import Any

from ravi_agent.errors import UsageError
from ravi_agent.launcher.backend import KUBERNETES
from ravi_agent.launcher.commands.flags import Command, Declared
from ravi_agent.launcher.commands.program import PROGRAM
from ravi_agent.launcher.commands.registry import DEFAULT, NAMES, commands

# Flags of `docker run` that a run cannot have: why, and what to do.
_REFUSED = {
    "--entrypoint": (
        "the image's own creates the identity; another program would find the key on its input",
        f"{PROGRAM} run --count 50 -- python3 agent.py",
    )
}
_MOST = 3  # suggestions in one message


def unknown_flag(
    command: Command[Any], flag: str, words: Sequence[str], *, is_default: bool
) -> UsageError:
    """The error for a flag that the command does not have.

    words: the command line behind the command. is_default: no command was typed.
    """
    if is_default and (typed := next((word for word in words if word in NAMES), None)):
        return _misplaced(typed)
    if command.name == DEFAULT and flag in _REFUSED:
        return UsageError(flag, *_REFUSED[flag])
    import difflib

    others = [f"`{PROGRAM} {one.name} {flag}`" for one in commands() if flag in _flags(one)]
    meant = others[:_MOST] or difflib.get_close_matches(flag, _flags(command), n=1)
    why = f"`{PROGRAM} {command.name}` has no such flag"
    if meant:
        why += f"; did you mean {' or '.join(meant)}?"
    return UsageError(flag, why, f"{PROGRAM} {command.name} --help")


def unknown_command(word: str) -> UsageError:
    """The error for a first word that is no command."""
    import difflib

    near = difflib.get_close_matches(word, NAMES, n=1)
    hint = f"did you mean {near[0]}?" if near else "the agents' own command goes after --"
    return UsageError(f"command {word!r}", f"there is no such command; {hint}", f"{PROGRAM} --help")


def extra_argument(command: Command[Any], word: str) -> UsageError:
    """The error for a word that the command has no place for."""
    if command.name == DEFAULT and word in NAMES:
        return _misplaced(word)
    if command.has_command:
        return UsageError(
            f"argument {word!r}",
            "the agents' own command goes after --",
            f"{PROGRAM} {command.name} --count 50 --name nightly -- python3 agent.py",
        )
    return UsageError(
        f"argument {word!r}",
        f"`{PROGRAM} {command.name}` takes no more arguments",
        f"{PROGRAM} {command.name} --help",
    )


def _misplaced(word: str) -> UsageError:
    return UsageError(
        f"command {word!r}",
        f"a command comes before its flags; did you mean `{PROGRAM} {word}` and then the flags?",
        f"{PROGRAM} {word} --help",
    )


def command_for_agents(command: Command[Any]) -> UsageError:
    """The error for `--` behind a command that starts no agents."""
    return UsageError(
        "--",
        f"`{PROGRAM} {command.name}` starts no agents that could run a command",
        f"{PROGRAM} {command.name} --help",
    )


def bad_choice(one: Declared, value: str) -> UsageError:
    """The error for a value that is none of the choices."""
    choices = one.parameter.choices
    *most, last = choices
    text = f"{', '.join(most)} or {last}" if most else last
    name = one.parameter.name
    fix = f"{name} {choices[0]}" if one.parameter.names else choices[0]
    return UsageError(f"{name} {value!r}", f"choose {text}", fix)


def bad_number(one: Declared, value: str) -> UsageError:
    """The error for a value that is not a number, or too small."""
    parameter = one.parameter
    what = "a whole number" if one.kind is int else "a number"
    least = parameter.minimum
    why = f"give {what}" if least is None else f"give {what} of at least {least}"
    example = max(least or 0, 1)
    return UsageError(f"{parameter.name} {value!r}", why, f"{parameter.name} {example}")


def check_engine(command: Command[Any], backend: str | None, given: frozenset[str]) -> None:
    """Raises UsageError for a flag of another engine than the chosen one."""
    for one in command.parameters:
        parameter = one.parameter
        if parameter.only_on in {None, backend} or parameter.name not in given or backend is None:
            continue
        if backend == KUBERNETES:
            raise UsageError(
                f"{parameter.name} on Kubernetes", parameter.why, f"leave out {parameter.name}"
            )
        raise UsageError(
            parameter.name,
            parameter.why or "only Kubernetes has it",
            f"--backend {parameter.only_on}",
        )


def _flags(command: Command[Any]) -> list[str]:
    return [name for one in command.parameters for name in one.parameter.names]
