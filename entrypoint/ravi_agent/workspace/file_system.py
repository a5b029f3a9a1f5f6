"""What a file system under a workspace may lack, and what is done without it.

NFS without a lock manager, CIFS, 9p, virtiofs and other FUSE file systems refuse locks, the syncing
of directories, or modes (flock(2), fsync(2), chmod(2)). A missing sync costs durability in a power
cut, a missing mode shows the key to whoever reaches the file system, a missing lock lets two starts
at once provide for one workspace: each is said once and tolerated. Whatever else is refused is an
error, before anything is paid for.
"""

import errno
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_LACKING = {
    errno.EBADF,  # NFS: a directory cannot be locked, it is not open for writing
    errno.EINVAL,
    errno.ENOLCK,
    errno.ENOSYS,
    errno.ENOTSUP,
    errno.EOPNOTSUPP,
}
_OPEN_LOCK = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Lock:
    """An exclusive lock on a directory: on itself or, where that cannot be, on a file in it.

    It ends with its holder, however that ends. `is_missing` where the file system has none.
    """

    def __init__(self, folder: int, name: str) -> None:
        self._folder = folder
        self._name = name
        self._file = -1
        self.is_missing = False

    def take(self) -> bool:
        """Whether nobody else has it. Raises OSError."""
        import fcntl  # a provisioned start takes no lock

        answer = _try(fcntl.flock, self._folder)
        if answer is not None:
            return answer
        if self._file == -1:
            self._file = os.open(self._name, _OPEN_LOCK, 0o600, dir_fd=self._folder)
        for lock in (fcntl.flock, fcntl.lockf):  # BSD's, and POSIX' that some servers know alone
            answer = _try(lock, self._file)
            if answer is not None:
                return answer and self._is_current()
        self.is_missing = True
        return True

    def close(self) -> None:
        """Give it up and leave no file."""
        if self._file == -1:
            return
        try:
            if self._is_current():
                os.unlink(self._name, dir_fd=self._folder)
        except OSError:
            pass  # an empty file in the way of nobody
        finally:
            os.close(self._file)
            self._file = -1

    def _is_current(self) -> bool:
        """Whether the file still has its name: the holder before may have removed it."""
        try:
            there = os.stat(self._name, dir_fd=self._folder, follow_symlinks=False)
        except FileNotFoundError:
            there = None
        if there and os.path.samestat(there, os.fstat(self._file)):
            return True
        os.close(self._file)
        self._file = -1
        return False


def _try(lock: "Callable[[int, int], None]", descriptor: int) -> bool | None:
    """Whether the lock was got; None where there is no such lock here."""
    import fcntl

    try:
        lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        if exc.errno in {errno.EAGAIN, errno.EACCES}:  # fcntl(2) allows both
            return False
        if exc.errno in _LACKING:
            return None
        raise
    return True


def sync(descriptor: int) -> None:
    """fsync(2), if the file system has it for this. Raises OSError for a disk that fails."""
    try:
        os.fsync(descriptor)
    except OSError as exc:
        if exc.errno not in _LACKING:
            raise


def set_mode(descriptor: int, mode: int) -> bool:
    """Give what this process has made a mode; False where it stays open to more users.

    Raises OSError.
    """
    try:
        os.fchmod(descriptor, mode)  # whatever the umask
    except OSError as exc:
        if exc.errno not in {*_LACKING, errno.EPERM, errno.EACCES}:
            raise
    return not stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o777 & ~mode
