"""How an agent has ended: in words, and as an exit code."""

import os

from ravi_agent import contract
from ravi_agent.container.stop import STOP_SIGNALS
from ravi_agent.log import Log

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # as in stop.py


def say_how_it_ended(
    log: Log,
    status: int | None,
    *,
    stopped_by: int | None,
    is_killed: bool,
    who: str = "the agent",
) -> int:
    """The agent's exit code; 137 if it never went.

    status: as waitpid(2) gives it. stopped_by: the last stop signal that came for the agent.
    is_killed: whether its grace was over.
    """
    if status is None:
        return contract.EXIT_SIGNAL_BASE + signal.SIGKILL
    code = os.waitstatus_to_exitcode(status)
    after = f" after {_signal_name(stopped_by)}" if stopped_by else ""
    if code == 0:
        log.debug(f"{who} ended with 0{after}")
    elif code > 0:
        log.info(f"{who} ended with {code}{after}")
    elif after and (-code in STOP_SIGNALS or is_killed):
        log.info(f"{who} was stopped on request: {_signal_name(-code)}{after}")
    elif -code == signal.SIGKILL and memory_kills():
        log.warning(f"{who} was killed for want of memory", "docker run --memory …")
    else:
        log.warning(f"{who} was ended by {_signal_name(-code)}{after}")
    return code if code >= 0 else contract.EXIT_SIGNAL_BASE - code


def memory_kills() -> int:
    """How often the kernel has killed in this container for want of memory (cgroup v2, v1)."""
    for path in (
        "/sys/fs/cgroup/memory.events",
        "/sys/fs/cgroup/memory/memory.oom_control",
    ):
        try:
            # Bytes: another encoding than UTF-8 would be loaded from a file.
            with open(path, "rb", buffering=0) as file:
                counts = dict(line.split(b" ", 1) for line in file.read().splitlines())
            return int(counts.get(b"oom_kill", 0))
        except (OSError, ValueError):
            continue
    return 0


def _signal_name(number: int) -> str:
    for name, value in vars(signal).items():
        if value == number and name.startswith("SIG") and "_" not in name:
            return str(name)
    return f"signal {number}"  # a real-time one
