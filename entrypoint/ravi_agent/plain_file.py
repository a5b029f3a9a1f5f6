"""Reading a file that somebody else may have put there, and replacing one."""

import errno
import os
import stat

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def read_plain_file(
    path: str, limit: int, *, folder: int | None = None, is_link_followed: bool = False
) -> tuple[bytes, os.stat_result]:
    """All of a regular file and its status; `folder` is the directory that `path` starts from.

    limit: the most bytes it may have. Never waits, unlike open(2) of a fifo, and reads no more
    than `limit` of a file that grows meanwhile. Raises OSError: EINVAL for anything but a regular
    file, EFBIG for one that is larger, ELOOP for a symbolic link.
    """
    flags = _FLAGS if is_link_followed else _FLAGS | os.O_NOFOLLOW
    descriptor = os.open(path, flags, dir_fd=folder)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        if status.st_size > limit:
            raise OSError(errno.EFBIG, f"it has {status.st_size} bytes, more than {limit}")
        data = os.read(descriptor, limit + 1)
        while len(data) < status.st_size and len(data) <= limit:
            more = os.read(descriptor, limit + 1 - len(data))
            if not more:
                break
            data += more
        if len(data) > limit:
            raise OSError(errno.EFBIG, f"it has more than {limit} bytes")
        return data, status
    finally:
        os.close(descriptor)


def replace_plain_file(path: str, data: bytes, mode: int = 0o600) -> None:
    """Have a file hold `data`, whole or not at all. Raises OSError."""
    fresh = f"{path}.ravi-new"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(fresh, flags, mode), "wb") as file:
        file.write(data)
    os.replace(fresh, path)
