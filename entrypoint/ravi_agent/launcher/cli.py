"""`ravi-launch`: from what was typed to an exit code."""

import sys
from dataclasses import dataclass

import typer

from ravi_agent.container.failure import leave_with
from ravi_agent.errors import UsageError
from ravi_agent.launcher.commands import launch, runs

PROGRAM = "ravi-launch"
EXIT_INTERRUPTED = 130

# What Typer raises for a wrong command line, whichever click it brings along.
_CommandLineError: type[Exception] = typer.BadParameter.__mro__[1]

app = typer.Typer(
    name=PROGRAM,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.callback(invoke_without_command=True)(launch.launch)
app.command(
    "render", help="Print a run as YAML for kubectl: ravi-launch render --count 50 --name N."
)(launch.launch)
runs.register(app)


@dataclass(kw_only=True)
class Invocation:
    """What all commands of one command line share. command: what stood behind `--`, if anything."""

    command: tuple[str, ...] | None = None
    backend: str = "docker"
    host: str | None = None
    context: str | None = None
    namespace: str | None = None


def main() -> None:
    """Console script: 0 if every agent ended with 0, 1 if not, else a code of the README."""
    argv = sys.argv[1:]
    command = None
    if "--" in argv:
        at = argv.index("--")
        argv, command = argv[:at], tuple(argv[at + 1 :])
    sys.exit(_run(argv, command))


def _run(argv: list[str], command: tuple[str, ...] | None) -> int:
    try:
        code: int | None = app(argv, standalone_mode=False, obj=Invocation(command=command))
    except _CommandLineError as exc:
        return leave_with(UsageError("command line", _one_line(exc), f"{PROGRAM} -h"), PROGRAM)
    except (KeyboardInterrupt, typer.Abort):
        return EXIT_INTERRUPTED
    except Exception as exc:  # noqa: BLE001 - the one place where every failure becomes a code
        return leave_with(exc, PROGRAM)
    return code or 0


def _one_line(exc: Exception) -> str:
    text = " ".join(str(getattr(exc, "message", exc)).split()).rstrip(".")
    param = getattr(exc, "param", None)
    if param is not None:
        text = f"{param.opts[0]}: {text}"
    if text.startswith("No such command"):
        text += " (a command for the agents goes behind --)"
    return text
