"""`ravi-launch`: from what was typed to an exit code."""

import gc
import os
import sys

from ravi_agent.launcher.commands.program import COMPLETE_VARIABLE, PROGRAM

TYPE_CHECKING = False
if TYPE_CHECKING:
    import click

    from ravi_agent.errors import UsageError

EXIT_INTERRUPTED = 130
EXIT_NO_READER = 141  # as if SIGPIPE had ended it
_COLLECT_AFTER = 50_000  # new objects; 700 by default


def program() -> None:
    """Console script: `main`, without what Python does around it that a short command waits for.

    Its garbage collector would look through all that is imported again and again, and at the end
    it would free each object of a process that is over.
    """
    gc.set_threshold(_COLLECT_AFTER)
    try:
        main()
    except SystemExit as exc:
        if isinstance(exc.code, int) and _is_all_done():
            os._exit(exc.code)
        raise


def _is_all_done() -> bool:
    """Whether no thread is waited for, and all that was printed has been written."""
    threads = sys.modules.get("threading")  # --help needs none, and does not load it
    if threads and any(not thread.daemon for thread in threads.enumerate()[1:]):
        return False
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:  # Python says so at its end
        return False
    return True


def main() -> None:
    """0 if every agent succeeded, 1 if not, else a code of the reference."""
    _open_closed()
    if instruction := os.environ.get(COMPLETE_VARIABLE):
        sys.exit(_complete(instruction))
    argv = sys.argv[1:]
    command = None
    if "--" in argv:
        at = argv.index("--")
        argv, command = argv[:at], tuple(argv[at + 1 :])
    sys.exit(run(argv, command))


def _open_closed() -> None:
    """Have streams that were closed at the start lead nowhere.

    Python has None for them, and prints to standard output what is for a standard error of None.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - for good


def run(argv: list[str], command: tuple[str, ...] | None) -> int:
    """Carry out a command line; `command` is what follows `--`, None where nothing does."""
    if argv[-1:] in (["--help"], ["-h"]):
        from ravi_agent.launcher.commands.short_help import answer

        text = answer(argv)
        if text is not None:
            return _print(text)
    return _missing_extra() or _carry_out(argv, command)


def _complete(instruction: str) -> int:
    if code := _missing_extra():
        return code
    from ravi_agent.launcher.commands import completions
    from ravi_agent.launcher.commands.parser import LaunchGroup

    return completions.answer(LaunchGroup(), instruction, COMPLETE_VARIABLE)


def _missing_extra() -> int:
    """0 where the packages of the extra are installed, else the code to exit with."""
    from ravi_agent import extras
    from ravi_agent.errors import SettingsError

    try:
        extras.require(PROGRAM, "launch", extras.LAUNCH)
    except SettingsError as exc:
        from ravi_agent.container.failure import leave_with

        return leave_with(exc, PROGRAM)
    return 0


def _print(text: str) -> int:
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        return _no_reader()
    except OSError as exc:
        from ravi_agent.container.failure import leave_with

        return leave_with(exc, PROGRAM)
    return 0


def _no_reader() -> int:
    # Python would complain when it flushes standard output at its end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_NO_READER


def _carry_out(argv: list[str], command: tuple[str, ...] | None) -> int:
    import click

    from ravi_agent.container.failure import leave_with
    from ravi_agent.launcher.commands.parser import LaunchGroup

    app = LaunchGroup()
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
        return _no_reader()
    except Exception as exc:  # noqa: BLE001 - the one place where every failure becomes a code
        return leave_with(exc, PROGRAM)
    return code


def _usage_error(exc: "click.UsageError") -> "UsageError":
    from ravi_agent.errors import UsageError

    text = " ".join(exc.format_message().split()).rstrip(".")
    path = exc.ctx.command_path if exc.ctx else PROGRAM
    return UsageError("command line", text[:1].lower() + text[1:], f"{path} --help")
