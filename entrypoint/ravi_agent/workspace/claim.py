"""Filling `.ravi/`: one start at a time, and either all of it or nothing.

The directory itself comes into being by one rename and `identity.json` is written last, so a kill
at any instant leaves a workspace that is provisioned or not. Everything goes through directory
descriptors and follows no symbolic link, because whoever can write the workspace could put one
there.
"""

import os
import stat

from ravi_agent import contract
from ravi_agent.workspace import trust
from ravi_agent.workspace.contents import file_contents
from ravi_agent.workspace.file_system import Lock, set_mode, sync
from ravi_agent.workspace.removal import remove_dir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

    from ravi_agent.identity import Identity

_LOCK_FILE = ".ravi.lock"  # only where a directory cannot be locked, and only meanwhile
_RENAMED = f"{contract.STAGING_DIR}.renamed"
# As many files as there will be, each as large as one is likely to be.
_TRIAL = dict.fromkeys(
    (contract.GITIGNORE_FILE, contract.CONFIG_FILE, contract.ENV_FILE, contract.IDENTITY_FILE),
    "x" * 1024,
)
_CREATE_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Claim:
    """An exclusive hold on a workspace that is about to be provisioned.

    The lock is on the workspace directory itself where the file system lets it be, so it leaves no
    file and ends with whoever holds it. `warnings`: what the file system lacks, as far as it was
    used.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.warnings: list[tuple[str, str]] = []
        self._root = -1

    def __enter__(self) -> "Claim":
        try:
            make_directories(self.path)
            self._root = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as exc:
            raise trust.not_writable(self.path, exc) from exc
        self._lock = Lock(self._root, _LOCK_FILE)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: "TracebackType | None",
    ) -> None:
        self._lock.close()
        os.close(self._root)

    def is_free(self, *, is_paid: bool = False) -> bool:
        """Take the lock if nobody has it; what a killed holder began is removed.

        Does all that saving does, on that file system, and removes it again: raises WorkspaceError
        where `.ravi` could not be filled, before anything is paid for. is_paid: the identity is
        there already, so that saving it is the first to fail.
        """
        try:
            if not self._lock.take():
                return False
            self._prove_writable(is_tried=not is_paid)
        except OSError as exc:
            raise trust.not_writable(self.path, exc) from exc
        if self._lock.is_missing:
            what = f"{self.path} has no locks: two starts at once could make two identities"
            self.warnings.append((what, "start one agent at a time in it, or mount another volume"))
        return True

    def _prove_writable(self, *, is_tried: bool) -> None:
        ravi_dir = os.path.join(self.path, contract.RAVI_DIR)
        try:
            folder = os.open(contract.RAVI_DIR, trust.OPEN_DIR, dir_fd=self._root)
        except FileNotFoundError:
            remove_dir(_RENAMED, self._root)
            if is_tried:
                self._try_new()
            return
        except OSError as exc:
            raise trust.unreadable(ravi_dir, exc) from exc
        try:
            trust.check_folder(self.path, folder)
            trust.check_fillable(self.path, folder)
            if is_tried:
                self._fill(folder, {f".{name}.try": text for name, text in _TRIAL.items()})
                for name in _TRIAL:
                    _unlink(f".{name}.try", folder)
        finally:
            os.close(folder)

    def _try_new(self) -> None:
        self._fill_new(_TRIAL)
        # The rename that makes it the workspace's, to and fro.
        os.rename(contract.STAGING_DIR, _RENAMED, **self._both())
        os.rename(_RENAMED, contract.STAGING_DIR, **self._both())
        sync(self._root)
        remove_dir(contract.STAGING_DIR, self._root)

    def save(self, identity: "Identity", *, api_url: str, has_api_key: bool = True) -> None:
        """Make the workspace a provisioned one: files synced, all of them or none.

        has_api_key: whether the identity's key goes into the `env` file too.
        Raises WorkspaceError where the disk is full or the directory cannot be written.
        """
        files = file_contents(self.path, identity, api_url, has_api_key=has_api_key)
        try:
            try:
                folder = os.open(contract.RAVI_DIR, trust.OPEN_DIR, dir_fd=self._root)
            except FileNotFoundError:
                self._fill_new(files)
                os.rename(contract.STAGING_DIR, contract.RAVI_DIR, **self._both())
                sync(self._root)
                return
            try:
                _unlink(contract.IDENTITY_FILE, folder)  # not provisioned while it is filled
                self._fill(folder, files)
            finally:
                os.close(folder)
        except OSError as exc:
            raise trust.not_writable(self.path, exc) from exc

    def _both(self) -> "dict[str, Any]":
        return {"src_dir_fd": self._root, "dst_dir_fd": self._root}

    def _fill_new(self, files: dict[str, str]) -> None:
        """Make the staging directory, with the files in it."""
        remove_dir(contract.STAGING_DIR, self._root)
        os.mkdir(contract.STAGING_DIR, 0o700, dir_fd=self._root)
        folder = os.open(contract.STAGING_DIR, trust.OPEN_DIR, dir_fd=self._root)
        try:
            self._fill(folder, files)
        finally:
            os.close(folder)

    def _fill(self, folder: int, files: dict[str, str]) -> None:
        """Write the files into a directory, each whole or not at all."""
        # Kubernetes' fsGroup: containers of several users share the volume by its group.
        is_shared = bool(os.fstat(self._root).st_mode & stat.S_ISGID)
        is_private = [
            _write_file(folder, name, text, is_shared=is_shared) for name, text in files.items()
        ]
        is_private.append(set_mode(folder, 0o750 if is_shared else 0o700))
        sync(folder)
        warning = (
            f"{self.path} keeps no modes: whoever reaches it can read the identity's key",
            "mount a volume of the engine at the workspace",
        )
        if not all(is_private) and warning not in self.warnings:
            self.warnings.append(warning)


def exclude_from_git(path: str, *files: str) -> None:
    """Keep `.ravi/` and `files`, paths below the workspace, out of commits.

    Nothing to do outside a git work tree. Raises OSError.
    """
    if not trust.may_be_in_a_repository(path):
        return
    from ravi_agent.workspace.git import Worktree  # most containers have none

    if worktree := Worktree.find(path):
        worktree.exclude(
            f"{contract.RAVI_DIR}/", f"{contract.STAGING_DIR}/", contract.STATUS_FILE, *files
        )


def make_directories(path: str) -> None:
    """Make a directory and those above it that are missing, however many. Raises OSError."""
    missing = []
    while not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path)
        if path == missing[-1]:
            break
    for one in reversed(missing):
        try:
            os.mkdir(one)
        except FileExistsError:
            if not os.path.isdir(one):
                raise


def _write_file(folder: int, name: str, text: str, *, is_shared: bool) -> bool:
    """Write a file by a temporary name; whether nobody can read it who should not.

    is_shared: the directory's group may read it.
    """
    temporary = f".{name}.new"
    _unlink(temporary, folder)
    descriptor = os.open(temporary, _CREATE_FILE, 0o600, dir_fd=folder)
    try:
        if is_shared:
            _give_to_group(descriptor, os.fstat(folder).st_gid)
        is_private = set_mode(descriptor, 0o640 if is_shared else 0o600)
        data = text.encode()
        while data:
            data = data[os.write(descriptor, data) :]
        sync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    return is_private


def _give_to_group(descriptor: int, group: int) -> None:
    try:
        os.fchown(descriptor, -1, group)
    except OSError:
        return  # no owners here, or no member of it: the directory's setgid bit has seen to it


def _unlink(name: str, folder: int) -> None:
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        return  # no killed start left one
