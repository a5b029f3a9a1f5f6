"""An image as it is published: the same bytes from every build of the same commit.

An engine writes the time of the build into files, and gives the configuration times and names of
its own. Here times after the commit become the commit's, in the layers above the base alone, as
BuildKit's `rewrite-timestamp` does; that needs an engine which has it, and this works with any.
"""

import json
import shutil
import tarfile
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from release import files
from release.image import (
    CONFIG,
    LAYER,
    MANIFEST,
    MANIFEST_LIST,
    Image,
    Json,
    Layer,
    blob,
    compress,
    digest_of,
    digest_of_file,
    read_manifest,
)

# What the image specification knows of a configuration; an engine writes more, other every time.
_KEPT = (
    *("User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels"),
    *("StopSignal", "Healthcheck", "Shell"),
)
_VERSION = "Directory Transport Version: 1.1\n"


def write(image: Image, base: Path, folder: Path, newest_s: int) -> str:
    """Add an image to a folder, its base's blobs as they were pulled: the digest of its manifest.

    `base` is the folder of the base image, of the same architecture.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "version").write_text(_VERSION)
    below = read_manifest(base, image.architecture)["layers"]
    layers = [_link(blob(base, layer["digest"]), folder) for layer in below]
    diff_ids = [layer.diff_id for layer in image.layers[: len(below)]]
    for layer in image.layers[len(below) :]:
        diff_id, descriptor = _add(layer, folder, newest_s)
        diff_ids.append(diff_id)
        layers.append(descriptor)
    return _manifest(folder, _config(image.config, diff_ids, newest_s), layers)


def pack(image: Image, folder: Path) -> str:
    """Put an image into a folder as it is: the digest of its manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "version").write_text(_VERSION)
    layers = []
    for layer in image.layers:
        with layer.open() as file:
            layers.append(_compressed(file, folder, level=1)[1])
    return _manifest(folder, image.config, layers)


def join(folder: Path) -> str:
    """Write the list of a folder's images, one an architecture: its digest."""
    listed = []
    for path in sorted(folder.glob("*.manifest.json")):
        manifest = json.loads(path.read_bytes())
        config = json.loads(blob(folder, manifest["config"]["digest"]).read_bytes())
        platform = {"architecture": config["architecture"], "os": config["os"]}
        listed.append(
            {
                "mediaType": MANIFEST,
                "size": path.stat().st_size,
                "digest": digest_of_file(path),
                "platform": platform,
            }
        )
    listed.sort(key=lambda one: str(one["platform"]))
    data = _json({"schemaVersion": 2, "mediaType": MANIFEST_LIST, "manifests": listed})
    (folder / "manifest.json").write_bytes(data)
    return digest_of(data)


def _manifest(folder: Path, config: Json, layers: list[Json]) -> str:
    described = _put(folder, config, CONFIG)
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": described, "layers": layers}
    digest = str(_put(folder, manifest, MANIFEST)["digest"])
    name = blob(folder, digest)
    name.rename(folder / f"{name.name}.manifest.json")
    return digest


def _config(config: Json, diff_ids: list[str], newest_s: int) -> Json:
    created = datetime.fromtimestamp(newest_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    own = config.get("config") or {}
    history = [
        # The base's entries keep their times; none is newer than the commit.
        {**entry, "created": min(str(entry.get("created", created))[:19] + "Z", created)}
        for entry in config.get("history") or []
    ]
    kept = {name: config[name] for name in ("architecture", "os", "variant") if config.get(name)}
    return {
        **kept,
        "created": created,
        "config": {name: own[name] for name in _KEPT if own.get(name)},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": history,
    }


def _add(layer: Layer, folder: Path, newest_s: int) -> tuple[str, Json]:
    with tempfile.TemporaryFile() as rewritten:
        with (
            layer.open() as file,
            tarfile.open(fileobj=file, mode="r|") as source,
            tarfile.open(fileobj=rewritten, mode="w", format=tarfile.PAX_FORMAT) as target,
        ):
            for member in source:
                content = source.extractfile(member) if member.isreg() else None
                target.addfile(_plain(member, newest_s), content)
        rewritten.seek(0)
        return _compressed(rewritten, folder)


def _plain(member: tarfile.TarInfo, newest_s: int) -> tarfile.TarInfo:
    """The same member without what differs between two builds."""
    member.mtime = min(int(member.mtime), newest_s)
    member.uname = member.gname = ""
    member.name = files.normal(member.name)
    member.pax_headers = {
        name: value
        for name, value in member.pax_headers.items()
        if name.startswith("SCHILY.xattr.")
    }
    return member


def _compressed(source: IO[bytes], folder: Path, level: int = 6) -> tuple[str, Json]:
    new = folder / "new"
    diff_id, digest = compress(source, new, level)
    size = new.stat().st_size
    new.rename(blob(folder, digest))
    return diff_id, {"mediaType": LAYER, "size": size, "digest": digest}


def _link(path: Path, folder: Path) -> Json:
    target = folder / path.name
    if not target.exists():
        shutil.copyfile(path, target)
    size = target.stat().st_size
    return {"mediaType": LAYER, "size": size, "digest": f"sha256:{path.name}"}


def _put(folder: Path, value: Json, media_type: str) -> Json:
    data = _json(value)
    digest = digest_of(data)
    blob(folder, digest).write_bytes(data)
    return {"mediaType": media_type, "size": len(data), "digest": digest}


def _json(value: Json) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
