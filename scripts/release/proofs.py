"""Bills of materials beside the images: written, validated, and held against what runs."""

import json
import subprocess
import sys
from pathlib import Path

from release import sbom
from release.image import ImageError, load

# The reference implementation of SPDX, in an environment of its own.
_TOOLS = "spdx-tools==0.8.3"
_VALIDATE = """
import sys
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
for path in sys.argv[1:]:
    for message in validate_full_spdx_document(parse_file(path)):
        sys.exit(f"{path}: {message.validation_message}")
"""
_PYTHON = """
import importlib.metadata, re, sys
for one in importlib.metadata.distributions(path=["/opt/ravi/lib"]):
    print(re.sub("[-_.]+", "-", one.name).lower(), one.version)
"""


def write(
    images: Path, folder: Path, architectures: list[str], names: tuple[str, ...]
) -> list[Path]:
    """Write a document for each image of each architecture: their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name in names:
        for architecture in architectures:
            image = load(images / name, architecture)
            path = folder / f"{name}-{architecture}.spdx.json"
            path.write_text(sbom.text(name, image, digests(images / name)[architecture]))
            written.append(path)
    return written


def validate(paths: list[Path]) -> None:
    """ImageError where a document is not SPDX."""
    uv = str(Path(sys.executable).with_name("uv"))
    command = [uv, "tool", "run", "--quiet", "--from", _TOOLS, "python", "-c", _VALIDATE]
    done = subprocess.run([*command, *map(str, paths)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ImageError(f"no SPDX document: {done.stderr.strip()}")


def compare(path: Path, tag: str) -> str:
    """Hold a document against what the image's own tools list: a line for people."""
    document = json.loads(path.read_text())
    listed = {f"{one['name']} {one['versionInfo']}" for one in document["packages"][1:]}
    debian = ["dpkg-query", "-W", "-f", "${Package} ${Version}\\n"]
    found = set(_run(tag, debian) + _run(tag, ["/opt/ravi/bin/python", "-Ic", _PYTHON]))
    if missing := sorted(found - listed):
        raise ImageError(f"{path} does not name: {', '.join(missing)}")
    return f"{path.name} names {len(listed)} packages, {len(found)} of them listed by the image"


def _run(tag: str, command: list[str]) -> list[str]:
    start = ["docker", "run", "--rm", "--user=0", f"--entrypoint={command[0]}", tag, *command[1:]]
    return subprocess.run(start, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()


def digests(folder: Path) -> dict[str, str]:
    """The digest of each architecture's manifest in a folder with a list of them."""
    listed = json.loads((folder / "manifest.json").read_bytes())["manifests"]
    return {one["platform"]["architecture"]: str(one["digest"]) for one in listed}
