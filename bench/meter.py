"""Processor time of the engine and of containers, by the kernel's own account of their cgroups.

A process's times leave out the children that nobody waited for, and an engine has thousands of
short ones; what a cgroup has used stays counted when its processes are gone.
"""

import os
from collections.abc import Iterable, Iterator

_PID_FILE = "/var/run/docker.pid"
_OWN = "ravi-bench"
_V1, _V2 = "/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup"


class MeterError(Exception):
    """This machine does not let us measure; says why."""


class Meter:
    """The engine on this host: dockerd, containerd, their shims, runc and proxies.

    Where they are in the root cgroup, as without a service manager, they are moved to one of their
    own. Raises MeterError.
    """

    def __init__(self) -> None:
        try:
            with open(_PID_FILE, encoding="ascii") as file:
                dockerd = int(file.read())
        except (OSError, ValueError) as exc:
            raise MeterError(f"{_PID_FILE}: {exc}; the engine is to run on this host") from exc
        pids = [dockerd, *_containerd(dockerd)]
        self._paths = sorted({_cgroup_of(pid) for pid in pids})
        if self._paths == ["/"]:
            _move(pids)
            self._paths = [f"/{_OWN}"]

    def engine_s(self) -> float:
        """Processor seconds until now."""
        return sum(_used_s(path) for path in self._paths)


def containers_s(pids: Iterable[int]) -> float:
    """Processor seconds of the containers whose first processes these are."""
    return sum(_used_s(_cgroup_of(pid)) for pid in pids)


def private_mb(pid: int) -> float:
    """Memory that a process has written to; what it maps of files is the same for all."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        sizes = [int(line.split()[1]) for line in file if line.startswith("Private_Dirty:")]
    return sum(sizes) / 1024


def load() -> float:
    """The load average of the last minute."""
    return round(os.getloadavg()[0], 2)


def _is_v1() -> bool:
    return os.path.isdir(_V1)


def _cgroup_of(pid: int) -> str:
    with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
        for line in file:
            _, controllers, path = line.rstrip("\n").split(":", 2)
            if ("cpuacct" in controllers.split(",")) if _is_v1() else not controllers:
                return path
    raise MeterError(f"process {pid} is in no cgroup that counts processor time")


def _used_s(path: str) -> float:
    if _is_v1():
        with open(f"{_V1}{path}/cpuacct.usage", encoding="ascii") as file:
            return int(file.read()) / 1e9
    with open(f"{_V2}{path}/cpu.stat", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("usage_usec")) / 1e6


def _move(pids: Iterable[int]) -> None:
    path = f"{_V1 if _is_v1() else _V2}/{_OWN}"
    try:
        os.makedirs(path, exist_ok=True)
        for pid in pids:
            with open(f"{path}/cgroup.procs", "w", encoding="ascii") as file:
                file.write(str(pid))
    except OSError as exc:
        raise MeterError(f"{path}: {exc.strerror}; run this as root") from exc


def _containerd(dockerd: int) -> Iterator[int]:
    """The one that dockerd has started, else those that are there."""
    found = {}
    for entry in os.listdir("/proc"):
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8") as file:
                name, _, rest = file.read().partition("(")[2].rpartition(")")
        except OSError:
            continue  # no process, or one that has just ended
        if name == "containerd":
            found[int(entry)] = int(rest.split()[1])
    own = [pid for pid, parent in found.items() if parent == dockerd]
    yield from own or found
