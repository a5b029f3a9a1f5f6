"""What a command line says of pods, as the fields of a pod."""

import re
from collections.abc import Sequence

from ravi_agent.errors import UsageError
from ravi_agent.launcher.kubernetes.names import Object

_TOLERATION = re.compile(r"([^=:]+)(=([^:]*))?(:(NoSchedule|PreferNoSchedule|NoExecute))?")


def parse_selector(entries: Sequence[str]) -> dict[str, str]:
    """`KEY=VALUE` each, as `nodeSelector` has them; raises UsageError."""
    found = {}
    for entry in entries:
        key, equals, value = entry.partition("=")
        if not key or not equals:
            raise UsageError(
                f"--node-selector {entry!r}", "no KEY=VALUE", "--node-selector pool=agents"
            )
        found[key] = value
    return found


def parse_tolerations(entries: Sequence[str]) -> list[Object]:
    """`KEY[=VALUE][:EFFECT]` each, as `kubectl taint` writes taints; raises UsageError."""
    found = []
    for entry in entries:
        parts = _TOLERATION.fullmatch(entry)
        if not parts:
            raise UsageError(
                f"--toleration {entry!r}",
                "no KEY[=VALUE][:EFFECT], or no effect of Kubernetes",
                "--toleration agents:NoSchedule",
            )
        one: Object = {"key": parts[1], "operator": "Equal" if parts[2] else "Exists"}
        if parts[2]:
            one["value"] = parts[3]
        if parts[5]:
            one["effect"] = parts[5]
        found.append(one)
    return found
