"""From an exception to a message and an exit code."""

import errno
import os
import sys

from ravi_agent import contract
from ravi_agent.errors import RaviError
from ravi_agent.log import write_stderr

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn


# What no program can help: the machine's limits, and what is to be done about them.
_LIMITS = {
    errno.EAGAIN: (
        "no process slot is left",
        "raise it: docker run --pids-limit … --ulimit nproc=…",
    ),
    errno.ENOMEM: ("no memory is left", "raise the limit: docker run --memory …"),
    errno.EMFILE: ("no descriptor is left", "raise the limit: docker run --ulimit nofile=…"),
    errno.ENFILE: ("the host has no descriptor left", "raise fs.file-max on the host"),
}
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE, errno.ENOLCK}


def leave_with(exc: BaseException, program: str, *, is_container_over: bool = False) -> int:
    """Print why this start ends, and return the code to end with.

    is_container_over: the container ends with this program, so Kubernetes is told why, too.

    What is no RaviError, no program that cannot be run and no limit of the machine is a bug of
    ours: the only case that shows a traceback. That shows lines of code and the kind of the
    exception; its text could quote a key, so it stays out.
    """
    expected = _expected(exc)
    if expected is None:
        import traceback  # nobody waits for it but us

        frames = "".join(traceback.format_tb(exc.__traceback__))
        reason = str(exc.strerror) if isinstance(exc, OSError) else "unexpected"
        message = f"{type(exc).__name__}: {reason}"
        write_stderr(
            f"{frames}{program}: error: {message}\n"
            "  fix: this is a bug; report it with the lines above, which hold no secret\n"
        )
        what, why = message.split(": ", 1)
        expected = what, why, "report it with what the log says", contract.EXIT_BUG
    else:
        what, why, fix, _ = expected
        write_stderr(f"{program}: error: {what}: {why}\n" + (f"  fix: {fix}\n" if fix else ""))
    what, why, fix, code = expected
    if is_container_over:
        leave_termination_message(
            f"{program}: error: {what}: {why}" + (f"; fix: {fix}" if fix else "")
        )
    return code


def _expected(exc: BaseException) -> tuple[str, str, str | None, int] | None:
    """What failed, why, the remedy and the code; None for what nobody expected."""
    if isinstance(exc, RaviError):
        return exc.what, exc.why, exc.fix, exc.exit_code
    # Whoever has raised that has loaded it: no start waits for it.
    module = sys.modules.get("ravi_agent.container.exec_error")
    if module and isinstance(exc, module.ExecError):
        return "cannot run the agent", exc.why, exc.fix, exc.code
    number = exc.errno if isinstance(exc, OSError) else None
    if isinstance(exc, MemoryError):
        number = errno.ENOMEM
    elif isinstance(exc, RuntimeError) and "new thread" in str(exc):  # CPython's words for EAGAIN
        number = errno.EAGAIN
    if number in _LIMITS:
        why, fix = _LIMITS[number]
        return "this start", why, fix, contract.EXIT_BUG
    if number in _DISK:
        name = exc.filename if isinstance(exc, OSError) else None
        fix = "free some space" + (", or set RAVI_WORKSPACE" if name else ", or write elsewhere")
        where = os.fsdecode(name) if name else "a file"
        return where, os.strerror(number or 0), fix, contract.EXIT_WORKSPACE
    return None


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
