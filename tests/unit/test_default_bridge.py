"""Which addresses of the host are on the engine's default bridge, as engines describe it."""

from types import SimpleNamespace
from typing import Any, cast

import docker
import docker.errors
import pytest

from ravi_agent.launcher.docker.default_bridge import gateways_of

# Of `docker network inspect bridge`, Docker 20.10.
OPTIONS = {
    "com.docker.network.bridge.default_bridge": "true",
    "com.docker.network.bridge.enable_icc": "true",
}
ICC_OFF = {**OPTIONS, "com.docker.network.bridge.enable_icc": "false"}
FRESH = [{"Subnet": "172.17.0.0/16"}]
USED = [{"Subnet": "10.5.0.0/24", "Gateway": "10.5.0.254"}]
BOTH = [*USED, {"Subnet": "fd00:5::/64", "Gateway": "fd00:5::1"}]


class Engine:
    """Knows one network by that name, or none."""

    def __init__(self, network: dict[str, Any] | None) -> None:
        self._network = network

    @property
    def networks(self) -> "Engine":
        return self

    def get(self, name: str) -> SimpleNamespace:
        if self._network is None or name != "bridge":
            raise docker.errors.NotFound(f"network {name} not found")
        return SimpleNamespace(attrs=self._network)


@pytest.mark.parametrize(
    ("network", "gateways"),
    [
        pytest.param({"Options": OPTIONS, "IPAM": {"Config": FRESH}}, ["172.17.0.1"], id="fresh"),
        pytest.param({"Options": OPTIONS, "IPAM": {"Config": USED}}, ["10.5.0.254"], id="used"),
        pytest.param(
            {"Options": OPTIONS, "IPAM": {"Config": BOTH}}, ["10.5.0.254", "fd00:5::1"], id="both"
        ),
        pytest.param({"Options": ICC_OFF, "IPAM": {"Config": USED}}, [], id="icc off"),
        pytest.param({"Options": {}, "IPAM": {"Config": USED}}, [], id="somebody's own"),
        pytest.param({"Options": None, "IPAM": None}, [], id="without a pool"),
        pytest.param(None, [], id="none"),
    ],
)
def test_the_gateways_are_those_that_agents_may_use(
    network: dict[str, Any] | None, gateways: list[str]
) -> None:
    client = cast("docker.DockerClient", Engine(network))
    assert list(gateways_of(client)) == gateways
