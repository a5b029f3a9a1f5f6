"""The table of `docs/scale.md`, made of `results.json` and nothing else."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from bench import markdown
from bench.markdown import row

BEGIN = "<!-- results: make scale-cluster -->"
_WRITES = frozenset({"create", "patch", "update", "delete"})
_COLUMNS = (
    "agents",
    "processor",
    "of it per agent",
    "memory at most",
    "received",
    "per agent",
    "changes of a pod",
    "sent",
    "writes",
    "lists",
    "watches",
    "gets",
    "run",
)


def put_into(page: str, runs: Iterable[Mapping[str, Any]]) -> str:
    """The page with the table of these runs between its marks. Raises ValueError without."""
    return markdown.put_into(page, BEGIN, table(runs))


def table(runs: Iterable[Mapping[str, Any]]) -> str:
    """A row for each run, and what it ran on, as Markdown."""
    lines = [row(_COLUMNS), row(["---"] * len(_COLUMNS))]
    what = []
    for one in runs:
        lines.append(row(_cells(one)))
        what.append(
            f"{one['agents']:,} agents: {one['date']}, Kubernetes {one['kubernetes']}, Python"
            f" {one['python']}, {one['cores']} cores, {one['nodes']} nodes,"
            f" a pod of {one['pod_bytes'] / 1000:.1f} KB, etcd {one['store_mb']:.0f} MB at the end."
        )
    return "\n".join([*lines, "", *(f"- {one}" for one in what), ""])


def _cells(one: Mapping[str, Any]) -> list[str]:
    verbs: Counter[str] = Counter()
    for name, count in one["calls"].items():
        verb = name.partition(" ")[0]
        verbs["write" if verb in _WRITES else verb] += count
    agents = one["agents"]
    return [
        f"{agents:,}",
        f"{one['cpu_s']:.1f} s",
        f"{one['cpu_s'] / agents * 1000:.1f} ms",
        f"{one['memory_mb']:.0f} MB",
        f"{one['received'] / 1e6:.1f} MB",
        f"{one['received'] / agents / 1000:.1f} KB",
        f"{one['changes'] / agents:.1f}",
        f"{one['sent'] / 1e3:.0f} KB",
        str(verbs["write"]),
        str(verbs["list"]),
        str(verbs["watch"]),
        str(verbs["get"]),
        f"{one['wall_s']:.0f} s",
    ]
