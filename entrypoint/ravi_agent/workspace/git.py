"""What git knows of a workspace, read from its files.

Running `git` here would be slower, would need git in every image, and would let a repository's
own configuration run programs as the user who provisions. Whoever can write the work tree may have
written any of these files, so each is of limited size, and what they point to is believed only
where it points back.
File formats: gitrepository-layout(5), gitignore(5).
"""

import errno
import os
import stat

from ravi_agent.plain_file import read_plain_file

# Bytes. The largest indexes in use have some hundred thousand entries of a hundred bytes.
_INDEX_LIMIT = 128 * 1024 * 1024
_FILE_LIMIT = 1024 * 1024
_OPEN_DIR = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Worktree:
    """The work tree around a directory; `find` gives None where there is none.

    Every method raises OSError for files that cannot be read or make no sense.
    """

    __slots__ = ("_git_dir", "_inside", "_top")

    def __init__(self, top: str, git_dir: str, inside: str) -> None:
        self._top = top
        self._git_dir = git_dir
        self._inside = inside  # of the work tree: "" at its top, else "sub/dir/"

    @classmethod
    def find(cls, directory: str) -> "Worktree | None":
        directory = os.path.realpath(directory)
        top = directory
        while True:
            git_dir = _git_dir(top)
            if git_dir:
                inside = directory[len(top) :].strip("/")
                return cls(top, git_dir, f"{inside}/" if inside else "")
            if top == "/":
                return None
            top = os.path.dirname(top)

    @property
    def common_dir(self) -> str:
        """What all work trees of the repository share."""
        common = _read_path(os.path.join(self._git_dir, "commondir"))
        return os.path.normpath(os.path.join(self._git_dir, common))

    def branch(self) -> str | None:
        """The full name of the branch that is checked out, None for a commit."""
        head = _read(os.path.join(self._git_dir, "HEAD")).decode(errors="replace").strip()
        return head.removeprefix("ref:").strip() if head.startswith("ref:") else None

    def tracks(self, name: str) -> bool:
        """Whether git tracks `name` in the directory asked about, or anything below it."""
        index = _read(os.path.join(self._git_dir, "index"), _INDEX_LIMIT)
        if not index:
            return False
        from ravi_agent.workspace.git_index import index_holds  # most workspaces have no index

        path = os.fsencode(self._inside + name)
        if index_holds(index, path):
            return True
        if b"link" not in index:
            return False
        return any(  # split-index mode keeps most entries in a second file
            index_holds(_read(os.path.join(self._git_dir, shared), _INDEX_LIMIT), path)
            for shared in os.listdir(self._git_dir)
            if shared.startswith("sharedindex.")
        )

    def exclude(self, *names: str) -> None:
        """Make git ignore files, or directories (`name/`), without touching a tracked file.

        Appends to the file that `git rev-parse --git-path info/exclude` names, once. Raises
        OSError where that cannot be written, or lies outside of what belongs to the work tree.
        """
        patterns = [_as_pattern(self._inside + name) for name in names]
        common = os.open(self._own_common_dir(), _OPEN_DIR)
        try:
            try:
                os.mkdir("info", 0o755, dir_fd=common)
            except FileExistsError:
                pass  # git has made it
            info = os.open("info", _OPEN_DIR, dir_fd=common)
        finally:
            os.close(common)
        try:
            _append_lines("exclude", info, patterns)
        finally:
            os.close(info)

    def _own_common_dir(self) -> str:
        """The common directory, where both sides say that it belongs to this work tree."""
        entry = os.path.join(self._top, ".git")
        has_common = os.path.lexists(os.path.join(self._git_dir, "commondir"))
        if stat.S_ISDIR(os.lstat(entry).st_mode):
            if not has_common:
                return entry
        elif stat.S_ISREG(os.lstat(entry).st_mode):
            git_dir = os.path.realpath(self._git_dir)
            if not has_common:
                worktree = _configured_worktree(git_dir)  # a submodule
                if worktree and os.path.realpath(os.path.join(git_dir, worktree)) == self._top:
                    return git_dir
            else:
                common = os.path.realpath(self.common_dir)
                back = _read_path(os.path.join(git_dir, "gitdir"))
                back = os.path.realpath(os.path.dirname(os.path.join(git_dir, back)))
                if os.path.dirname(git_dir) == os.path.join(common, "worktrees") and (
                    back == self._top
                ):
                    return common
        raise OSError(errno.EPERM, f"{entry} leads to a repository that does not lead back")


def _as_pattern(path: str) -> bytes:
    """A line for a name that is not to be read as a pattern (gitignore(5))."""
    if "\n" in path:
        raise OSError(errno.EINVAL, "the directory's name has a line break")
    escaped = "".join(f"\\{char}" if char in "\\*?[" else char for char in path)
    bare = escaped.rstrip(" ")
    return os.fsencode(f"/{bare}" + "\\ " * (len(escaped) - len(bare)))


def _append_lines(name: str, folder: int, lines: list[bytes]) -> None:
    """Append those of the lines that a file does not have yet."""
    import fcntl  # a provisioned start never comes here

    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(name, flags, 0o644, dir_fd=folder)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            raise OSError(errno.EPERM, f"{name} is not a plain file of its own")
        if status.st_size > _FILE_LIMIT:
            raise OSError(errno.EFBIG, f"{name} has {status.st_size} bytes")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # fifty worktrees share one exclude file
        except OSError as exc:
            if exc.errno not in {errno.ENOLCK, errno.ENOTSUP, errno.EBADF, errno.EINVAL}:
                raise  # without locks on that file system a line may come twice
        text = os.read(descriptor, 2 * _FILE_LIMIT)
        there = text.splitlines()
        missing = b"".join(line + b"\n" for line in lines if line not in there)
        if missing:
            os.write(descriptor, (b"" if text.endswith(b"\n") or not text else b"\n") + missing)
    finally:
        os.close(descriptor)


def _git_dir(top: str) -> str:
    """Where the repository of a work tree's top is kept, "" if it is not the top of one."""
    path = os.path.join(top, ".git")
    if os.path.isdir(path):
        return path if os.path.exists(os.path.join(path, "HEAD")) else ""
    pointer = _read_path(path)  # a linked worktree or a submodule
    if not pointer.startswith("gitdir:"):
        return ""
    return os.path.normpath(os.path.join(top, pointer.removeprefix("gitdir:").strip()))


def _configured_worktree(git_dir: str) -> str:
    """`core.worktree` of a repository's configuration, "" where it has none."""
    section = ""
    for line in _read(os.path.join(git_dir, "config")).decode(errors="replace").splitlines():
        text = line.strip()
        if text.startswith("["):
            section = text.partition("]")[0].lstrip("[").strip().lower()
        name, separator, value = text.partition("=")
        if section == "core" and separator and name.strip().lower() == "worktree":
            return value.strip().strip('"')
    return ""


def _read_path(path: str) -> str:
    """The text of a file that names a path, "" where there is none."""
    text = os.fsdecode(_read(path)).strip()
    if "\0" in text:
        raise OSError(errno.EINVAL, f"{path} does not name a path")
    return text


def _read(path: str, limit: int = _FILE_LIMIT) -> bytes:
    """A regular file's content, empty for anything else: a fifo would make the start wait."""
    try:
        return read_plain_file(path, limit, is_link_followed=True)[0]
    except (FileNotFoundError, NotADirectoryError):
        return b""
    except OSError as exc:
        if exc.errno == errno.EINVAL:
            return b""
        raise OSError(exc.errno, f"{path}: {exc.strerror}") from exc
