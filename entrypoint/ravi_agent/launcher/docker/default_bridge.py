"""The engine's default bridge, and how its containers reach a port of a container elsewhere.

It has no name server: a network that has one costs the engine 65 to 75 ms of processor time a
container. A name stands in `/etc/hosts` there, so its address must stay: a container's changes when
it restarts, the bridge's gateway is the host's and does not.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

import docker
import docker.errors

BRIDGE = "bridge"
# https://docs.docker.com/engine/network/drivers/bridge/#options
_IS_DEFAULT = "com.docker.network.bridge.default_bridge"
_CONTAINERS_REACH_EACH_OTHER = "com.docker.network.bridge.enable_icc"
# The engine's own word for the host's address, looked up at every start.
_GATEWAY = "host-gateway"
_CHECKED_NAME = "gateway.ravi"
_CHECK_S = 3
# An answer, and not only a connection: the engine's proxy takes one before it has the other end.
_CHECK = f"""
import socket, sys
s = socket.create_connection(({_CHECKED_NAME!r}, int(sys.argv[1])), {_CHECK_S})
s.sendall(b"HEAD / HTTP/1.0\\r\\n\\r\\n")
sys.exit(s.recv(5) != b"HTTP/")
"""
# What a container must have been created with for `is_reached`.
CHECK_HOSTS = {_CHECKED_NAME: _GATEWAY}


def host_entry(name: str) -> str:
    """The `--add-host` by which a container finds the host under `name`."""
    return f"{name}:{_GATEWAY}"


def gateways_of(client: docker.DockerClient) -> Sequence[str]:
    """The host's addresses on the default bridge, one a family.

    Empty where the engine has no such bridge, as podman, or keeps its containers apart. Raises the
    SDK's errors.
    """
    try:
        found = client.networks.get(BRIDGE).attrs
    except docker.errors.NotFound:
        return ()
    options = found.get("Options") or {}
    is_closed = options.get(_CONTAINERS_REACH_EACH_OTHER) == "false"
    if options.get(_IS_DEFAULT) != "true" or is_closed:
        return ()
    pools = (found.get("IPAM") or {}).get("Config") or ()
    return tuple(_gateway(pool) for pool in pools)


def _gateway(pool: Mapping[str, str]) -> str:
    """An engine names it once a container has been on the bridge; until then it is the first."""
    return pool.get("Gateway") or str(next(ipaddress.ip_network(pool["Subnet"]).hosts()))


def is_checked(container: Any) -> bool:
    """Whether a container was created with CHECK_HOSTS."""
    hosts = container.attrs["HostConfig"].get("ExtraHosts") or ()
    return host_entry(_CHECKED_NAME) in hosts


def is_reached(container: Any, python: str, port: int) -> bool:
    """Whether a container on the default bridge gets an answer by HTTP from a port of the gateway.

    A firewall of the host's may be between them. python: the path of an interpreter in it. Raises
    the SDK's errors.
    """
    done = container.exec_run([python, "-IS", "-c", _CHECK, str(port)])
    return bool(done.exit_code == 0)
