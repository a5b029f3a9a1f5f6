"""Values with a unit, as docker's flags take them."""

import os
import re

from ravi_agent.errors import UsageError

# https://github.com/moby/moby/blob/v28.0.0/daemon/names/names.go
_VOLUME_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_UNITS_S = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
# Binary, as Docker counts them: 1k is 1024 bytes.
_UNITS_BYTES = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def parse_seconds(flag: str, text: str) -> int:
    """Seconds from `90`, `90s`, `30m`, `12h` or `7d`; raises UsageError for anything else."""
    found = re.fullmatch(r"([0-9]{1,9})([smhd]?)", text)
    if not found:
        raise UsageError(f"{flag} {text!r}", "a time is a number and s, m, h or d", f"{flag} 30m")
    return int(found[1]) * _UNITS_S[found[2]]


def parse_bytes(flag: str, text: str) -> int:
    """Bytes from `64m`, `1.5g` or a number; raises UsageError for anything else, and for 0."""
    found = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)(b?|[kmgt](?:i?b)?)", text.lower())
    size = int(float(found[1]) * _UNITS_BYTES[found[2][:1]]) if found else 0
    if not size:
        raise UsageError(f"{flag} {text!r}", "a size is a number and b, k, m or g", f"{flag} 512m")
    return size


def is_volume_name(text: str) -> bool:
    """Whether an engine would make a volume of that name."""
    return _VOLUME_NAME.fullmatch(text) is not None


def host_path(path: str) -> str:
    """A path of this host as an engine needs it; a bare word stays a volume's name."""
    if path.startswith("~"):
        path = os.path.expanduser(path)
    return os.path.abspath(path) if path.startswith((".", "/")) else path
