"""When a process of this host began. Linux says it in files; `psutil` knows all other systems."""

import os

_PROC_STAT = "/proc/stat"
# proc_pid_stat(5), behind the name: the state is the third field, the start the twenty-second.
_STATE, _START = 3 - 3, 22 - 3


def began_at(pid: int) -> float | None:
    """Unix seconds; None for a process that is not there, or has ended and is not waited for."""
    if not os.path.exists(_PROC_STAT):
        return _asked(pid)
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    if fields[_STATE] in {b"Z", b"X"}:
        return None
    return _booted_at() + int(fields[_START]) / os.sysconf("SC_CLK_TCK")


def _booted_at() -> int:
    with open(_PROC_STAT, "rb") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(b"btime "))


def _asked(pid: int) -> float | None:
    import psutil  # 8 ms that only who needs it waits for

    try:
        found = psutil.Process(pid)
        return None if found.status() == psutil.STATUS_ZOMBIE else float(found.create_time())
    except psutil.NoSuchProcess:
        return None
