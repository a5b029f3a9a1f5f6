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

_CGROUP = "/sys/fs/cgroup"
# cgroup v2 (Linux 5.19), then v1.
_MEMORY_PEAK = (f"{_CGROUP}/memory.peak", f"{_CGROUP}/memory/memory.max_usage_in_bytes")
_CPU_USAGE = (f"{_CGROUP}/cpuacct/cpuacct.usage",)


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


def used_line() -> str:
    """What the container has used so far, for standard error; null is what is not measured.

    The peak of the memory that the kernel has charged to it, in bytes, and the processor's time.
    """
    memory, cpu_s = _number(_MEMORY_PEAK), None
    # In the root of a hierarchy, which has no such file, the times would be those of the host.
    if (stat := _read(f"{_CGROUP}/cpu.stat")) and os.path.exists(f"{_CGROUP}/cgroup.type"):
        usage = stat.partition(b"usage_usec ")[2].split()
        cpu_s = int(usage[0]) / 1e6 if usage and usage[0].isdigit() else None
    elif (nanoseconds := _number(_CPU_USAGE)) is not None:
        cpu_s = nanoseconds / 1e9
    peak = "null" if memory is None else memory
    seconds = "null" if cpu_s is None else f"{cpu_s:.3f}"
    return f'{contract.USED_PREFIX}{{"memory_peak_bytes": {peak}, "cpu_s": {seconds}}}\n'


def _number(paths: tuple[str, ...]) -> int | None:
    for path in paths:
        if (text := _read(path).strip()).isdigit():
            return int(text)
    return None


def _read(path: str) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read()
    except OSError:
        return b""


def _signal_name(number: int) -> str:
    for name, value in vars(signal).items():
        if value == number and name.startswith("SIG") and "_" not in name:
            return str(name)
    return f"signal {number}"  # a real-time one
