"""What became of a run: the object for machines and the table for people."""

import json
import re
from collections.abc import Sequence
from typing import Any

from ravi_agent.launcher.model.agents import Agent, State
from ravi_agent.launcher.planning.plan import Plan


def report(
    plan: Plan, agents: Sequence[Agent], wall_s: float, backend: str = "docker"
) -> dict[str, Any]:
    """The object of `--output json`; times in seconds, absent ones null."""
    succeeded = sum(agent.is_success for agent in agents)
    ready = sorted(agent.ready_s for agent in agents if agent.ready_s is not None)
    return {
        "run": plan.run,
        "backend": backend,
        "image": plan.image,
        "agents": [agent_record(agent) for agent in agents],
        "summary": {
            "requested": len(agents),
            "succeeded": succeeded,
            "failed": len(agents) - succeeded,
            "wall_s": round(wall_s, 3),
            "ready_p50_s": _percentile(ready, 50),
            "ready_p95_s": _percentile(ready, 95),
        },
    }


def agent_record(agent: Agent) -> dict[str, Any]:
    """One agent in `--output json`."""
    identity = agent.identity
    return {
        "task": agent.task.id,
        "index": agent.task.index,
        "container": agent.container,
        "identity": {
            "uuid": identity.uuid,
            "name": identity.name,
            "email": identity.email,
            "phone": identity.phone,
        }
        if identity
        else None,
        "state": str(agent.state),
        "exit_code": agent.exit_code,
        "ready_s": None if agent.ready_s is None else round(agent.ready_s, 3),
        "memory_peak_bytes": agent.used.memory_peak,
        "cpu_s": agent.used.cpu_s,
        "error": agent.error,
    }


def _percentile(ordered: Sequence[float], percent: int) -> float | None:
    """The nearest-rank percentile: a value that was really measured."""
    if not ordered:
        return None
    rank = max(1, -(-percent * len(ordered) // 100))
    return round(ordered[rank - 1], 3)


def to_json(result: dict[str, Any]) -> str:
    return json.dumps(result, indent=2)


# `after 5 attempts in 31 s`: never a status or an exit code.
_COUNTED = re.compile(r"\d+(?:\.\d+)?(?= ?(?:s|ms|seconds?|attempts?|times|bytes|[kMG]i?B)\b)")
COLUMNS = ("task", "state", "exit", "email", "phone", "ready", "identity")


def rows(agents: Sequence[Agent]) -> list[tuple[str, ...]]:
    """The table's rows under `COLUMNS`."""
    return [
        (
            agent.task.id,
            str(agent.state),
            "-" if agent.exit_code is None else str(agent.exit_code),
            agent.identity.email if agent.identity else "-",
            (agent.identity.phone or "none") if agent.identity else "-",
            "-" if agent.ready_s is None else f"{agent.ready_s:.1f} s",
            agent.identity.name if agent.identity else "-",
        )
        for agent in agents
    ]


def summary_line(result: dict[str, Any]) -> str:
    """The closing line: how many, how long, how soon."""
    summary = result["summary"]
    line = (
        f"run {result['run']}: {summary['requested']} requested, {summary['succeeded']} succeeded,"
        f" {summary['failed']} failed in {summary['wall_s']:.1f} s"
    )
    p50_s, p95_s = summary["ready_p50_s"], summary["ready_p95_s"]
    return (
        line if p50_s is None else f"{line}; ready after {p50_s:.1f} s (p50), {p95_s:.1f} s (p95)"
    )


def _kind_of_cause(agent: Agent) -> str:
    """The cause without what differs from agent to agent: its names, and what it has counted."""
    cause = agent.cause
    for name in (agent.task.identity_name, agent.container or "", agent.task.id):
        if len(name) > 1:
            cause = cause.replace(name, "")
    return _COUNTED.sub("", cause)


def failures(agents: Sequence[Agent]) -> list[str]:
    """Agents that failed, one line a cause, then the last lines of one of them.

    Those that failed by themselves come first: the others were stopped because of them.
    """
    causes: dict[str, list[Agent]] = {}
    for agent in sorted(agents, key=lambda one: one.state == State.STOPPED):
        if not agent.is_success:
            causes.setdefault(_kind_of_cause(agent), []).append(agent)
    lines = []
    for group in causes.values():
        cause = group[0].cause
        tasks = ", ".join(agent.task.id for agent in group[:5])
        more = f" and {len(group) - 5} more" if len(group) > 5 else ""
        lines.append(f"{len(group)} x {cause}: {tasks}{more}")
        lines += [f"  {group[0].task.id} | {line}" for line in group[0].lines]
    return lines
