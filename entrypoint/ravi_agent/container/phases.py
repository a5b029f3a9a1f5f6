"""From one phase of PID 1 to the next."""

import os
import sys

from ravi_agent.log import Log

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from typing import NoReturn
else:
    import _signal as signal  # as in stop.py

# For a phase that has a child's place; it limits itself to less.
_RUN_LIMIT_S = 10.0


def exec_phase(phase: str, words: list[str], environment: dict[str, str]) -> "NoReturn":
    """Become that phase. Descriptors that Python opened close by themselves.

    Raises ExecError: the agent's words and variables may be near the kernel's limit.
    """
    main_file = os.path.join(os.path.dirname(__file__), "exec_phase.py")
    command = [sys.executable, "-IS", main_file, phase, *words]
    try:
        os.execve(sys.executable, command, environment)
    except OSError as exc:
        from ravi_agent.container.exec_error import explain

        raise explain(exc, sys.executable, command, environment) from exc


def run_phase(phase: str, words: list[str], environment: dict[str, str], log: Log) -> None:
    """Run that phase as a child, and wait for it, but not for ever.

    A child, because the agent may have replaced the interpreter: whatever comes of it, this
    process goes on. words: those of a phase that exits with the number that the first word is.
    Expects SIGCHLD to be blocked.
    """
    try:
        pid = os.fork()
        if pid == 0:
            try:
                exec_phase(phase, words, environment)
            finally:
                os._exit(127)
        code = _wait(pid)
    except OSError as exc:
        log.warning(f"no {phase}: {exc.strerror}", "ravi-release")
        return
    if code != int(words[0]):
        why = "it took too long" if code is None else f"its program ended with {code}"
        log.warning(f"no {phase}: {why}", "ravi-release")


def _wait(pid: int) -> int | None:
    """A child's exit code, negative for a signal; None for one that had to be killed."""
    import time  # built in

    ends = time.monotonic() + _RUN_LIMIT_S
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        left_s = ends - time.monotonic()
        if left_s <= 0:
            os.kill(pid, signal.SIGKILL)
            return None
        signal.sigtimedwait({signal.SIGCHLD}, left_s)
