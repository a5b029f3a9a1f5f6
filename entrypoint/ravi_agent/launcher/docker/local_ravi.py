"""`--local`: the local Ravi as a container on the agents' network."""

import time
from collections.abc import Sequence
from typing import Any

import docker
import docker.errors

from ravi_agent.contract import LOCAL_NAME, LOCAL_PORT
from ravi_agent.errors import EngineError
from ravi_agent.launcher.docker.calls import SDK_ERRORS, engine_words
from ravi_agent.launcher.docker.engine import DockerEngine

NETWORK = "ravi"
IMAGE = "ravi-local"
_VOLUME = "ravi-local"
_LISTENING = b"listening on"


def start_local_ravi(engine: DockerEngine, networks: Sequence[str]) -> None:
    """Have a local Ravi on `networks`: the one that runs, or a new one. It goes on after the run.

    Raises EngineError where it cannot be started.
    """
    client = engine.client
    try:
        make_network(engine)
        container = _find_or_create(client)
        container.reload()
        for network in networks:
            if network not in container.attrs["NetworkSettings"]["Networks"]:
                client.networks.get(network).connect(container)
        if container.status != "running":
            started_at = time.time()
            container.start()
            _wait_until_listening(container, started_at)
    except SDK_ERRORS as exc:
        raise EngineError(
            "the local Ravi did not start",
            engine_words(exc),
            f"docker rm -f {LOCAL_NAME}; try again",
        ) from exc


def make_network(engine: DockerEngine) -> None:
    """Have the network on which agents of local runs are, and the local Ravi."""
    networks = engine.client.networks
    if not networks.list(names=[f"^{NETWORK}$"]):
        networks.create(NETWORK, driver="bridge")


def _find_or_create(client: docker.DockerClient) -> Any:
    try:
        return client.containers.get(LOCAL_NAME)
    except docker.errors.NotFound:
        pass
    try:
        return client.containers.create(
            IMAGE,
            name=LOCAL_NAME,
            network=NETWORK,
            ports={f"{LOCAL_PORT}/tcp": ("127.0.0.1", LOCAL_PORT)},
            volumes={_VOLUME: {"bind": "/data", "mode": "rw"}},
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
        )
    except docker.errors.ImageNotFound as exc:
        raise EngineError(
            f"image {IMAGE!r} is not here", "the local Ravi runs from it", "make images"
        ) from exc


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
