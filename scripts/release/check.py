"""Everything that a release does but the upload: `make release-check`."""

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from ravi_agent import __version__
from release import contents, demo, layout, pid1, proofs
from release.build import ROOT, Built, build, commit_time, own_architecture, published, take
from release.emulation import emulated
from release.image import ImageError, check_blobs, digest_of_file, load
from release.python_image import ARCHITECTURES, base_for
from release.registry import Registry, registry

FOLDER = ROOT / "build/release-check"
_TOOLS = ("skopeo", "docker-registry", "htpasswd", "mmdebstrap")


class Check:
    """One run; `registry` has the Python image that everything stands on, as `base`."""

    def __init__(self, registry: Registry, base: str) -> None:
        self.registry = registry
        self.base = base
        # This machine's own first: its images install the packages of the others.
        own = own_architecture()
        self.architectures = sorted(ARCHITECTURES, key=lambda one: one != own)
        self.digests: dict[str, str] = {}

    def pull_bases(self) -> None:
        """The Python image of each architecture, its blobs as the registry has them."""
        for architecture in self.architectures:
            self.registry.pull_from(self.base, self._base(architecture), architecture)

    def build_all(self, folder: Path) -> list[Built]:
        """Build all images for all architectures into a folder, and list each image's."""
        folder.mkdir()
        built = []
        for architecture in self.architectures:
            with step(f"build {architecture} into {folder.name}"):
                tag = f"release-{architecture}"
                environ = self.registry.environ
                build(architecture, self.base, tag, environ)
            with step(f"take {architecture} out of the engine"):
                for name in published():
                    base = self._base(architecture)
                    built.append(take(name, tag, base, folder, commit_time()))
        return built

    def push_all(self, folder: Path) -> None:
        """Push every image under its version, for all architectures."""
        for name in published():
            self.digests[name] = digest_of_file(folder / name / "manifest.json")
            self.registry.push(folder / name, f"{name}:{__version__}")

    def pull_all(self, folder: Path) -> list[str]:
        """Pull every image by its digest, hold it against what was pushed: lines for people."""
        lines = []
        for name, digest in self.digests.items():
            self.registry.pull(f"{name}@{digest}", folder / name)
            found = digest_of_file(folder / name / "manifest.json")
            if found != digest:
                raise ImageError(f"{name} is {found} in the registry, not {digest}")
            count = check_blobs(folder / name)
            lines.append(f"{name}:{__version__} {digest}, {count} blobs")
        return lines

    def check_contents(self, folder: Path) -> list[str]:
        """Hold what was pulled against the list of what the images may have: lines for people."""
        lines = []
        for architecture in self.architectures:
            base = load(self._base(architecture), architecture)
            for name in published():
                lines += contents.check(name, load(folder / name, architecture), base)
        return lines

    def write_bills(self, folder: Path) -> None:
        """Write and validate a bill of materials for each image, and say what is in it."""
        paths = proofs.write(folder, FOLDER / "sbom", self.architectures, published())
        proofs.validate(paths)
        own = own_architecture()
        for name in published():
            path = FOLDER / "sbom" / f"{name}-{own}.spdx.json"
            print(proofs.compare(path, self.engine_pull(name, own)))

    def engine_pull(self, name: str, architecture: str) -> str:
        """Have the engine pull an image by its digest: its name there, a tag of its own."""
        environ = {**os.environ, **self.registry.environ}
        # By the digest of that architecture: an engine may keep one image alone of a list.
        digest = proofs.digests(FOLDER / "pulled" / name)[architecture]
        source = f"{self.registry.host}/{name}@{digest}"
        command = ["docker", "pull", "--quiet", "--platform", f"linux/{architecture}", source]
        subprocess.run(command, env=environ, check=True, stdout=subprocess.DEVNULL)
        tag = f"{name}:pulled-{architecture}"
        subprocess.run(["docker", "tag", source, tag], check=True)
        return tag

    def demo(self) -> None:
        """The demo of the README, on what was pulled."""
        own = own_architecture()
        demo.run({name: self.engine_pull(name, own) for name in published()})

    def _base(self, architecture: str) -> Path:
        return FOLDER / f"python-{architecture}"


@contextlib.contextmanager
def step(what: str) -> Iterator[None]:
    """Say how long a part took."""
    began = time.monotonic()
    print(f"release-check: {what} …", flush=True)
    yield
    print(f"release-check: {what}: {(time.monotonic() - began) / 60:.1f} min", flush=True)


def run(python: str) -> None:
    """All of it; ImageError where something is not as it has to be."""
    missing = [tool for tool in _TOOLS if not shutil.which(tool)]
    if missing:
        raise ImageError(f"not here: {' '.join(missing)}\n  fix: scripts/release-tools")
    demo.check_room()  # now, not after half an hour
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    began = time.monotonic()
    others = [one for one in ARCHITECTURES if one != own_architecture()]
    with contextlib.ExitStack() as stack:
        for architecture in others:
            stack.enter_context(emulated(architecture))
        _run(stack.enter_context(registry(FOLDER / "registry")), python, others)
    print(f"release-check: all: {(time.monotonic() - began) / 60:.1f} min", flush=True)


def _run(local: Registry, python: str, others: list[str]) -> None:
    with step("the Python image"):
        check = Check(local, base_for(local, python))
        check.pull_bases()
    first = check.build_all(FOLDER / "images")
    with step("push to a registry with a password, and pull back"):
        check.push_all(FOLDER / "images")
        print("\n".join(check.pull_all(FOLDER / "pulled")))
    with step("what the images hold"):
        print("\n".join(check.check_contents(FOLDER / "pulled")))
    with step("bills of materials"):
        check.write_bills(FOLDER / "pulled")
    with step("the demo, from what was pulled"):
        check.demo()
    for architecture in others:
        with step(f"PID 1 on {architecture}"):
            tag = check.engine_pull("ravi-agent-base", architecture)
            print("\n".join(pid1.check(tag, architecture)))
    second = check.build_all(FOLDER / "again")
    for one, other in zip(first, second, strict=True):
        if one != other:
            raise ImageError(f"two builds of {one.name} differ: {one} {other}")
        print(f"{one.name} {one.architecture}: twice files {one.files}, image {one.manifest}")
    for name, digest in check.digests.items():
        if layout.join(FOLDER / "again" / name) != digest:
            raise ImageError(f"two builds of {name} differ in their list")
