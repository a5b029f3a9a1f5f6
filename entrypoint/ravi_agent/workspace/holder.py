"""Which container's agent has a workspace, for as long as it runs.

A POSIX lock on a file in `.ravi/`: other containers on the same volume see it, it survives
execve(2), no child has it, and the kernel drops it with the process, so that nothing is ever in the
way of a restart (fcntl(2)). It is dropped, too, where its process closes the file once.
"""

import errno
import os
import stat

from ravi_agent import contract
from ravi_agent.workspace import trust

_OPEN = (
    os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
)  # a link or a pipe could be in its place
_NAME_LIMIT = 64  # bytes; what Linux allows a host (gethostname(2))


def hold(workspace: str) -> tuple[int | None, str | None]:
    """A descriptor that keeps the workspace held, and the host of the agent that has it instead.

    Neither where it cannot be known: a read-only volume, a file system without locks, `.ravi/` of
    another user. The host is what the other agent's user has written there.
    """
    try:
        folder = os.open(os.path.join(workspace, contract.RAVI_DIR), trust.OPEN_DIR)
    except OSError:
        return None, None
    try:
        file = os.open(contract.HOLDER_FILE, _OPEN, 0o600, dir_fd=folder)
    except OSError:
        return None, None
    finally:
        os.close(folder)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        os.lockf(file, os.F_TLOCK, 0)
        os.ftruncate(file, 0)
        os.write(file, os.fsencode(os.uname().nodename))
    except OSError as exc:
        host = _read_host(file) if exc.errno in {errno.EAGAIN, errno.EACCES} else None
        os.close(file)
        return None, host
    return file, None


def _read_host(file: int) -> str:
    """A host name, or `?`: it is printed, and whoever can write the workspace may have put it."""
    try:
        name = os.read(file, _NAME_LIMIT).decode("ascii")
    except (OSError, UnicodeDecodeError):
        return "?"
    return name if name and name.replace("-", "").replace(".", "").isalnum() else "?"
