"""A Docker engine as a backend of the launcher.

Each method loads what it needs: a command is waited for, and most need little.
"""

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

from ravi_agent.errors import UsageError
from ravi_agent.launcher.docker.capacity import MOST_STARTS
from ravi_agent.launcher.docker.engine import DockerEngine
from ravi_agent.launcher.model.container_status import ContainerStatus
from ravi_agent.launcher.model.findings import Finding
from ravi_agent.launcher.model.inventory import Inventory, ReapOptions, Removed
from ravi_agent.launcher.model.request import Connection, DoctorTarget, LogOptions, RunRequest
from ravi_agent.launcher.model.usage import Usage

# Each start takes two connections: one attaches, one asks.
_CONNECTIONS = 2 * MOST_STARTS


class DockerBackend:
    """Runs on one Docker engine; see the protocol `Backend` for what each method does."""

    def __init__(self, engine: DockerEngine) -> None:
        self._engine = engine

    def launch(self, request: RunRequest) -> int:
        from ravi_agent.launcher.docker.launch import launch

        return launch(self._engine, request)

    def agents(self, run: str | None = None, tasks: Sequence[str] = ()) -> list[ContainerStatus]:
        if run is None:
            from ravi_agent.launcher.docker.statuses import list_statuses

            return list_statuses(self._engine)
        from ravi_agent.launcher.docker.runs import find

        return find(self._engine, run, tasks)

    def describe(self, agents: Sequence[ContainerStatus]) -> list[ContainerStatus]:
        from ravi_agent.launcher.docker import details

        return details.describe(self._engine, agents)

    def usage(self, agents: Sequence[ContainerStatus]) -> list[Usage]:
        from ravi_agent.launcher.docker import details

        return details.usage(self._engine, agents)

    def logs(self, agents: Sequence[ContainerStatus], options: LogOptions) -> None:
        from ravi_agent.launcher.docker import runs

        runs.print_logs(self._engine, agents, options)

    def wait(self, run: str, tasks: Sequence[str]) -> int:
        from ravi_agent.launcher.docker import waiting

        return waiting.wait(self._engine, run, tasks)

    def stop(self, run: str, agents: Sequence[ContainerStatus], *, grace_s: int) -> None:
        from ravi_agent.launcher.docker import runs

        runs.stop(self._engine, run, agents, grace_s=grace_s)

    def remove(self, run: str, tasks: Sequence[str], *, is_forced: bool) -> Removed:
        from ravi_agent.launcher.docker import runs

        return Removed(words=runs.remove(self._engine, run, tasks, is_forced=is_forced))

    def inventory(self, options: ReapOptions) -> Inventory:
        from ravi_agent.launcher.docker import inventory

        return inventory.take_inventory(self._engine, options)

    def diagnose(self, target: DoctorTarget) -> Iterable[Finding]:
        from ravi_agent.launcher.docker import doctor

        return doctor.diagnose(self._engine, target)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._engine.close()


def open_backend(connection: Connection) -> DockerBackend:
    """Connect to the engine that `connection` names.

    Raises UsageError for an option of Kubernetes or an unknown context, EngineError where the
    engine does not answer.
    """
    if connection.namespace:
        raise UsageError(
            "--namespace", "Docker has no namespaces", "--backend kubernetes, or leave it out"
        )
    engine = DockerEngine(
        connections=_CONNECTIONS, host=connection.host, context=connection.context
    )
    return DockerBackend(engine)
