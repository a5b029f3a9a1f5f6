"""What a shell offers: commands, flags, choices, and names that only the engine knows."""

import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import click
from click.shell_completion import CompletionItem, ShellComplete, get_completion_class

from ravi_agent.launcher.commands.engine_options import EngineOptions
from ravi_agent.launcher.commands.flags import Completion, Declared, declared

# Somebody is waiting at a prompt.
_TIMEOUT_S = 2.0


def answer(program: click.Command, instruction: str, variable: str) -> int:
    """Print the candidates for what a shell has put into the environment.

    instruction: `complete_` and the shell. Returns 1 for another one.
    """
    word, _, shell = instruction.partition("_")
    kind = get_completion_class(shell)
    if word != "complete" or kind is None or shell not in _FORMATS:
        return 1
    complete = kind(program, {}, program.name or "", variable)
    args, incomplete = complete.get_completion_args()
    prefix = ""
    if shell == "bash":  # it breaks words at `=`
        args, incomplete = [word for word in args if word != "="], incomplete.removeprefix("=")
    elif incomplete.startswith("--") and "=" in incomplete:  # replaced as a whole
        flag, _, incomplete = incomplete.partition("=")
        args, prefix = [*args, flag], f"{flag}="
    for item in _candidates(complete, args, incomplete):
        print(_FORMATS[shell](prefix + str(item.value), item.help or ""))
    return 0


def _candidates(complete: ShellComplete, args: list[str], incomplete: str) -> list[CompletionItem]:
    """What can be typed; nothing where that is a file, which the shell finds by itself."""
    found = complete.get_completions(args, incomplete)
    return sorted((one for one in found if one.type == "plain"), key=lambda one: str(one.value))


def _bash(value: str, _: str) -> str:
    return value


def _zsh(value: str, text: str) -> str:
    escaped = value.replace("\\", "\\\\").replace(":", "\\:")
    return f"{escaped}:{text}" if text else escaped


def _fish(value: str, text: str) -> str:
    return f"{value}\t{text}" if text else value


_FORMATS = {"bash": _bash, "zsh": _zsh, "fish": _fish}


def values(one: Declared, given: dict[str, Any]) -> Iterable[str]:
    """The values of a parameter. given: what the command line says so far, by field."""
    if one.parameter.choices:
        return one.parameter.choices
    if one.parameter.completion == Completion.RUN:
        return in_time(partial(_runs, _engine(given)))
    if one.parameter.completion == Completion.TASK and given.get("run"):
        return in_time(partial(_tasks, _engine(given), given["run"]))
    return ()


def _engine(given: dict[str, Any]) -> EngineOptions:
    known = {one.field: given[one.field] for one in declared(EngineOptions) if given.get(one.field)}
    return EngineOptions(**known)


def _runs(engine: EngineOptions) -> list[str]:
    with engine.open() as backend:
        return sorted({one.run for one in backend.agents()})


def _tasks(engine: EngineOptions, run: str) -> list[str]:
    with engine.open() as backend:
        return [one.task for one in backend.agents(run)]


def in_time(ask: Callable[[], list[str]], timeout_s: float = _TIMEOUT_S) -> list[str]:
    """What `ask` returns, or nothing where it fails or takes longer than `timeout_s`."""
    found: list[str] = []

    def store() -> None:
        try:
            found.extend(ask())
        except Exception:  # noqa: BLE001 - a message would appear in the middle of the prompt
            found.clear()

    # A daemon, so that an engine that hangs does not keep the process.
    thread = threading.Thread(target=store, daemon=True)
    thread.start()
    thread.join(timeout_s)
    return list(found) if not thread.is_alive() else []
