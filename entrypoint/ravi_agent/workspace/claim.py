"""Filling `.ravi/`: one start at a time, and either all of it or nothing.

The directory itself comes into being by one rename and `identity.json` is written last, so a kill
at any instant leaves a workspace that is provisioned or not. Everything goes through directory
descriptors and follows no symbolic link, because whoever can write the workspace could put one
there.
"""

import errno
import os
import stat

from ravi_agent import contract
from ravi_agent.workspace import trust
from ravi_agent.workspace.contents import file_contents
from ravi_agent.workspace.git import Worktree
from ravi_agent.workspace.removal import remove_dir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from ravi_agent.identity import Identity

_CREATE_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Claim:
    """An exclusive hold on a workspace that is about to be provisioned.

    The lock is on the workspace directory itself, so it leaves no file and ends with whoever
    holds it.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._root = -1

    def __enter__(self) -> "Claim":
        try:
            os.makedirs(self.path, exist_ok=True)
            self._root = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as exc:
            raise trust.not_writable(self.path, exc) from exc
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: "TracebackType | None",
    ) -> None:
        os.close(self._root)

    def is_free(self) -> bool:
        """Take the lock if nobody has it; what a killed holder began is removed.

        Raises WorkspaceError where `.ravi` could not be filled: now, before anything is paid for.
        """
        import fcntl  # a provisioned start takes no lock

        try:
            fcntl.flock(self._root, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        try:
            self._prove_writable()
        except OSError as exc:
            raise trust.not_writable(self.path, exc) from exc
        return True

    def _prove_writable(self) -> None:
        ravi_dir = os.path.join(self.path, contract.RAVI_DIR)
        try:
            folder = os.open(contract.RAVI_DIR, trust.OPEN_DIR, dir_fd=self._root)
        except FileNotFoundError:
            remove_dir(contract.STAGING_DIR, self._root)
            os.mkdir(contract.STAGING_DIR, 0o700, dir_fd=self._root)
            os.rmdir(contract.STAGING_DIR, dir_fd=self._root)
            return
        except OSError as exc:
            raise trust.unreadable(ravi_dir, exc) from exc
        try:
            trust.check_folder(self.path, folder)
            os.fchmod(folder, os.fstat(folder).st_mode & 0o7777)  # only its owner can fill it
        finally:
            os.close(folder)
        if not os.access(contract.RAVI_DIR, os.W_OK, dir_fd=self._root, effective_ids=True):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def save(self, identity: "Identity", *, api_url: str, has_api_key: bool = True) -> None:
        """Make the workspace a provisioned one: files synced, all of them or none.

        has_api_key: whether the identity's key goes into the `env` file too.
        Raises WorkspaceError where the disk is full or the directory cannot be written.
        """
        files = file_contents(self.path, identity, api_url, has_api_key=has_api_key)
        is_shared = bool(os.fstat(self._root).st_mode & stat.S_ISGID)
        try:
            try:
                folder = os.open(contract.RAVI_DIR, trust.OPEN_DIR, dir_fd=self._root)
            except FileNotFoundError:
                self._save_new(files, is_shared)
                return
            try:
                _unlink(contract.IDENTITY_FILE, folder)  # not provisioned while it is filled
                _write_files(folder, files, is_shared)
            finally:
                os.close(folder)
        except OSError as exc:
            raise trust.not_writable(self.path, exc) from exc

    def _save_new(self, files: dict[str, str], is_shared: bool) -> None:
        remove_dir(contract.STAGING_DIR, self._root)
        os.mkdir(contract.STAGING_DIR, 0o700, dir_fd=self._root)
        folder = os.open(contract.STAGING_DIR, trust.OPEN_DIR, dir_fd=self._root)
        try:
            _write_files(folder, files, is_shared)
        finally:
            os.close(folder)
        os.rename(
            contract.STAGING_DIR, contract.RAVI_DIR, src_dir_fd=self._root, dst_dir_fd=self._root
        )
        os.fsync(self._root)


def exclude_from_git(path: str, *files: str) -> None:
    """Keep `.ravi/` and `files`, paths below the workspace, out of commits.

    Nothing to do outside a git work tree. Raises OSError.
    """
    if worktree := Worktree.find(path):
        worktree.exclude(
            f"{contract.RAVI_DIR}/", f"{contract.STAGING_DIR}/", contract.STATUS_FILE, *files
        )


def _write_files(folder: int, files: dict[str, str], is_shared: bool) -> None:
    """Fill a directory, each file whole or not at all; `is_shared` lets its group read them."""
    group = os.fstat(folder).st_gid
    for name, text in files.items():
        temporary = f".{name}.new"
        _unlink(temporary, folder)
        descriptor = os.open(temporary, _CREATE_FILE, 0o600, dir_fd=folder)
        try:
            if is_shared:
                _give_to_group(descriptor, group)
            os.fchmod(descriptor, 0o640 if is_shared else 0o600)  # whatever the umask
            data = text.encode()
            while data:
                data = data[os.write(descriptor, data) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    os.fchmod(folder, 0o750 if is_shared else 0o700)
    os.fsync(folder)


def _give_to_group(descriptor: int, group: int) -> None:
    try:
        os.fchown(descriptor, -1, group)
    except PermissionError:
        return  # no member of it: a new directory's setgid bit has seen to it already


def _unlink(name: str, folder: int) -> None:
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return  # no killed start left one
