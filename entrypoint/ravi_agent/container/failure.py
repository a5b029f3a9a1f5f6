"""From an exception to a message and an exit code."""

import os
import sys

from ravi_agent import contract
from ravi_agent.errors import RaviError
from ravi_agent.log import write_stderr

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn


def leave_with(exc: BaseException, program: str, *, is_container_over: bool = False) -> int:
    """Print why this start ends, and return the code to end with.

    is_container_over: the container ends with this program, so Kubernetes is told why, too.

    What is no RaviError is a bug of ours: the only case that shows a traceback. That shows lines
    of code and the kind of the exception; its text could quote a key, so it stays out.
    """
    if isinstance(exc, RaviError):
        write_stderr(exc.lines(program))
        if is_container_over:
            leave_termination_message(exc.line(program))
        return exc.exit_code
    import traceback  # nobody waits for it but us

    frames = "".join(traceback.format_tb(exc.__traceback__))
    reason = str(exc.strerror) if isinstance(exc, OSError) else "unexpected"
    message = f"{program}: error: {type(exc).__name__}: {reason}"
    write_stderr(
        f"{frames}{message}\n"
        "  fix: this is a bug of ours; report it with the lines above, which hold no secret\n"
    )
    if is_container_over:
        leave_termination_message(f"{message}; fix: report it with what the log says")
    return contract.EXIT_BUG


def leave_termination_message(message: str, path: str = contract.TERMINATION_LOG) -> None:
    """Write why a container ends to where Kubernetes shows it; nothing where there is no such file.

    https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/
    """
    data = message.encode(errors="replace")[: contract.TERMINATION_LOG_LIMIT]
    try:
        # The kubelet makes it: a file that is not there is not waited for by anybody.
        descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return
    try:
        os.write(descriptor, data)
    except OSError:
        return  # the message has been printed as well
    finally:
        os.close(descriptor)


def run(program: str, story: "Callable[[], int]", *, is_container_over: bool = False) -> "NoReturn":
    """Leave with what `story` returns, or with the code of what it raises."""
    try:
        code = story()
    except Exception as exc:  # noqa: BLE001 - the one place where every failure becomes a code
        code = leave_with(exc, program, is_container_over=is_container_over)
    sys.exit(code)
