"""A Kubernetes namespace as a backend of the launcher."""

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

from ravi_agent import contract
from ravi_agent.errors import UsageError
from ravi_agent.launcher.kubernetes import doctor, inventory, launch, runs, statuses
from ravi_agent.launcher.kubernetes.api import KubernetesApi
from ravi_agent.launcher.model.container_status import ContainerStatus
from ravi_agent.launcher.model.findings import Finding
from ravi_agent.launcher.model.inventory import Inventory, ReapOptions, Removed
from ravi_agent.launcher.model.request import Connection, DoctorTarget, LogOptions, RunRequest
from ravi_agent.launcher.model.usage import Usage


class KubernetesBackend:
    """Runs in one namespace; see the protocol `Backend` for what each method does."""

    def __init__(self, api: KubernetesApi) -> None:
        self._api = api

    def launch(self, request: RunRequest) -> int:
        return launch.launch(self._api, request)

    def agents(self, run: str | None = None, tasks: Sequence[str] = ()) -> list[ContainerStatus]:
        return (
            statuses.list_statuses(self._api) if run is None else runs.find(self._api, run, tasks)
        )

    def describe(self, agents: Sequence[ContainerStatus]) -> list[ContainerStatus]:
        return list(agents)  # the list has all of it

    def usage(self, agents: Sequence[ContainerStatus]) -> list[Usage]:
        selector = f" --selector {contract.LABEL_RUN}={agents[0].run}" if agents else ""
        raise UsageError(
            "top on Kubernetes",
            "the cluster's own metrics server measures pods",
            f"kubectl top pods{selector}",
        )

    def logs(self, agents: Sequence[ContainerStatus], options: LogOptions) -> None:
        runs.print_logs(self._api, agents, options)

    def wait(self, run: str, tasks: Sequence[str]) -> int:
        return runs.wait(self._api, run, tasks)

    def stop(self, run: str, agents: Sequence[ContainerStatus], *, grace_s: int) -> None:
        runs.stop(self._api, run, agents, grace_s=grace_s)

    def remove(self, run: str, tasks: Sequence[str], *, is_forced: bool) -> Removed:
        return runs.remove(self._api, run, tasks, is_forced=is_forced)

    def inventory(self, options: ReapOptions) -> Inventory:
        return inventory.take_inventory(self._api, options)

    def diagnose(self, target: DoctorTarget) -> Iterable[Finding]:
        return doctor.diagnose(self._api, target)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._api.close()


def open_backend(connection: Connection) -> KubernetesBackend:
    """Read the kubeconfig, or what a pod is given; nothing is sent yet.

    Raises UsageError for an option of Docker, an unknown context or a missing configuration.
    """
    if connection.host:
        raise UsageError("--host", "it names a Docker engine", "--context, or KUBECONFIG")
    api = KubernetesApi(context=connection.context, namespace=connection.namespace)
    return KubernetesBackend(api)
