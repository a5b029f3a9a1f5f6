"""What the engine knows of each container beyond the list, several containers at once."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from ravi_agent import contract
from ravi_agent.errors import EngineError
from ravi_agent.handover import parse_ready_line
from ravi_agent.launcher.docker.calls import ask
from ravi_agent.launcher.docker.engine import DockerEngine
from ravi_agent.launcher.model.container_status import ContainerStatus
from ravi_agent.launcher.model.usage import Usage

_AT_ONCE = 32
_READY_LIMIT = 64 * 1024  # bytes of standard error; ours come before any of the agent's


def describe(engine: DockerEngine, agents: Sequence[ContainerStatus]) -> list[ContainerStatus]:
    """See `Backend.describe`. A container that is gone meanwhile stays as it was."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(lambda one: _described(engine, one), agents))


def _described(engine: DockerEngine, one: ContainerStatus) -> ContainerStatus:
    if not one.id:
        return one
    try:
        found = ask(
            f"container {one.short_id}",
            lambda: engine.client.api.inspect_container(one.id),
            fine=(404, 409),
        )
        email = _email(engine, one)
    except EngineError:
        return one
    if not found:
        return one
    return replace(
        one, email=email, restarts=int(found.get("RestartCount") or 0), why=_why(found["State"])
    )


def _why(state: Mapping[str, Any]) -> str:
    if state.get("OOMKilled"):
        return "out of memory"
    if state.get("Error"):
        return " ".join(str(state["Error"]).split())
    code = int(state.get("ExitCode") or 0)
    if state.get("Running") or code == 0:
        return ""
    return _MEANINGS.get(code, f"exited with {code}")


_MEANINGS = {
    contract.EXIT_TIMED_OUT: "timed out",
    contract.EXIT_NOT_EXECUTABLE: "program not executable",
    contract.EXIT_NOT_FOUND: "program not found",
    contract.EXIT_SIGNAL_BASE + 2: "interrupted",
    contract.EXIT_SIGNAL_BASE + 9: "killed",
    contract.EXIT_SIGNAL_BASE + 15: "stopped",
}


def _email(engine: DockerEngine, one: ContainerStatus) -> str | None:
    """The address in the line that the entrypoint wrote before the agent started."""
    line = engine.ready_line(one.id, within=_READY_LIMIT)
    identity = parse_ready_line(line) if line else None
    return identity.email if identity and identity.name == one.identity_name else None


def usage(engine: DockerEngine, agents: Sequence[ContainerStatus]) -> list[Usage]:
    """See `Backend.usage`. The engine measures each for a second."""
    running = [one for one in agents if one.is_running]

    def measured(one: ContainerStatus) -> Usage | None:
        found = ask(
            f"container {one.short_id}",
            lambda: engine.client.api.stats(one.id, stream=False),
            fine=(404, 409),
        )
        return _usage(one, found) if found else None

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return [one for one in pool.map(measured, running) if one]


def _usage(one: ContainerStatus, found: Mapping[str, Any]) -> Usage | None:
    """As `docker stats` counts: https://docs.docker.com/reference/cli/docker/container/stats/."""
    memory, cpu, before = found["memory_stats"], found["cpu_stats"], found["precpu_stats"]
    if "usage" not in memory:
        return None  # it has ended
    passed = cpu.get("system_cpu_usage", 0) - before.get("system_cpu_usage", 0)
    used = cpu["cpu_usage"]["total_usage"] - before["cpu_usage"]["total_usage"]
    cores = cpu.get("online_cpus") or 1
    cache = memory.get("stats", {}).get("inactive_file", 0)
    return Usage(
        run=one.run,
        task=one.task,
        cpu_percent=round(100.0 * used / passed * cores, 2) if passed > 0 and used > 0 else 0.0,
        memory=max(0, int(memory["usage"]) - int(cache)),
        memory_limit=int(memory.get("limit", 0)),
        processes=int((found.get("pids_stats") or {}).get("current") or 0),
    )
