"""`ravi-launch`: from what was typed to an exit code."""

import os
import sys

import click

from ravi_agent.container.failure import leave_with
from ravi_agent.errors import UsageError
from ravi_agent.launcher.commands import completions
from ravi_agent.launcher.commands.completion import VARIABLE
from ravi_agent.launcher.commands.parser import LaunchGroup
from ravi_agent.launcher.commands.reference import PROGRAM

EXIT_INTERRUPTED = 130
EXIT_NO_READER = 141  # as if SIGPIPE had ended it

app = LaunchGroup()


def main() -> int:
    """Carry out the process's command line.

    0 if every agent succeeded, 1 if not, else a code of the reference.
    """
    if instruction := os.environ.get(VARIABLE):
        return completions.answer(app, instruction, VARIABLE)
    argv = sys.argv[1:]
    command = None
    if "--" in argv:
        at = argv.index("--")
        argv, command = argv[:at], tuple(argv[at + 1 :])
    return run(argv, command)


def run(argv: list[str], command: tuple[str, ...] | None) -> int:
    """Carry out a command line; `command` is what follows `--`, None where nothing does."""
    try:
        with app.make_context(PROGRAM, argv, obj=command) as ctx:
            code: int = app.invoke(ctx)
        if sys.stdout:  # closed since the start otherwise
            sys.stdout.flush()
    except click.exceptions.Exit as exc:  # --help and --version
        code = exc.exit_code
    except click.UsageError as exc:
        return leave_with(_usage_error(exc), PROGRAM)
    except (KeyboardInterrupt, click.Abort):
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Python would complain when it flushes standard output at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_NO_READER
    except Exception as exc:  # noqa: BLE001 - the one place where every failure becomes a code
        return leave_with(exc, PROGRAM)
    return code


def _usage_error(exc: click.UsageError) -> UsageError:
    text = " ".join(exc.format_message().split()).rstrip(".")
    path = exc.ctx.command_path if exc.ctx else PROGRAM
    return UsageError("command line", text[:1].lower() + text[1:], f"{path} --help")
