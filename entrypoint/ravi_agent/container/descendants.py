"""Everything the agent has started and left behind."""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_CAP_KILL = 5  # <linux/capability.h>


class Reach:
    """How to signal processes of another user: as root with CAP_KILL, or as that user.

    uid: whom the agent runs as, None where that is this process's own user.
    """

    def __init__(self, uid: int | None) -> None:
        # The effective uid is the agent's for the moment of a kill(2), which looks at the real
        # one too: it reaches the agent's processes and those that a sudo has made root's.
        self._uid = None if uid is None or _has_capability(_CAP_KILL) else uid

    def signal(self, send: "Callable[[int, int], None]", pid: int, number: int) -> bool:
        """Whether somebody was there to get it; `send` is os.kill or os.killpg."""
        if self._uid is not None:
            os.seteuid(self._uid)
        try:
            send(pid, number)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True  # all of it became another user, whom we may not signal
        finally:
            if self._uid is not None:
                os.seteuid(0)
        return True

    def signal_descendants(self, number: int) -> None:
        """Signal every descendant, nobody else: `docker exec` sessions are not the agent's."""
        for pid in descendants():
            self.signal(os.kill, pid, number)


def has_children() -> bool:
    """Whether any descendant is left; those that lost their parent are our children."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def descendants() -> list[int]:
    """Every process below this one, from one reading of /proc; parents before children.

    Zombies too: a process whose first thread has ended looks like one and runs on.
    """
    children: dict[int, list[int]] = {}
    try:
        entries = os.listdir("/proc")
    except OSError:
        return []  # no /proc: the group has been signalled, and the kernel ends the rest with us
    for entry in entries:
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", "rb", buffering=0) as file:
                    fields = file.read().rpartition(b")")[2].split()
            except OSError:
                continue  # gone meanwhile
            if len(fields) > 1:
                children.setdefault(int(fields[1]), []).append(int(entry))
    found: list[int] = []
    below = [os.getpid()]
    while below:
        below = [child for parent in below for child in children.get(parent, ())]
        found += below
    return found


def _has_capability(number: int) -> bool:
    try:
        with open("/proc/self/status", "rb", buffering=0) as file:
            fields = dict(line.split(b":\t", 1) for line in file.read().splitlines())
        return bool(int(fields[b"CapEff"], 16) >> number & 1)
    except (OSError, KeyError, ValueError):
        return False
