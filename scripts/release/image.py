"""An image on disk: what `docker save` wrote, or a folder as skopeo's `dir:` transport keeps it."""

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
MANIFEST_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"

Json = dict[str, Any]


class ImageError(Exception):
    """What is wrong with an image, and what to do."""


class Layer(NamedTuple):
    """A layer: `diff_id` is the digest of its tar, `file` has it, compressed or not."""

    diff_id: str
    file: Path

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Read the tar itself."""
        with self.file.open("rb") as file:
            is_compressed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            if is_compressed:
                with gzip.open(file) as opened:
                    yield io.BufferedReader(opened)
            else:
                yield file


class Image(NamedTuple):
    """An image's configuration, and its layers from the lowest up."""

    config: Json
    layers: list[Layer]

    @property
    def architecture(self) -> str:
        """In Docker's words: `amd64`, `arm64`."""
        return str(self.config["architecture"])


def digest_of(data: bytes) -> str:
    """A digest as registries write it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def digest_of_file(path: Path) -> str:
    """The same of a file's content."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def blob(folder: Path, digest: str) -> Path:
    """Where a folder has a blob."""
    return folder / digest.partition(":")[2]


def save(name: str, folder: Path) -> Image:
    """Take an image out of the engine into a folder; ImageError where it has no such one."""
    folder.mkdir(parents=True, exist_ok=True)
    if ":" not in name.rpartition("/")[2]:
        name += ":latest"  # else all tags are saved
    with subprocess.Popen(["docker", "save", name], stdout=subprocess.PIPE) as saving:
        assert saving.stdout
        with tarfile.open(fileobj=saving.stdout, mode="r|") as tar:
            tar.extractall(folder, filter="data")
    if saving.returncode:
        raise ImageError(f"the engine has no image {name}\n  fix: make images")
    (entry,) = json.loads((folder / "manifest.json").read_bytes())
    config = json.loads((folder / entry["Config"]).read_bytes())
    diff_ids = config["rootfs"]["diff_ids"]
    return Image(
        config,
        [
            Layer(diff_id, folder / file)
            for diff_id, file in zip(diff_ids, entry["Layers"], strict=True)
        ],
    )


def load(folder: Path, architecture: str | None = None) -> Image:
    """The image in a folder; of those of a list the one of that architecture."""
    manifest = read_manifest(folder, architecture)
    config = json.loads(blob(folder, manifest["config"]["digest"]).read_bytes())
    layers = [blob(folder, layer["digest"]) for layer in manifest["layers"]]
    diff_ids = config["rootfs"]["diff_ids"]
    return Image(config, [Layer(*pair) for pair in zip(diff_ids, layers, strict=True)])


def read_manifest(folder: Path, architecture: str | None = None) -> Json:
    """An image's manifest; of a list the one of that architecture."""
    path = folder / "manifest.json"
    manifest: Json = json.loads(path.read_bytes())
    for one in manifest.get("manifests", ()):
        if one["platform"]["architecture"] == architecture:
            path = folder / f"{one['digest'].partition(':')[2]}.manifest.json"
            found: Json = json.loads(path.read_bytes())
            return found
    if "manifests" in manifest:
        raise ImageError(f"{folder} has no image for {architecture}\n  fix: make release-images")
    return manifest


def check_blobs(folder: Path) -> int:
    """How many blobs a folder has; ImageError where one is not what its name says."""
    count = 0
    for path in sorted(folder.iterdir()):
        name = path.name.removesuffix(".manifest.json")
        if len(name) != 64:
            continue
        if digest_of_file(path) != f"sha256:{name}":
            raise ImageError(f"{path} has another digest\n  fix: rm -r {folder}")
        count += 1
    return count


def compress(source: IO[bytes], target: Path, level: int) -> tuple[str, str]:
    """Compress a tar the same way every time: its own digest and that of the file."""
    inner, outer = hashlib.sha256(), hashlib.sha256()
    # gzip without a name and a time.
    packer = zlib.compressobj(level, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    with target.open("wb") as file:

        def put(data: bytes) -> None:
            outer.update(data)
            file.write(data)

        while data := source.read(1 << 20):
            inner.update(data)
            put(packer.compress(data))
        put(packer.flush())
    return f"sha256:{inner.hexdigest()}", f"sha256:{outer.hexdigest()}"
