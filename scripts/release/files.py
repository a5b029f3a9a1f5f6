"""The files of an image: what a container sees, what each layer adds, and one digest of it all."""

import hashlib
import tarfile
from collections.abc import Callable, Iterable, Iterator
from typing import IO, NamedTuple

from release.image import Image, Layer

_KINDS = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.LNKTYPE: "file",
    tarfile.SYMTYPE: "link",
    tarfile.DIRTYPE: "directory",
    tarfile.CHRTYPE: "character device",
    tarfile.BLKTYPE: "block device",
    tarfile.FIFOTYPE: "pipe",
}
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_XATTR = "SCHILY.xattr."
_ADDS, _REMOVES, _EMPTIES = "adds", "removes", "empties"


class Entry(NamedTuple):
    """A file as the kernel would show it; `content` is a digest, a link's target or a device."""

    kind: str
    mode: int
    owner: str
    modified_s: int
    size: int
    content: str

    @property
    def is_set_id(self) -> bool:
        """Whether it runs as its owner or group."""
        return self.kind == "file" and bool(self.mode & 0o6000)


Tree = dict[str, Entry]


def digest(tree: Tree, newest_s: int | None = None) -> str:
    """One digest of names, kinds, modes, owners, times and contents.

    Times after `newest_s` (seconds since 1970) count as that, as they do in what is published.
    """
    total = hashlib.sha256()
    for path in sorted(tree):
        entry = tree[path]
        if newest_s is not None:
            entry = entry._replace(modified_s=min(entry.modified_s, newest_s))
        total.update(repr((path, *entry)).encode("utf-8", "surrogateescape") + b"\n")
    return f"sha256:{total.hexdigest()}"


def tree(layers: Iterable[Layer]) -> Tree:
    """All files of some layers on top of each other, without a leading slash."""
    whole: Tree = {}
    for layer in layers:
        added, removed, emptied = read(layer)
        gone = [*removed, *(path for path, entry in added.items() if entry.kind != "directory")]
        under = tuple(f"{path}/" for path in (*gone, *emptied))
        beside = set(gone)
        if gone or emptied:
            whole = {
                path: entry
                for path, entry in whole.items()
                if path not in beside and not _is_below(path, under)
            }
        whole |= added
    return whole


def read(layer: Layer) -> tuple[Tree, list[str], list[str]]:
    """What a layer adds or changes, the paths that it removes, and directories that it empties."""
    added: Tree = {}
    removed: list[str] = []
    emptied: list[str] = []
    for what, path, member, tar in _changes(layer):
        if what == _EMPTIES:
            emptied.append(path)
        elif what == _REMOVES:
            removed.append(path)
        else:
            added[path] = _entry(tar, member, added)
    return added, removed, emptied


def texts(layers: Iterable[Layer], is_wanted: Callable[[str], bool]) -> dict[str, bytes]:
    """The contents of the files of some paths, as a container sees them."""
    whole: dict[str, bytes] = {}
    for layer in layers:
        found: dict[str, bytes] = {}
        gone: list[str] = []
        for what, path, member, tar in _changes(layer):
            if what == _EMPTIES:
                gone.append(f"{path}/")
            elif what == _REMOVES or not member.isdir():
                gone += [path, f"{path}/"]  # whatever was in its place
            if what == _ADDS and member.isreg() and is_wanted(path):
                opened = tar.extractfile(member)
                found[path] = opened.read() if opened else b""
        kept = {path: text for path, text in whole.items() if not _is_gone(path, gone)}
        whole = kept | found
    return dict(sorted(whole.items()))


def _changes(layer: Layer) -> Iterator[tuple[str, str, tarfile.TarInfo, tarfile.TarFile]]:
    """What a layer does to which path, and the member of its tar that says so.

    A member is to be read before the next is asked for.
    """
    with layer.open() as file, tarfile.open(fileobj=file, mode="r|") as tar:
        for member in tar:
            path = normal(member.name)
            folder, _, name = path.rpartition("/")
            if name == _OPAQUE:
                yield _EMPTIES, folder, member, tar
            elif name.startswith(_WHITEOUT):
                yield _REMOVES, f"{folder}/{name[len(_WHITEOUT) :]}".lstrip("/"), member, tar
            elif path:
                yield _ADDS, path, member, tar


def _is_gone(path: str, gone: list[str]) -> bool:
    return any(path == one or (one.endswith("/") and path.startswith(one)) for one in gone)


def additions(image: Image, base: Image) -> Tree:
    """What an image has on top of its base, files that it changes among them."""
    own = above(image, base)
    whole = tree(own)
    return {path: entry for path, entry in whole.items() if entry.kind != "directory"}


def above(image: Image, base: Image) -> list[Layer]:
    """The layers that are not its base's; ValueError if it stands on another one."""
    count = len(base.layers)
    if [layer.diff_id for layer in image.layers[:count]] != [one.diff_id for one in base.layers]:
        raise ValueError("the image stands on another base")
    return image.layers[count:]


def normal(name: str) -> str:
    """A path in a tar without `./` and slashes at its ends."""
    return "/".join(part for part in name.split("/") if part not in {"", "."})


def _is_below(path: str, folders: tuple[str, ...]) -> bool:
    # Few folders are removed, and many files looked at.
    return path.startswith(folders) if folders else False


def _entry(tar: tarfile.TarFile, member: tarfile.TarInfo, added: Tree) -> Entry:
    kind = _KINDS[member.type]
    content, size = "", 0
    if member.islnk():
        first = added[normal(member.linkname)]
        content, size = first.content, first.size
    elif kind == "file":
        file = tar.extractfile(member)
        assert file
        content, size = _digest(file), member.size
    elif kind == "link":
        content = member.linkname
    elif kind.endswith("device"):
        content = f"{member.devmajor}:{member.devminor}"
    for name in sorted(member.pax_headers):
        if name.startswith(_XATTR):
            content += f" {name[len(_XATTR) :]}={member.pax_headers[name]!r}"
    return Entry(kind, member.mode, f"{member.uid}:{member.gid}", int(member.mtime), size, content)


def _digest(file: IO[bytes]) -> str:
    total = hashlib.sha256()
    while data := file.read(1 << 20):
        total.update(data)
    return total.hexdigest()
