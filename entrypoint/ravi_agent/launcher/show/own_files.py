"""Files in a directory that another user may have made."""

import errno
import os
import stat


def why_not_trusted(directory: str) -> str | None:
    """Why another user could decide where files in it are written; None where nobody can.

    Raises OSError.
    """
    path = directory
    while path != "/":
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode) and _is_foreign(status):
            return f"{path} is a symbolic link of uid {status.st_uid}"
        path = os.path.dirname(path)
    status = os.stat(directory)
    if _is_foreign(status):
        return f"it belongs to uid {status.st_uid}"
    if status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
        return "everybody can write it"
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.endswith((".log", ".json")) and not _is_own_file(
                entry.stat(follow_symlinks=False)
            ):
                return f"{entry.name} in it is a link, or not a file of your own"
    return None


def open_own(path: str, flags: int) -> int:
    """Open a file, unless it is a link or somebody else's; an `opener`. Raises OSError."""
    careful = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
    descriptor = os.open(path, flags & ~os.O_TRUNC | careful, 0o600)
    if not _is_own_file(os.fstat(descriptor)):
        os.close(descriptor)
        raise PermissionError(errno.EPERM, f"{path} is not a file of your own")
    if flags & os.O_TRUNC:
        os.ftruncate(descriptor, 0)
    return descriptor


def _is_own_file(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and not _is_foreign(status)


def _is_foreign(status: os.stat_result) -> bool:
    return status.st_uid not in {0, os.geteuid()}
