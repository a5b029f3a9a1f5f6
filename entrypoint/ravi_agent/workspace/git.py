"""What git knows of a workspace, read from its files.

Running `git` here would be slower, would need git in every image, and would let a repository's
own configuration run programs as the user who provisions.
File formats: gitrepository-layout(5), gitformat-index(5).
"""

import os
import stat


class Worktree:
    """The work tree around a directory; `find` gives None where there is none."""

    __slots__ = ("_git_dir", "_inside")

    def __init__(self, git_dir: str, inside: str) -> None:
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
                return cls(git_dir, f"{inside}/" if inside else "")
            if top == "/":
                return None
            top = os.path.dirname(top)

    @property
    def common_dir(self) -> str:
        """What all work trees of the repository share."""
        common = _read(os.path.join(self._git_dir, "commondir")).decode().strip()
        return os.path.normpath(os.path.join(self._git_dir, common))

    def branch(self) -> str | None:
        """The full name of the branch that is checked out, None for a commit."""
        head = _read(os.path.join(self._git_dir, "HEAD")).decode(errors="replace").strip()
        return head.removeprefix("ref:").strip() if head.startswith("ref:") else None

    def tracks(self, name: str) -> bool:
        """Whether git tracks `name` in the directory asked about, or anything below it."""
        path = os.fsencode(self._inside + name)
        index = _read(os.path.join(self._git_dir, "index"))
        if _index_holds(index, path):
            return True
        if b"link" not in index:
            return False
        return any(  # split-index mode keeps most entries in a second file
            _index_holds(_read(os.path.join(self._git_dir, shared)), path)
            for shared in os.listdir(self._git_dir)
            if shared.startswith("sharedindex.")
        )

    def exclude(self, *names: str) -> None:
        """Make git ignore files, or directories (`name/`), without touching a tracked file.

        Appends to the file that `git rev-parse --git-path info/exclude` names, once.
        Raises OSError where that cannot be written.
        """
        import fcntl  # a provisioned start never comes here

        info = os.path.join(self.common_dir, "info")
        os.makedirs(info, exist_ok=True)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(os.path.join(info, "exclude"), flags, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # fifty worktrees share one exclude file
            text = os.read(descriptor, os.fstat(descriptor).st_size)
            lines = text.splitlines()
            patterns = [os.fsencode(f"/{_as_pattern(self._inside + name)}") for name in names]
            missing = b"".join(pattern + b"\n" for pattern in patterns if pattern not in lines)
            if missing:
                os.write(descriptor, (b"" if text.endswith(b"\n") or not text else b"\n") + missing)
        finally:
            os.close(descriptor)


def _as_pattern(path: str) -> str:
    """A name that is not to be read as a pattern (gitignore(5))."""
    return "".join(f"\\{char}" if char in "\\*?[" else char for char in path)


def _git_dir(top: str) -> str:
    """Where the repository of a work tree's top is kept, "" if this is no such top."""
    path = os.path.join(top, ".git")
    if os.path.isdir(path):
        return path if os.path.exists(os.path.join(path, "HEAD")) else ""
    pointer = _read(path).decode(errors="replace")  # a linked worktree or a submodule
    if not pointer.startswith("gitdir:"):
        return ""
    return os.path.normpath(os.path.join(top, pointer.removeprefix("gitdir:").strip()))


def _read(path: str) -> bytes:
    """A regular file's content, empty for anything else: a fifo would make the start wait."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return b""
    with open(descriptor, "rb") as file:
        return file.read() if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""


def _index_holds(index: bytes, path: bytes) -> bool:
    if index[:4] != b"DIRC":
        return False
    if int.from_bytes(index[4:8], "big") == 4:
        return any(_is_at_or_below(name, path) for name in _version_4_names(index))
    start = index.find(path)
    while start != -1:
        name = index[start : index.find(b"\0", start)]
        if _is_entry(index, start, len(name)) and _is_at_or_below(name, path):
            return True
        start = index.find(path, start + 1)
    return False


def _is_entry(index: bytes, start: int, length: int) -> bool:
    """Whether an entry's name of that length starts there, and not the middle of one.

    Before a name stand two bytes whose low 12 bits give its length (4095: or more); with bit 14
    set, two bytes of further flags come between.
    """
    flags = int.from_bytes(index[start - 2 : start], "big")
    earlier = int.from_bytes(index[start - 4 : start - 2], "big")
    shown = min(length, 0xFFF)
    return flags & 0xFFF == shown or (earlier & 0x4000 != 0 and earlier & 0xFFF == shown)


def _is_at_or_below(name: bytes, path: bytes) -> bool:
    return name == path or name.startswith(path + b"/")


def _version_4_names(index: bytes) -> list[bytes]:
    """The names of a version 4 index, each stored as what differs from the one before."""
    for hash_length in (20, 32):  # SHA-1, SHA-256
        names = []
        name = b""
        position = 12
        try:
            for _ in range(int.from_bytes(index[8:12], "big")):
                flags = int.from_bytes(
                    index[position + 40 + hash_length : position + 42 + hash_length], "big"
                )
                position += 42 + hash_length + (2 if flags & 0x4000 else 0)
                cut, position = _offset(index, position)
                end = index.index(b"\0", position)
                name = name[: len(name) - cut] + index[position:end]
                if min(len(name), 0xFFF) != flags & 0xFFF:
                    raise ValueError("the other hash")
                position = end + 1
                names.append(name)
        except (ValueError, IndexError):
            continue
        return names
    return []


def _offset(data: bytes, position: int) -> tuple[int, int]:
    """Git's variable-width offset, as in pack files: the number, and where it ends."""
    value = data[position] & 0x7F
    while data[position] & 0x80:
        position += 1
        value = ((value + 1) << 7) | (data[position] & 0x7F)
    return value, position + 1
