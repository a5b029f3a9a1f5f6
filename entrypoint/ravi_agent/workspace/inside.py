"""Files of others' forms inside a workspace, reached without following a symbolic link.

Whoever can write the workspace could put one there. `root` is the workspace as a descriptor, a path
is below it.
"""

import errno
import os
import stat

from ravi_agent import contract
from ravi_agent.workspace.removal import remove_dir

_SIZE_LIMIT = 1024 * 1024  # bytes; a WORKFLOW.md holds a prompt
_OPEN_DIR = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def why_not(exc: OSError | ValueError) -> str:
    """Why a file could not be read or written, in words."""
    if isinstance(exc, UnicodeDecodeError):
        return "it is no UTF-8 text"
    if not isinstance(exc, OSError):
        return str(exc)
    is_link = exc.errno in {errno.ELOOP, errno.ENOTDIR}
    return "a symbolic link or no directory is in its path" if is_link else str(exc.strerror)


def open_folder(root: int, path: str, *, is_made: bool = False, is_partial: bool = False) -> int:
    """A directory below `root`: made where it is missing, or else its last part that is there."""
    folder = os.dup(root)
    for part in path.split("/") if path else []:
        try:
            try:
                below = os.open(part, _OPEN_DIR, dir_fd=folder)
            except FileNotFoundError:
                if is_partial:
                    return folder
                if not is_made:
                    raise
                os.mkdir(part, 0o755, dir_fd=folder)
                below = os.open(part, _OPEN_DIR, dir_fd=folder)
        except OSError:
            os.close(folder)
            raise
        os.close(folder)
        folder = below
    return folder


def read_text(root: int, path: str) -> str | None:
    """A file's text, None where there is none; raises OSError for what is no plain file."""
    try:
        folder = open_folder(root, os.path.dirname(path))
    except FileNotFoundError:
        return None
    try:
        descriptor = os.open(os.path.basename(path), _OPEN_FILE, dir_fd=folder)
    except FileNotFoundError:
        return None
    finally:
        os.close(folder)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        if status.st_size > _SIZE_LIMIT:
            raise OSError(errno.EFBIG, f"it has {status.st_size} bytes")
        return file.read().decode()


def replace_file(root: int, path: str, text: str, *, new_mode: int | None = None) -> None:
    """Write a file through the staging directory, which git ignores and a release removes.

    One that is there keeps its mode. new_mode: that of a new one, which is otherwise for its owner
    alone, or for the group of a setgid workspace. Raises OSError.
    """
    name = os.path.basename(path)
    folder = open_folder(root, os.path.dirname(path), is_made=True)
    try:
        try:
            mode = stat.S_IMODE(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
        except FileNotFoundError:
            mode = 0o640 if os.fstat(root).st_mode & stat.S_ISGID else 0o600
            mode = new_mode or mode
        remove_dir(contract.STAGING_DIR, root)
        os.mkdir(contract.STAGING_DIR, 0o700, dir_fd=root)
        staging = os.open(contract.STAGING_DIR, _OPEN_DIR, dir_fd=root)
        try:
            with open(os.open(name, _CREATE_FILE, 0o600, dir_fd=staging), "wb") as file:
                file.write(text.encode())
                file.flush()
                os.fchmod(file.fileno(), mode)  # whatever the umask
                os.fsync(file.fileno())
            os.rename(name, name, src_dir_fd=staging, dst_dir_fd=folder)
        finally:
            os.close(staging)
        os.fsync(folder)
        os.rmdir(contract.STAGING_DIR, dir_fd=root)
    finally:
        os.close(folder)


def unlink_file(root: int, path: str) -> None:
    """Remove a file, and the directories on its way that are empty then."""
    while path:
        parent, name = os.path.split(path)
        folder = open_folder(root, parent)
        try:
            if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                try:
                    os.rmdir(name, dir_fd=folder)
                except OSError:
                    return  # other files are in it
            else:
                os.unlink(name, dir_fd=folder)
        finally:
            os.close(folder)
        path = parent
