"""The networks of a run. A Linux bridge has 1023 ports (BR_MAX_PORTS, 1 << 10): many agents take
more than one."""

import shlex

import docker
import docker.errors
from docker.models.networks import Network

from ravi_agent import contract
from ravi_agent.errors import EngineError, UsageError
from ravi_agent.launcher.docker.calls import SDK_ERRORS, engine_words
from ravi_agent.launcher.planning.plan import Plan

PORTS = 1000  # the rest is for others on the same bridge: the local Ravi, another run
_BRIDGE = "bridge"
# https://docs.docker.com/engine/network/drivers/bridge/#options
_CONTAINERS_REACH_EACH_OTHER = "com.docker.network.bridge.enable_icc"
_PAIRS = 20  # of the 31 networks that Docker's default address pools have room for


class Networks:
    """Where each task's container is connected.

    One network, the given one or the default, as long as its ports do; else as many networks of
    the run's as it takes, which are removed with the run.

    Isolated agents are on networks of the run's on which containers do not reach each other. The
    local Ravi is a container as well: with it, each agent gets a network for the two of them.
    """

    def __init__(
        self,
        client: docker.DockerClient,
        plan: Plan,
        *,
        has_local: bool = False,
        ports: int = PORTS,
    ) -> None:
        """has_local: the service is a container. ports: agents that one network has room for.

        Raises UsageError for a network that is not there, or is too small for the run.
        """
        self._client = client
        self._plan = plan
        self._one = plan.container.network
        self.names: list[str] = []
        if plan.container.network:
            self._check_given(plan.container.network, ports, has_local=has_local)
        many = -(-plan.at_once // ports)
        self._is_pair = plan.container.is_isolated and has_local
        if self._is_pair:
            many = len(plan.tasks)
            if many > _PAIRS:
                raise UsageError(
                    f"--isolated --local, {many} agents",
                    f"each takes a network of its own, and engines have room for {_PAIRS}",
                    f"--count {_PAIRS}, or no --isolated",
                )
        if not plan.container.network and (many > 1 or plan.container.is_isolated):
            self.names = [f"ravi-{plan.run}-{number}" for number in range(many)]

    def create(self, default: str | None = None) -> None:
        """Make the run's own networks; those that an earlier launcher has made stay.

        default: the network of agents that have no other; None is the engine's own choice.
        """
        self._one = self._one or default
        labels = {contract.LABEL_RUN: self._plan.run}
        is_closed = self._plan.container.is_isolated and not self._is_pair
        options = {_CONTAINERS_REACH_EACH_OTHER: "false"} if is_closed else None
        try:
            there = {one.name for one in run_networks(self._client, self._plan.run)}
            for name in self.names:
                if name not in there:
                    self._client.networks.create(
                        name, driver=_BRIDGE, labels=labels, options=options
                    )
        except SDK_ERRORS as exc:
            raise EngineError(
                "the run's networks cannot be made",
                engine_words(exc),
                "docker network prune, or fewer agents at once: --parallel",
            ) from exc

    def of(self, index: int) -> str | None:
        """The network of the task with that index; None is the engine's own choice."""
        return self.names[index % len(self.names)] if self.names else self._one

    def _check_given(self, name: str, ports: int, *, has_local: bool) -> None:
        if name in {"host", "none"} or name.startswith("container:"):
            if has_local:
                raise UsageError(
                    f"--network {name} and --local",
                    "the local Ravi is a container, and such agents do not reach it",
                    "leave out --network",
                )
            return
        try:
            found = self._client.networks.get(name)
        except docker.errors.NotFound as exc:
            raise UsageError(
                f"--network {name}",
                "it does not exist",
                f"docker network create {shlex.quote(name)}",
            ) from exc
        except SDK_ERRORS as exc:
            raise EngineError(f"network {name}", engine_words(exc)) from exc
        if found.attrs.get("Driver") == _BRIDGE and self._plan.at_once > ports:
            raise UsageError(
                f"--network {name}",
                f"a bridge has room for {ports} agents, and {self._plan.at_once} run at once",
                f"--parallel {ports}, or no --network",
            )


def run_networks(client: docker.DockerClient, run: str) -> list[Network]:
    """The networks that a run has had made for it."""
    return client.networks.list(filters={"label": f"{contract.LABEL_RUN}={run}"})
