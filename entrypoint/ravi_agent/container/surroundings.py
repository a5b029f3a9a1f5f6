"""Whether a container engine has started this process; PID 1 is only the plainest sign of that."""

import os

_MARKS = ("/.dockerenv", "/run/.containerenv")  # Docker's, Podman's


def is_started_by_engine() -> bool:
    """Whether this is what a container was started for, whatever its pid is.

    It is PID 1, or in a container whose processes have pids elsewhere (`--init`, `--pid`) the one
    whose parent is the init or outside. A program that somebody runs in a container is not.
    """
    if os.getpid() == 1 or os.getppid() == 0:  # 0: the parent is in another pid namespace
        return True
    if "KUBERNETES_SERVICE_HOST" not in os.environ and not any(map(os.path.exists, _MARKS)):
        return False
    if os.getppid() == 1:
        return True
    # Under `--pid host` the parent is the engine's, which is in no container.
    cgroups = _cgroups(os.getppid())
    return cgroups != b"" and cgroups != _cgroups(os.getpid())


def is_mounted(path: str) -> bool:
    """Whether a path is, or is below, something mounted into the container: a volume of any kind.

    By the kernel's list: with some storage drivers a volume is on the device of the root.
    """
    try:
        with open("/proc/self/mountinfo", "rb", buffering=0) as file:
            lines = file.read().splitlines()
    except OSError:
        return True  # nobody can tell
    escaped = (line.split()[4] for line in lines)  # proc(5): a blank is \\040
    points = (point.decode("unicode-escape").encode("latin-1") for point in escaped)
    whole = os.fsencode(path) + b"/"
    return any(point != b"/" and whole.startswith(point + b"/") for point in points)


def _cgroups(pid: int) -> bytes:
    try:
        with open(f"/proc/{pid}/cgroup", "rb", buffering=0) as file:
            return file.read()
    except OSError:
        return b""
