"""Two builds of one commit, without a cache, are one image: `make reproducible`."""

import shutil
import subprocess
from pathlib import Path

from release import contents, layout
from release.build import ROOT, Built, build, commit_time, own_architecture, published, take
from release.image import ImageError, load, save

FOLDER = ROOT / "build/reproducible"
_COMPARE = f"diff -r {FOLDER}/1 {FOLDER}/2"


def run() -> list[str]:
    """Build all images twice, on the base of those that the engine has: lines for people.

    ImageError where the two differ, or an image holds what it should not.
    """
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    base = base_of("ravi-agent-base")
    own = FOLDER / "base"
    layout.pack(save(base, FOLDER / "saved"), own)
    layout.join(own)
    architecture = own_architecture()
    first, second = (_once(base, own, number, architecture) for number in (1, 2))
    lines = []
    for one, other in zip(first, second, strict=True):
        if one != other:
            raise ImageError(f"two builds of {one.name} differ: {one} {other}\n  fix: {_COMPARE}")
        lines.append(f"{one.name} {one.architecture} files {one.files} image {one.manifest}")
    return lines


def base_of(name: str) -> str:
    """The image that a built one stands on, by its label."""
    label = '{{index .Config.Labels "org.opencontainers.image.base.name"}}'
    command = ["docker", "image", "inspect", "--format", label, name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ImageError(f"the engine has no image {name}\n  fix: make images")
    return done.stdout.strip()


def _once(base: str, own: Path, number: int, architecture: str) -> list[Built]:
    tag = f"reproducible-{architecture}"
    build(architecture, base, tag, {})
    folder = FOLDER / str(number)
    folder.mkdir()
    built = [take(name, tag, own, folder, commit_time()) for name in published()]
    below = load(own, architecture)
    for name in published():
        contents.check(name, load(folder / name, architecture), below)
    return built
