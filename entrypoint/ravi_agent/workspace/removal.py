"""Removing `.ravi/`, whatever an agent has put into it."""

import errno
import os
import stat

from ravi_agent import contract
from ravi_agent.workspace.trust import OPEN_DIR, not_writable


def remove(path: str) -> bool:
    """Remove a workspace's `.ravi/`; False where there was none.

    Raises WorkspaceError where it stays.
    """
    try:
        root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError as exc:
        raise not_writable(path, exc) from exc
    try:
        remove_dir(contract.STAGING_DIR, root)
        return remove_dir(contract.RAVI_DIR, root)
    except OSError as exc:
        raise not_writable(path, exc) from exc
    finally:
        os.close(root)


def remove_dir(name: str, root: int) -> bool:
    """Remove a directory and all below it, following no link; False where there is none.

    Directories below it are moved up and emptied one by one, so that neither their depth nor the
    length of their path matters. Raises OSError.
    """
    try:
        folder = os.open(name, OPEN_DIR, dir_fd=root)
    except FileNotFoundError:
        return False
    except OSError as exc:
        if exc.errno not in {errno.ENOTDIR, errno.ELOOP}:
            raise
        os.unlink(name, dir_fd=root)  # a link or a file of that name
        return True
    try:
        _empty(folder)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=root)
    return True


def _empty(top: int) -> None:
    # identity.json first: what is half removed is not provisioned.
    entries = sorted(os.listdir(top), key=lambda entry: entry != contract.IDENTITY_FILE)
    waiting = [entry for entry in entries if not _unlink(entry, top)]
    taken = set(waiting)
    number = 0
    while waiting:
        name = waiting.pop()
        folder = os.open(name, OPEN_DIR, dir_fd=top)
        try:
            for entry in os.listdir(folder):
                if _unlink(entry, folder):
                    continue
                number += 1
                while (moved := f"{contract.STAGING_DIR}.{number}") in taken:
                    number += 1
                os.rename(entry, moved, src_dir_fd=folder, dst_dir_fd=top)
                waiting.append(moved)
        finally:
            os.close(folder)
        os.rmdir(name, dir_fd=top)


def _unlink(entry: str, folder: int) -> bool:
    """Remove whatever is not a directory; False for a directory."""
    if stat.S_ISDIR(os.stat(entry, dir_fd=folder, follow_symlinks=False).st_mode):
        return False
    os.unlink(entry, dir_fd=folder)
    return True
