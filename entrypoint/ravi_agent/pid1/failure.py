"""From an exception to a message and an exit code."""

import sys

from ravi_agent import contract
from ravi_agent.errors import RaviError
from ravi_agent.log import write_stderr

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn


def leave_with(exc: BaseException, program: str) -> int:
    """Print why this start ends, and return the code to end with.

    What is no RaviError is a bug of ours: the only case that shows a traceback. That shows lines
    of code and the kind of the exception; its text could quote a key, so it stays out.
    """
    if isinstance(exc, RaviError):
        write_stderr(exc.lines(program))
        return exc.exit_code
    import traceback  # nobody waits for it but us

    frames = "".join(traceback.format_tb(exc.__traceback__))
    reason = str(exc.strerror) if isinstance(exc, OSError) else "unexpected"
    write_stderr(
        f"{frames}{program}: error: {type(exc).__name__}: {reason}\n"
        "  fix: this is a bug of ours; report it with the lines above, which hold no secret\n"
    )
    return contract.EXIT_BUG


def run(program: str, story: "Callable[[], int]") -> "NoReturn":
    """Leave with what `story` returns, or with the code of what it raises."""
    try:
        code = story()
    except Exception as exc:  # noqa: BLE001 - the one place where every failure becomes a code
        code = leave_with(exc, program)
    sys.exit(code)
