"""Who may use a `.ravi/`: every rule in one place.

An identity that somebody else chose is refused, never used: a directory or a file that everybody
can write, one that is not plainly a directory or a file, one that git tracks (it came with the
repository), or one that belongs to another user.
"""

import errno
import os
import stat

from ravi_agent import contract
from ravi_agent.errors import WorkspaceError
from ravi_agent.workspace.git import Worktree

FILE_LIMIT = 64 * 1024 - 1  # bytes; the files of `.ravi/` have some hundred
OPEN_DIR = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def check_folder(workspace: str, folder: int) -> None:
    """Raises WorkspaceError for a `.ravi/`, opened as `folder`, that may not be used."""
    ravi_dir = os.path.join(workspace, contract.RAVI_DIR)
    if os.fstat(folder).st_mode & stat.S_IWOTH:
        raise refused(ravi_dir, "everybody can write it")
    if _is_tracked(workspace):
        raise refused(ravi_dir, "it came with the repository: git tracks it")


def check_file(status: os.stat_result, name: str) -> None:
    """Raises OSError for a file of `.ravi/` that somebody else could have made or could change."""
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, f"{name} is not a regular file")
    if status.st_nlink != 1:
        raise OSError(errno.EMLINK, f"{name} has a second name (a hard link)")
    if status.st_mode & stat.S_IWOTH:
        raise OSError(errno.EPERM, f"{name} can be written by everybody")
    if status.st_size > FILE_LIMIT:
        raise OSError(errno.EFBIG, f"{name} has {status.st_size} bytes")


def why_not_found_one(ravi_dir: str) -> str | None:
    """Why a `.ravi/` that was merely found may not be used; None where it may.

    Found: nobody named it, so anybody may have put it there, in a repository or above a shared
    directory. root may use everybody's.
    """
    try:
        owner = os.stat(ravi_dir).st_uid
        if os.geteuid() != 0 and is_foreign(owner, os.geteuid()):
            return f"it belongs to uid {owner}"
        is_tracked = _is_tracked(os.path.dirname(ravi_dir))
    except OSError as exc:
        return f"{exc.filename}: {exc.strerror}"
    return "it came with the repository: git tracks it" if is_tracked else None


def is_foreign(owner: int, uid: int) -> bool:
    """Whether what belongs to `owner` was made neither by `uid` nor by root."""
    return owner not in {0, uid}


def refused(path: str, why: str) -> WorkspaceError:
    """The error for a `.ravi/` that somebody else chose."""
    return WorkspaceError(
        f"{path} is not used",
        why,
        "remove it to get a fresh identity; to keep it, ask for its name and service "
        "(RAVI_IDENTITY_NAME, RAVI_API_URL)",
    )


def unreadable(path: str, exc: OSError) -> WorkspaceError:
    """The error for a `.ravi/` that cannot be opened, or is not made of plain files."""
    if exc.errno == errno.EACCES:
        return WorkspaceError(
            f"{path} cannot be read",
            f"uid {os.geteuid()} may not",
            "provision and run as one user, or give both containers one fsGroup",
        )
    if exc.errno in {errno.ELOOP, errno.ENOTDIR}:
        return refused(path, "it is a symbolic link or not a directory")
    return refused(path, str(exc.strerror))


def not_writable(path: str, exc: OSError) -> WorkspaceError:
    """The error for a workspace in which `.ravi/` cannot be made, filled or removed."""
    fixes = {
        errno.EROFS: f"mount something that can be written: --tmpfs {path}:mode=1777",
        errno.ENOSPC: "free some space on that file system",
        errno.EACCES: f"chown {os.geteuid()} what is mounted at {path}, or set RAVI_WORKSPACE",
        errno.EPERM: f"chown {os.geteuid()} what is mounted at {path}, or set RAVI_WORKSPACE",
    }
    return WorkspaceError(
        f"workspace {path} cannot be written",
        str(exc.strerror),
        fixes.get(exc.errno or 0, "set RAVI_WORKSPACE to a directory the agent can write"),
    )


def _is_tracked(workspace: str) -> bool:
    worktree = Worktree.find(workspace)
    return worktree is not None and worktree.tracks(contract.RAVI_DIR)
