"""What a command answers, on standard output."""

import errno
import os
import signal

from ravi_agent.errors import WorkspaceError
from ravi_agent.terminal import visible


def write_answer(text: str, *, done: str = "") -> None:
    """Write to standard output. done: what has happened all the same where that fails.

    Ends the process as a filter ends where whoever reads has stopped early. Raises WorkspaceError
    where it cannot be written.
    """
    data = (visible(text) if os.isatty(1) else text).encode(errors="replace")
    try:
        while data:
            data = data[os.write(1, data) :]
    except BrokenPipeError:
        # Only now, because a connection that the service has closed would raise the same signal.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGPIPE])
        os.kill(os.getpid(), signal.SIGPIPE)
        os._exit(128 + signal.SIGPIPE)  # PID 1, whom no signal of its own ends
    except OSError as exc:
        is_full = exc.errno in {errno.ENOSPC, errno.EDQUOT}
        raise WorkspaceError(
            "standard output",
            f"{exc.strerror}{done and f'; {done}'}",
            "free some space" if is_full else "redirect it to where it can be written",
        ) from exc
