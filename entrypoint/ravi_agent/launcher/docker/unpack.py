"""An archive of an agent's files, unpacked so that nothing is ever written elsewhere.

Directories are all made here, files are written before any link exists, and a link may only lead
downwards: whatever an agent has put into its archive, no name in it leads out of the directory.
"""

import os
import shutil
import tarfile
from collections.abc import Iterable, Iterator

BYTES_LIMIT = 1 << 30  # of all files of one agent
FILES_LIMIT = 100_000
_CHUNK = 1 << 20


class TooMuchError(Exception):
    """The archive holds more than is taken of one agent; what came before is there."""


class _Chunks:
    """What the engine sends, as a file that `tarfile` reads forwards."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks: Iterator[bytes] = iter(chunks)
        self._rest = b""

    def read(self, size: int) -> bytes:
        while len(self._rest) < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            self._rest += chunk
        data, self._rest = self._rest[:size], self._rest[size:]
        return data


def unpack(chunks: Iterable[bytes], directory: str) -> int:
    """Write an archive's files, directories and downward links into an empty directory.

    Returns how many members were left out: devices, and whatever leads elsewhere. Modes are
    reduced to whether a file is executable. Raises TooMuchError, OSError and tarfile.TarError.
    """
    links: list[tuple[str, str]] = []
    skipped = size = count = 0
    with tarfile.open(fileobj=_Chunks(chunks), mode="r|") as archive:  # type: ignore[call-overload]
        for member in archive:
            count += 1
            size += max(0, member.size)
            if size > BYTES_LIMIT or count > FILES_LIMIT:
                raise TooMuchError
            path = _inside(member.name, directory)
            if path is None:
                skipped += 1
            elif member.isdir():
                os.makedirs(path, mode=0o700, exist_ok=True)
            elif member.issym() and _leads_down(member.linkname):
                links.append((member.linkname, path))
            elif member.isreg() and (content := archive.extractfile(member)):
                with _new_file(path, is_executable=bool(member.mode & 0o100)) as file:
                    shutil.copyfileobj(content, file, _CHUNK)
            elif member.islnk() and (first := _inside(member.linkname, directory)):
                skipped += not _copy(first, path)
            else:
                skipped += 1
    for target, path in links:
        if os.path.lexists(path):
            skipped += 1
            continue
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        os.symlink(target, path)
    return skipped


def _inside(name: str, directory: str) -> str | None:
    """Where a member goes, None for a name that leads elsewhere."""
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if name.startswith("/") or ".." in parts or not parts:
        return None
    return os.path.join(directory, *parts)


def _leads_down(target: str) -> bool:
    return bool(target) and not target.startswith("/") and ".." not in target.split("/")


def _new_file(path: str, *, is_executable: bool):  # type: ignore[no-untyped-def]
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o700 if is_executable else 0o600), "wb")


def _copy(first: str, path: str) -> bool:
    """A hard link becomes a copy of the file that came before it; False where none has."""
    if not os.path.isfile(first) or os.path.lexists(path):
        return False
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    shutil.copyfile(first, path, follow_symlinks=False)
    return True
