"""What the images may add to their Python image, as a list that is compared with what they do."""

from collections.abc import Iterator

from release import files
from release.image import Image, ImageError

MOST_MIB = 12.0
# Directories that `ravi-agent-base` puts files into, and why.
FOLDERS = {
    "opt/ravi": "the entrypoint, its packages, and what agents use",
    "usr/local/bin": "links to the commands",
    "etc/profile.d": "login shells get what the agent got",
    "home/agent": "the agent's home, of /etc/skel",
}
# Files that it changes: the user `agent`, and the copies that useradd leaves of them.
CHANGED = frozenset(
    f"etc/{name}{end}"
    for name in ("group", "gshadow", "passwd", "shadow", "subgid", "subuid")
    for end in ("", "-")
)
LABELS = ("source", "licenses", "revision", "version", "created", "base.name", "base.digest")
_CACHES = ("root/.cache", "tmp", "var/cache", "var/lib/apt", "var/log", "var/tmp")
_COMPILERS = ("as", "c++", "cc", "clang", "g++", "gcc", "go", "ld", "make", "rustc")
_UIDS = {"ravi-agent-base": "", "ravi-init": "65532:65532", "ravi-local": "1000:1000"}


def faults(name: str, image: Image, base: Image) -> Iterator[str]:
    """What an image has that it should not have, or lacks, one sentence each."""
    added = files.additions(image, base)
    yield from _files(added)
    if name == "ravi-agent-base":
        size = sum(entry.size for entry in added.values()) / 2**20
        if size > MOST_MIB:
            yield f"it adds {size:.1f} MiB to its base, more than {MOST_MIB:g}"
    yield from _config(name, image)


def check(name: str, image: Image, base: Image) -> list[str]:
    """Lines for people about what an image adds; ImageError with what it should not."""
    found = [f"{name} {image.architecture}: {fault}" for fault in faults(name, image, base)]
    if found:
        raise ImageError("\n".join(found) + f"\n  fix: read {__file__}")
    return [
        f"{name} {image.architecture} adds to {folder}: {count} files, {size / 2**20:.2f} MiB"
        for folder, (count, size) in by_folder(image, base).items()
    ]


def _files(added: files.Tree) -> Iterator[str]:
    for path, entry in sorted(added.items()):
        if entry.is_set_id:
            yield f"/{path} runs as its owner or group (mode {entry.mode:04o})"
        if path.startswith(tuple(f"{folder}/" for folder in _CACHES)):
            yield f"/{path} is a cache or a log"
        if path.rpartition("/")[2] in _COMPILERS and entry.mode & 0o111:
            yield f"/{path} is a compiler"
        if entry.mode & 0o002 and entry.kind == "file":
            yield f"/{path} can be written by everybody"
        if not _is_listed(path):
            yield f"/{path} is in no directory of the list"


def _is_listed(path: str) -> bool:
    if path.startswith(tuple(f"{folder}/" for folder in FOLDERS)) or path in CHANGED:
        return True
    # Python's own modules: the official image has none compiled before the first program runs.
    return path.startswith("usr/local/lib/python3.") and path.endswith(".pyc")


def _config(name: str, image: Image) -> Iterator[str]:
    config = image.config["config"]
    labels = config.get("Labels") or {}
    for label in LABELS:
        if not labels.get(f"org.opencontainers.image.{label}"):
            yield f"it has no label org.opencontainers.image.{label}"
    if config.get("StopSignal") != "SIGTERM":
        yield f"its stop signal is {config.get('StopSignal')}"
    uid = _UIDS.get(name, "65532:65532")
    if config.get("User", "") != uid:
        yield f"its user is {config.get('User')!r}, not {uid!r}"
    if any(variable.startswith("RAVI_MANAGEMENT") for variable in config["Env"]):
        yield "it has a management key"


def by_folder(image: Image, base: Image) -> dict[str, tuple[int, int]]:
    """How many files and bytes an image adds in each directory, two levels deep."""
    found: dict[str, tuple[int, int]] = {}
    for path, entry in files.additions(image, base).items():
        folder = "/" + "/".join(path.split("/")[:-1][:2])
        count, size = found.get(folder, (0, 0))
        found[folder] = (count + 1, size + entry.size)
    return dict(sorted(found.items()))
