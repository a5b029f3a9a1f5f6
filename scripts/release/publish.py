"""The names under which images are published, and what has to be said of each for its proofs."""

import json
import re
import shutil
from pathlib import Path
from typing import NamedTuple

from ravi_agent import __version__
from release import layout, proofs
from release.build import IMAGES, ROOT, build, commit_time, own_architecture, take
from release.contents import check
from release.image import ImageError, check_blobs, digest_of_file, load
from release.pid1 import check as check_pid1
from release.python_image import ARCHITECTURES, NEWEST, pinned
from release.registry import Registry

FOLDER = ROOT / "build/release"
SBOM = FOLDER / "sbom"


class Published(NamedTuple):
    """An image in a registry: the digest of its list, and of each architecture's manifest."""

    image: str
    python: str
    digest: str
    architectures: dict[str, str]


def tags(version: str, python: str) -> list[str]:
    """An image's tags: `1.2.3`, `1.2` and `latest`, each with `-py3.13` too.

    Those without are the newest Python's. A pre-release has its own version alone.
    """
    names = [version]
    if re.fullmatch(r"\d+\.\d+\.\d+", version):
        names += [version.rpartition(".")[0], "latest"]
    ended = [f"{name}-py{python}" for name in names]
    return [*names, *ended] if python == NEWEST else ended


def images_for(python: str) -> tuple[str, ...]:
    """Which images are published for a Python version; only agents have a reason to choose."""
    return IMAGES if python == NEWEST else IMAGES[:1]


def make(python: str, base: str | None, registry: Registry) -> list[str]:
    """Build, check and write all images of a Python version for this machine: lines for people.

    On the pinned image of that version, or on `base`.
    """
    architecture = own_architecture()
    below = FOLDER / f"python-{python}"
    folder = FOLDER / "images" / python
    for old in (below, folder, SBOM / python):
        shutil.rmtree(old, ignore_errors=True)
    whole = base or pinned(python)
    registry.pull_from(whole, below, architecture)
    tag = f"release-{architecture}"
    names = images_for(python)
    build(architecture, whole, tag, {"IMAGES": " ".join(names)})
    folder.mkdir(parents=True)
    lines = []
    for name in names:
        take(name, tag, below, folder, commit_time())
        image = load(folder / name, architecture)
        lines += check(name, image, load(below, architecture))
    lines += check_pid1(f"ravi-agent-base:{tag}", architecture)
    paths = proofs.write(folder, SBOM / python, [architecture], names)
    proofs.validate(paths)
    return lines


def push(host: str, registry: Registry) -> list[Published]:
    """Push what the machines of each architecture have made, under all its tags.

    `host` is a registry and a folder in it. ImageError where an image is incomplete.
    """
    done = []
    for folder in sorted((FOLDER / "images").iterdir()):
        for name in images_for(folder.name):
            digest = layout.join(folder / name)
            check_blobs(folder / name)
            found = proofs.digests(folder / name)
            if sorted(found) != sorted(ARCHITECTURES):
                raise ImageError(
                    f"{name} for Python {folder.name} is there for {', '.join(found)} alone"
                    "\n  fix: make release-images on a machine of the other architecture"
                )
            image = f"{host.lower()}/{name}"
            for tag in tags(__version__, folder.name):
                registry.push_to(folder / name, f"{image}:{tag}")
            assert digest_of_file(folder / name / "manifest.json") == digest
            done.append(Published(image, folder.name, digest, found))
    return done


def notes(changelog: str, version: str) -> str:
    """A version's section of a changelog, without its title."""
    found = re.search(
        rf"^## \[?{re.escape(version)}\]?.*?\n(.*?)(?=^## |^\[[^]]+\]: |\Z)",
        changelog,
        re.MULTILINE | re.DOTALL,
    )
    if not found or not found[1].strip():
        raise ImageError(f"CHANGELOG.md has no section {version}\n  fix: name it '## {version}'")
    return found[1].strip() + "\n"


def write_matrix(published: list[Published], path: Path) -> None:
    """Write what was pushed as the matrix of the workflow's job that signs it."""
    include = []
    for one in published:
        name = one.image.rpartition("/")[2]
        sboms = {
            architecture: f"build/release/sbom/{one.python}/{name}-{architecture}.spdx.json"
            for architecture in one.architectures
        }
        include.append({**one._asdict(), "name": name, "sbom": sboms})
    path.write_text(json.dumps({"include": include}, sort_keys=True) + "\n")
