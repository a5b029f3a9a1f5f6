"""Who may use a `.ravi/`: every rule in one place.

An identity that somebody else chose is refused, never used: a directory or a file that everybody
can write, one that is not plainly a directory or a file, one that git tracks (it came with the
repository), or one that belongs to another user (it was unpacked, or copied into the image). The
last one may be used by asking for its name: whoever planted it does not know which will be asked
for. File systems that give every file one owner or one mode (CIFS, 9p, bind mounts from Windows
and macOS) are told by what they make of a new directory.
"""

import errno
import os
import stat

from ravi_agent import contract
from ravi_agent.errors import WorkspaceError

FILE_LIMIT = 64 * 1024 - 1  # bytes; the files of `.ravi/` have some hundred
# What opening or making a directory fails with where something else has its name.
_NO_DIRECTORY = {errno.ENOTDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG}
OPEN_DIR = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def check_folder(workspace: str, folder: int, *, is_owner_checked: bool = False) -> None:
    """Raises WorkspaceError for a `.ravi/`, opened as `folder`, that may not be used.

    is_owner_checked: nobody has asked for its identity by name, so it has to be this user's own.
    """
    ravi_dir = os.path.join(workspace, contract.RAVI_DIR)
    status = os.fstat(folder)
    is_open = bool(status.st_mode & stat.S_IWOTH)
    is_strange = is_owner_checked and not _is_own(status, workspace)
    if is_open or is_strange:
        made = _new_directory(workspace)
        if is_open and not (made and made.st_mode & stat.S_IWOTH):
            raise refused(ravi_dir, "everybody can write it")
        if is_strange and not (made and made.st_uid == status.st_uid):
            raise refused(
                ravi_dir, f"it belongs to uid {status.st_uid}, and this is uid {os.geteuid()}"
            )
    if _is_tracked(workspace):
        raise refused(ravi_dir, "it came with the repository: git tracks it")


def check_fillable(workspace: str, folder: int) -> None:
    """Raises OSError for a `.ravi/` of another user: only its owner can close it to others."""
    status = os.fstat(folder)
    if status.st_uid != os.geteuid():
        made = _new_directory(workspace)
        if not (made and made.st_uid == status.st_uid):
            raise PermissionError(errno.EPERM, f"it belongs to uid {status.st_uid}")


def check_file(status: os.stat_result, name: str, folder: os.stat_result) -> None:
    """Raises OSError for a file of `.ravi/` that somebody else could have made or could change.

    folder: the status of `.ravi/` itself, which `check_folder` has found good.
    """
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, f"{name} is not a regular file")
    if status.st_nlink != 1:
        raise OSError(errno.EMLINK, f"{name} has a second name (a hard link)")
    if status.st_mode & stat.S_IWOTH and not folder.st_mode & stat.S_IWOTH:
        raise OSError(errno.EPERM, f"{name} can be written by everybody")
    if status.st_uid != folder.st_uid:
        raise OSError(errno.EPERM, f"{name} belongs to uid {status.st_uid}, the directory does not")
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


def may_be_in_a_repository(workspace: str) -> bool:
    """Whether there is anything called `.git`, or something that cannot be looked at."""
    top = os.path.realpath(workspace)
    while True:
        try:
            os.lstat(os.path.join(top, ".git"))
        except (FileNotFoundError, NotADirectoryError):
            if top == "/":
                return False
            top = os.path.dirname(top)
        except OSError:
            return True
        else:
            return True


def refused(path: str, why: str) -> WorkspaceError:
    """The error for a `.ravi/` that somebody else chose."""
    return WorkspaceError(
        f"{path} is not used",
        why,
        "remove it to get a fresh identity (in an image: add .ravi to .dockerignore); to keep "
        "it, ask for its name and service (RAVI_IDENTITY_NAME, RAVI_API_URL)",
    )


def unreadable(path: str, exc: OSError) -> WorkspaceError:
    """The error for a `.ravi/` that cannot be opened, or is not made of plain files."""
    workspace = os.path.dirname(path)
    if exc.errno in _NO_DIRECTORY and not os.path.isdir(workspace):
        return _no_directory(workspace, exc)
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
    if exc.errno in _NO_DIRECTORY and not os.path.isdir(path):
        return _no_directory(path, exc)
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


def _no_directory(workspace: str, exc: OSError) -> WorkspaceError:
    is_there = exc.errno in {errno.ENOTDIR, errno.EEXIST}
    return WorkspaceError(
        f"workspace {workspace} cannot be used",
        "it is not a directory" if is_there else str(exc.strerror),
        "set RAVI_WORKSPACE to a directory",
    )


def _is_own(status: os.stat_result, workspace: str) -> bool:
    """Whether this user made a directory, or somebody with whom it shares the workspace."""
    user = os.geteuid()
    if status.st_uid == user:
        return True
    top = os.stat(workspace)
    if user == 0:
        return status.st_uid == top.st_uid  # root looks after the workspace of another user
    # Kubernetes' fsGroup: containers of several users share one volume by its group.
    is_shared = bool(top.st_mode & stat.S_ISGID) and status.st_gid == top.st_gid
    return is_shared and status.st_gid in {os.getegid(), *os.getgroups()}


def _new_directory(workspace: str) -> os.stat_result | None:
    """What the workspace's file system makes of a new private directory, None where it cannot be.

    On one with owners and modes it belongs to this user and nobody else can write it.
    """
    path = os.path.join(workspace, f"{contract.STAGING_DIR}.{os.getpid()}")
    try:
        os.mkdir(path, 0o700)
        try:
            return os.lstat(path)
        finally:
            os.rmdir(path)
    except OSError:
        return None


def _is_tracked(workspace: str) -> bool:
    if not may_be_in_a_repository(workspace):
        return False
    from ravi_agent.workspace.git import Worktree  # most containers have none

    worktree = Worktree.find(workspace)
    return worktree is not None and worktree.tracks(contract.RAVI_DIR)
