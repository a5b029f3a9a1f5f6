"""The Python image that ours stand on, pinned by digest; a stand-in where no registry has it."""

import os
import re
import subprocess
from pathlib import Path

from release import layout
from release.build import ROOT
from release.image import Image, Layer, digest_of_file
from release.registry import Registry, is_pullable

PINS = ROOT / "images/python"
NEWEST = "3.13"
ARCHITECTURES = ("amd64", "arm64")
_CONFIG = {
    "Cmd": ["python3"],
    "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
}


def pinned(version: str) -> str:
    """The public image of a Python version, `name:tag@digest`."""
    text = (PINS / version / "Dockerfile").read_text()
    found = re.search(r"^FROM (\S+@sha256:[0-9a-f]{64})$", text, re.MULTILINE)
    assert found, f"{version} is not pinned"
    return found[1]


def base_for(registry: Registry, version: str) -> str:
    """The pinned image where it can be pulled, else a stand-in of Debian's in that registry."""
    public = pinned(version)
    if is_pullable(public):
        return public
    folder = ROOT / "build/release-check/stand-in"
    for architecture in ARCHITECTURES:
        tar = root_tar(architecture)
        rootfs = {"type": "layers", "diff_ids": [digest_of_file(tar)]}
        config = {"architecture": architecture, "os": "linux", "config": _CONFIG, "rootfs": rootfs}
        layout.pack(Image(config, [Layer(rootfs["diff_ids"][0], tar)]), folder)
    digest = layout.join(folder)
    registry.push(folder, "python:stand-in")
    return f"{registry.host}/python:stand-in@{digest}"


def root_tar(architecture: str) -> Path:
    """Debian with its Python as a tar, made by mmdebstrap and kept for the next time."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    release = dict(
        line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if line
    )
    suite = release["VERSION_CODENAME"].strip('"')
    end = "" if architecture == "amd64" else f"-{architecture}"
    tar = Path(cache) / "ravi-agent-base" / f"{suite}{end}.tar"
    if not tar.exists():
        tar.parent.mkdir(parents=True, exist_ok=True)
        new = tar.with_suffix(".new.tar")
        packages = "--include=python3,python3-venv,ca-certificates"
        command = ["mmdebstrap", "--quiet", f"--architectures={architecture}", packages]
        subprocess.run([*command, "--variant=minbase", suite, str(new)], check=True)
        new.rename(tar)
    return tar
