"""Builds the images that are published, with `scripts/images`, into folders that can be pushed."""

import os
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from release import files, layout
from release.image import Image, ImageError, load, save

ROOT = Path(__file__).parents[2]
IMAGES = ("ravi-agent-base", "ravi-init", "ravi-local", "ravi-launch")


class Built(NamedTuple):
    """One image of one architecture: the digests of its manifest and of its files."""

    name: str
    architecture: str
    manifest: str
    files: str


def published() -> tuple[str, ...]:
    """The images that are published, or those of them that the variable IMAGES names."""
    named = os.environ.get("IMAGES", "").split() or IMAGES
    return tuple(name for name in IMAGES if name in named or name == IMAGES[0])


def own_architecture() -> str:
    """This machine's, in Docker's words."""
    return {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]


def commit_time() -> int:
    """SOURCE_DATE_EPOCH, else the time of the commit, in seconds."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    return int(given or _output("git", "-C", str(ROOT), "log", "-1", "--format=%ct"))


def build(architecture: str, base: str, tag: str, environ: dict[str, str]) -> None:
    """Build all four for an architecture, each with that tag, on a base image, without a cache.

    A layer of a cache may be older than the commit, and then has other times than a new one.
    """
    command = [str(ROOT / "scripts/images"), "release"]
    own = own_architecture()
    more = {"BASE_IMAGE": base, "TAG": tag, "PLATFORM": f"linux/{architecture}", "NO_CACHE": "1"}
    if architecture != own:  # the packages are installed by this machine's Python
        more["BUILD_BASE"] = f"ravi-agent-base:{tag.removesuffix(architecture)}{own}"
    with subprocess.Popen(
        command, env={**os.environ, **environ, **more}, cwd=ROOT, process_group=0
    ) as building:
        try:
            code = building.wait()
        except BaseException:
            os.killpg(building.pid, signal.SIGTERM)
            raise
    if code:
        raise ImageError(f"no images for {architecture}: scripts/images ends with {code}")


def take(name: str, tag: str, base: Path, folder: Path, newest_s: int) -> Built:
    """Put a built image into its folder of `folder`, on its base as that was pulled."""
    with tempfile.TemporaryDirectory(dir=folder.parent) as saved:
        image = save(f"{name}:{tag}", Path(saved))
        _check_base(name, image, load(base, image.architecture))
        manifest = layout.write(image, base, folder / name, newest_s)
    layout.join(folder / name)
    written = load(folder / name, image.architecture)
    return Built(name, image.architecture, manifest, files.digest(files.tree(written.layers)))


def _check_base(name: str, image: Image, base: Image) -> None:
    try:
        files.above(image, base)
    except ValueError as exc:
        raise ImageError(f"{name}: {exc}\n  fix: scripts/images release") from exc


def _output(*command: str) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
