"""`--local`: the local Ravi as a container that the agents reach.

It is on the network of its name, and on those of runs that have their own. Agents on the default
bridge reach it at the bridge's gateway, where its ports are published too; where that cannot be
done, or a firewall is in between, agents are on its network.
"""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import docker
import docker.errors

from ravi_agent.contract import LOCAL_NAME, LOCAL_PORT, LOCAL_SMTP_PORT
from ravi_agent.credential import local_host_url, local_port
from ravi_agent.errors import EngineError, UsageError
from ravi_agent.launcher.docker.calls import SDK_ERRORS, ask, engine_words
from ravi_agent.launcher.docker.default_bridge import (
    BRIDGE,
    CHECK_HOSTS,
    gateways_of,
    host_entry,
    is_checked,
    is_reached,
)
from ravi_agent.launcher.docker.engine import DockerEngine
from ravi_agent.launcher.planning.plan import Plan

NETWORK = "ravi"
IMAGE = "ravi-local"
_VOLUME = "ravi-local"
_PYTHON = "/opt/ravi/bin/python"
_LOOPBACK = "127.0.0.1"
_LISTENING = b"listening on"
# How engines say that a port of the host is taken: Docker for a container's and for another
# program's, podman for any.
_TAKEN = re.compile(r"port is already allocated|address already in use", re.IGNORECASE)
# Flags, variables and ports within the container.
_HTTP = ("--local-port", "RAVI_LOCAL_PORT", LOCAL_PORT)
_SMTP = ("--local-smtp-port", "RAVI_LOCAL_SMTP_PORT", LOCAL_SMTP_PORT)


class LocalRavi:
    """The local Ravi of an engine: the one that is there, or the one that `start` will create.

    environ: names the ports on the host. Raises UsageError where the one that is there has others,
    SettingsError for what is not a port, EngineError where the engine does not answer.
    """

    def __init__(self, engine: DockerEngine, environ: Mapping[str, str]) -> None:
        self._engine = engine
        self._container = ask("the local Ravi", lambda: _find(engine.client))
        there = _published(self._container) if self._container else None
        self.port = _port(_HTTP, environ, there)
        self.smtp_port = _port(_SMTP, environ, there)

    @property
    def url(self) -> str:
        """Where it is on the engine's host."""
        return local_host_url(self.port or LOCAL_PORT)

    def line(self) -> str:
        """Where people find it."""
        mail = f"127.0.0.1:{self.smtp_port}" if self.smtp_port else "no port of this host"
        return f"local Ravi: page {self.url}/, mail by SMTP to {mail}"

    def start(self, network: str | None) -> None:
        """Have it run, reached from `network`; None is any. It goes on after the run.

        Raises EngineError where it cannot be started.
        """
        try:
            make_network(self._engine)
            if not self._begin():
                self._forget()
                self._run(self._create(()))
            if network and not (network == BRIDGE and self.is_on_bridge):
                self._join([network])
        except SDK_ERRORS as exc:
            raise self._failure(exc) from exc

    def join(self, networks: Sequence[str]) -> None:
        """Have it on `networks` too. Raises EngineError."""
        try:
            self._join(networks)
        except SDK_ERRORS as exc:
            raise self._failure(exc) from exc

    @property
    def is_on_bridge(self) -> bool:
        """Once it runs: whether agents on the default bridge reach it."""
        return is_checked(self._container)

    @property
    def network(self) -> str | None:
        """Where agents are that are to be on no other network; None is the engine's own choice."""
        return None if self.is_on_bridge else NETWORK

    def known_to(self, plan: Plan) -> Plan:
        """The plan of agents on the default bridge, with its name: no server there knows it."""
        if not self.is_on_bridge:
            return plan
        options = plan.container.docker
        options = replace(options, hosts=(*options.hosts, host_entry(LOCAL_NAME)))
        return replace(plan, container=replace(plan.container, docker=options))

    def _begin(self) -> bool:
        """Have it run; False where it is to be reached at the gateway, and is not."""
        container = self._container or self._create(gateways_of(self._engine.client))
        if not is_checked(container):
            self._run(container)
            return True
        try:
            has_run = not self._run(container)
            return has_run or is_reached(container, _PYTHON, LOCAL_PORT)
        except SDK_ERRORS:
            return False

    def _run(self, container: Any) -> bool:
        """Have the container run, on NETWORK; whether it had to be started."""
        self._container = container
        self._join([NETWORK])
        if container.status == "running":
            return False
        started_at = time.time()
        container.start()
        _wait_until_listening(container, started_at)
        return True

    def _join(self, networks: Sequence[str]) -> None:
        self._container.reload()
        for network in networks:
            if network not in self._container.attrs["NetworkSettings"]["Networks"]:
                self._engine.client.networks.get(network).connect(self._container)

    def _create(self, gateways: Sequence[str]) -> Any:
        """With its ports at those addresses as well, under the numbers that they have in it."""
        ports: dict[str, Any] = {
            f"{inside}/tcp": [
                *([(_LOOPBACK, port)] if port else []),
                *((gateway, inside) for gateway in gateways),
            ]
            for inside, port in ((LOCAL_PORT, self.port), (LOCAL_SMTP_PORT, self.smtp_port))
        }
        try:
            return self._engine.client.containers.create(
                IMAGE,
                name=LOCAL_NAME,
                # Of two networks the engine publishes ports for the first by name, and without a
                # proxy only that one's containers reach them.
                network=BRIDGE if gateways else NETWORK,
                ports=ports,
                extra_hosts=CHECK_HOSTS if gateways else None,
                volumes={_VOLUME: {"bind": "/data", "mode": "rw"}},
                cap_drop=["ALL"],
                security_opt=["no-new-privileges"],
            )
        except docker.errors.ImageNotFound as exc:
            raise EngineError(
                f"image {IMAGE!r} is not here", "the local Ravi runs from it", "make images"
            ) from exc

    def _failure(self, exc: Exception) -> EngineError:
        words = engine_words(exc)
        ports = {"--local-port": self.port, "--local-smtp-port": self.smtp_port}
        for flag, port in ports.items():
            if _TAKEN.search(words) and port and re.search(rf":{port}\b", words):
                self._forget()
                return EngineError(
                    f"the local Ravi cannot have port {port} of 127.0.0.1",
                    "something else uses it",
                    f"choose another: {flag} {port + 1 if port < 65535 else port - 1}",
                )
        return EngineError(
            "the local Ravi did not start", words, f"docker rm -f {LOCAL_NAME}; try again"
        )

    def _forget(self) -> None:
        """Remove the container, whose ports cannot be changed; its data are in the volume."""
        container = self._container
        if container:
            ask(f"container {LOCAL_NAME}", lambda: container.remove(force=True), fine=(404, 409))
            self._container = None


def running_port(engine: DockerEngine) -> int | None:
    """The port of the engine's host where its local Ravi is, None where none runs.

    Raises EngineError.
    """
    container = ask("the local Ravi", lambda: _find(engine.client))
    if container is None or container.status != "running":
        return None
    return _published(container).get(LOCAL_PORT) or LOCAL_PORT


def make_network(engine: DockerEngine) -> None:
    """Have the network on which agents of local runs are, and the local Ravi."""
    networks = engine.client.networks
    if not networks.list(names=[f"^{NETWORK}$"]):
        networks.create(NETWORK, driver="bridge")


def _find(client: docker.DockerClient) -> Any:
    try:
        return client.containers.get(LOCAL_NAME)
    except docker.errors.NotFound:
        return None


def _published(container: Any) -> dict[int, int]:
    """The ports on the host by those of the container."""
    bindings = container.attrs["HostConfig"].get("PortBindings") or {}
    return {
        int(inside.partition("/")[0]): int(one["HostPort"] or 0)
        for inside, outside in bindings.items()
        for one in reversed(outside or ())  # loopback's is the first
    }


def _port(
    names: tuple[str, str, int], environ: Mapping[str, str], there: Mapping[int, int] | None
) -> int | None:
    """The port on the host: that of the container that is there, else the one asked for."""
    flag, variable, inside = names
    asked = local_port(environ, variable)
    if there is None:
        return asked or inside
    if asked and there.get(inside) != asked:
        raise UsageError(
            f"{flag} {asked}",
            f"the local Ravi is there already, on port {there.get(inside, 'none')}",
            f"docker rm -f {LOCAL_NAME}, which keeps its data, and run this again",
        )
    return there.get(inside)


def _wait_until_listening(container: Any, started_at: float) -> None:
    heard = b""
    log = container.logs(stream=True, follow=True, since=started_at)
    try:
        for chunk in log:
            heard += chunk
            if _LISTENING in heard:
                return
    finally:
        log.close()
    raise EngineError(
        "the local Ravi ended at once",
        " ".join(heard.decode(errors="replace").split())[-300:] or "it said nothing",
        f"docker rm -f {LOCAL_NAME} && docker volume rm {_VOLUME}, which removes its identities",
    )
