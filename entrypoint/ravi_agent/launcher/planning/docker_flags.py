"""Flags of `docker run` with docker's syntax, checked here and passed on as they are.

Sources: https://docs.docker.com/reference/cli/docker/container/run/ and
https://docs.docker.com/engine/storage/bind-mounts/#syntax.
"""

import csv
import ipaddress
import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

from ravi_agent.errors import UsageError
from ravi_agent.launcher.planning.values import host_path, is_volume_name, parse_bytes

# setrlimit(2), under the names that docker gives them.
ULIMITS = (
    *("core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc"),
    *("rss", "rtprio", "rttime", "sigpending", "stack"),
)
_ULIMIT = re.compile(rf"({'|'.join(ULIMITS)})=(-1|\d+)(?::(-1|\d+))?")
_MOUNT_TYPES = ("volume", "bind", "tmpfs")
_ALIASES = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly"}
_MOUNT_KEYS = frozenset(
    {
        *("type", "source", "target", "readonly", "bind-propagation", "volume-nocopy"),
        *("tmpfs-size", "tmpfs-mode", "consistency"),
    }
)
_SWITCHES = frozenset({"readonly", "volume-nocopy"})
# Options that one type of mount has; docker refuses them with another.
_OF_TYPE = {
    "bind-propagation": "bind",
    "volume-nocopy": "volume",
    "tmpfs-size": "tmpfs",
    "tmpfs-mode": "tmpfs",
}
_TRUE, _FALSE = frozenset({"", "1", "true"}), frozenset({"0", "false"})


@dataclass(frozen=True, kw_only=True)
class Mount:
    """One `--mount`. tmpfs_size: bytes; tmpfs_mode: as chmod has it; None where not given."""

    type: Literal["volume", "bind", "tmpfs"]
    target: str
    source: str | None = None
    is_read_only: bool = False
    propagation: str | None = None
    is_nocopy: bool = False
    tmpfs_size: int | None = None
    tmpfs_mode: int | None = None


def parse_ulimit(entry: str) -> tuple[str, int, int]:
    """`NAME=SOFT[:HARD]`, -1 for no limit; raises UsageError."""
    found = _ULIMIT.fullmatch(entry)
    example = "--ulimit nofile=4096:8192"
    if not found:
        raise UsageError(
            f"--ulimit {entry!r}", f"not NAME=SOFT[:HARD] with one of {', '.join(ULIMITS)}", example
        )
    soft = int(found[2])
    hard = soft if found[3] is None else int(found[3])
    if hard != -1 and (soft == -1 or soft > hard):
        raise UsageError(f"--ulimit {entry!r}", "the soft limit is above the hard one", example)
    return found[1], soft, hard


def parse_host(entry: str) -> str:
    """`HOST:IP` or `HOST=IP` as `HOST:IP`; raises UsageError. `host-gateway` is an address too."""
    name, _, address = (
        entry.partition("=") if "=" in entry.partition(":")[0] else entry.partition(":")
    )
    if not name or not address:
        raise UsageError(f"--add-host {entry!r}", "not HOST:IP", "--add-host db:10.0.0.5")
    return f"{name}:{address.strip('[]')}"


def parse_tmpfs(entry: str) -> tuple[str, str]:
    """`PATH[:OPTIONS]`; raises UsageError."""
    path, _, options = entry.partition(":")
    if not path.startswith("/"):
        raise UsageError(f"--tmpfs {entry!r}", "not an absolute path", "--tmpfs /run/x:size=64m")
    return posixpath.normpath(path), options


def parse_dns(entry: str) -> str:
    """An IP address; raises UsageError."""
    try:
        ipaddress.ip_address(entry.strip())
    except ValueError as exc:
        raise UsageError(f"--dns {entry!r}", "not an IP address", "--dns 10.0.0.2") from exc
    return entry


def parse_device(entry: str) -> str:
    """`HOST[:CONTAINER[:rwm]]`; raises UsageError."""
    parts = entry.split(":")
    is_good = parts[0].startswith("/") and len(parts) <= 3
    if not is_good or (len(parts) == 3 and not re.fullmatch("[rwm]{1,3}", parts[2])):
        raise UsageError(
            f"--device {entry!r}",
            "not HOST[:CONTAINER[:rwm]] with an absolute path of the host",
            "--device /dev/fuse",
        )
    return entry


def parse_log_option(entry: str) -> tuple[str, str]:
    """`KEY=VALUE`; raises UsageError."""
    key, equals, value = entry.partition("=")
    if not key or not equals:
        raise UsageError(f"--log-opt {entry!r}", "not KEY=VALUE", "--log-opt max-size=10m")
    return key, value


def parse_mount(entry: str) -> Mount:
    """`type=bind,source=…,target=…[,readonly]` and so on; raises UsageError."""
    values = dict(_mount_fields(entry))
    kind = values.get("type") or "volume"
    target, source = values.get("target") or "", values.get("source")
    if kind not in _MOUNT_TYPES:
        raise _bad_mount(entry, f"type is not {', '.join(_MOUNT_TYPES)}")
    if not target.startswith("/"):
        raise _bad_mount(entry, "target is not an absolute path")
    if target.strip("/") == "":
        raise _bad_mount(entry, "nothing can be mounted over the whole container")
    if kind == "bind" and not source:
        raise _bad_mount(entry, "a bind has a source")
    if kind == "tmpfs" and source:
        raise _bad_mount(entry, "a tmpfs has no source")
    if kind == "volume" and source and not is_volume_name(source):
        raise _bad_mount(entry, f"{source!r} is not a volume's name")
    for key in values.keys() & _OF_TYPE.keys():
        if _OF_TYPE[key] != kind:
            raise _bad_mount(entry, f"{key} is an option of type={_OF_TYPE[key]}")
    mode = values.get("tmpfs-mode")
    if mode is not None and not re.fullmatch("[0-7]{1,5}", mode):
        raise _bad_mount(entry, "tmpfs-mode is not octal")
    size = values.get("tmpfs-size")
    return Mount(
        type=cast("Literal['volume', 'bind', 'tmpfs']", kind),
        target=posixpath.normpath(target),
        source=host_path(source) if source and kind == "bind" else source,
        is_read_only=values.get("readonly") in _TRUE,
        propagation=values.get("bind-propagation"),
        is_nocopy=values.get("volume-nocopy") in _TRUE,
        tmpfs_size=None if size is None else parse_bytes("--mount tmpfs-size", size),
        tmpfs_mode=None if mode is None else int(mode, 8),
    )


def _mount_fields(entry: str) -> list[tuple[str, str]]:
    try:
        (cells,) = csv.reader([entry], strict=True)
    except (csv.Error, ValueError) as exc:
        raise _bad_mount(entry, "not a list of KEY=VALUE") from exc
    fields = []
    for cell in cells:
        key, equals, value = cell.partition("=")
        key = _ALIASES.get(key.strip().lower(), key.strip().lower())
        if key not in _MOUNT_KEYS or (not equals and key not in _SWITCHES):
            raise _bad_mount(entry, f"{cell!r} is none of {', '.join(sorted(_MOUNT_KEYS))}")
        if key in _SWITCHES and value not in _TRUE | _FALSE:
            raise _bad_mount(entry, f"{cell!r} is neither true nor false")
        fields.append((key, value))
    return fields


def _bad_mount(entry: str, why: str) -> UsageError:
    return UsageError(f"--mount {entry!r}", why, "--mount type=bind,source=/data,target=/data")


@dataclass(frozen=True, kw_only=True)
class DockerSettings:
    """What is passed on to a Docker engine as it was typed, and checked."""

    log_driver: str | None = None
    log_opts: Sequence[str] = ()
    ulimits: Sequence[str] = ()
    hosts: Sequence[str] = ()
    mounts: Sequence[str] = ()
    tmpfs: Sequence[str] = ()
    dns: Sequence[str] = ()
    ipc: str | None = None
    devices: Sequence[str] = field(default=())

    def check(self) -> None:
        """Raises UsageError for the first value that is wrong."""
        for parse, entries in (
            (parse_log_option, self.log_opts),
            (parse_ulimit, self.ulimits),
            (parse_host, self.hosts),
            (parse_mount, self.mounts),
            (parse_tmpfs, self.tmpfs),
            (parse_device, self.devices),
            (parse_dns, self.dns),
        ):
            for entry in entries:
                parse(entry)

    def targets(self) -> list[str]:
        """Where in each container something else than the image is."""
        return [
            *(parse_mount(entry).target for entry in self.mounts),
            *(parse_tmpfs(entry)[0] for entry in self.tmpfs),
        ]
