"""How long ago this agent started: an adopted inbox holds codes from before that."""

import os
import time

# The inode of the host's own pid namespace (PROC_PID_INIT_INO, linux/include/linux/proc_ns.h).
_HOST_PID_NAMESPACE = "pid:[4026531836]"
_START_FIELD = 19  # of /proc/PID/stat behind the name in brackets: starttime, proc_pid_stat(5)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def agent_age_s(environ: "Mapping[str, str]", folder: str, *, is_home: bool) -> float:
    """Seconds since the agent that runs this command started, or a little more, never less.

    The agent is the outermost of the processes above this one that were started with the same
    RAVI_CONFIG_DIR; for a shell that `docker exec` started, the container. It is not older than
    the identity in `folder`, which is all that is known on a host without the variable. With the
    configuration at home, which is everybody's, it is this process.
    """
    ages = []
    pid = _agent(environ.get("RAVI_CONFIG_DIR"))
    if pid:
        ages.append(_age_of(pid))
    # Written last of all files, and at home only where `~/.ravi` leads to a workspace.
    for name in ("identity.json",) if is_home else ("identity.json", "config.json"):
        try:
            written = os.stat(os.path.join(folder, name)).st_mtime
        except OSError:
            continue  # written by hand, there is but config.json
        ages.append(max(time.time() - written, 0.0))
        break
    return min(ages) if ages else _age_of(os.getpid())


def _agent(folder: str | None) -> int | None:
    """The process that is the agent, None where nothing tells."""
    pid = outermost = os.getpid()
    while folder and pid > 1:
        if os.fsencode(f"RAVI_CONFIG_DIR={folder}") not in _environ_of(pid):
            break
        outermost = pid
        pid = _parent_of(pid)
    # At the top, or above it: PID 1 is another user, and `docker exec` comes from outside.
    if (pid <= 1 or outermost == os.getpid()) and _is_in_container():
        return 1
    return outermost if outermost != os.getpid() else None


def _environ_of(pid: int) -> list[bytes]:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return file.read().split(b"\0")
    except OSError:
        return []  # another user's


def _stat_of(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the name; [] for a process that is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return []


def _parent_of(pid: int) -> int:
    fields = _stat_of(pid)
    return int(fields[1]) if fields else 0


def _age_of(pid: int) -> float:
    """Seconds since a process started, by the clock that no one sets."""
    fields = _stat_of(pid)
    if not fields:
        return 0.0
    started = int(fields[_START_FIELD]) / os.sysconf("SC_CLK_TCK")
    return max(time.clock_gettime(time.CLOCK_BOOTTIME) - started, 0.0)


def _is_in_container() -> bool:
    try:
        return os.readlink("/proc/self/ns/pid") != _HOST_PID_NAMESPACE
    except OSError:
        return False
