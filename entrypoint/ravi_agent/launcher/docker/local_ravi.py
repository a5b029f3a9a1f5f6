"""`--local`: the local Ravi as a container on the agents' network."""

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

import docker
import docker.errors

from ravi_agent.contract import LOCAL_NAME, LOCAL_PORT, LOCAL_SMTP_PORT
from ravi_agent.credential import local_host_url, local_port
from ravi_agent.errors import EngineError, UsageError
from ravi_agent.launcher.docker.calls import SDK_ERRORS, ask, engine_words
from ravi_agent.launcher.docker.engine import DockerEngine

NETWORK = "ravi"
IMAGE = "ravi-local"
_VOLUME = "ravi-local"
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

    def start(self, networks: Sequence[str]) -> None:
        """Have it run, on `networks`. It goes on after the run.

        Raises EngineError where it cannot be started.
        """
        client = self._engine.client
        try:
            make_network(self._engine)
            container = self._container = self._container or self._create()
            container.reload()
            for network in networks:
                if network not in container.attrs["NetworkSettings"]["Networks"]:
                    client.networks.get(network).connect(container)
            if container.status != "running":
                started_at = time.time()
                container.start()
                _wait_until_listening(container, started_at)
        except SDK_ERRORS as exc:
            raise self._failure(exc) from exc

    def _create(self) -> Any:
        ports = {f"{LOCAL_PORT}/tcp": self.port, f"{LOCAL_SMTP_PORT}/tcp": self.smtp_port}
        try:
            return self._engine.client.containers.create(
                IMAGE,
                name=LOCAL_NAME,
                network=NETWORK,
                ports={inside: ("127.0.0.1", port) for inside, port in ports.items() if port},
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
        int(inside.partition("/")[0]): int(outside[0]["HostPort"] or 0)
        for inside, outside in bindings.items()
        if outside
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
