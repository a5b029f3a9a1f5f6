"""Manifests as real pods, run by podman. It is installed if need be, and never skipped."""

import fcntl
import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import docker
import pytest
import yaml

from engine.conftest import gateway_of
from ravi_agent.local.server import LocalRavi

ROOT = Path(__file__).parents[2]
PODMAN = str(ROOT / "scripts/podman")
# Podman 4.3 mounts a Secret's `data` as it stands, later ones decode it: this is base64 either way.
MANAGEMENT_KEY = "ravimgmtPLANTED0123456789abc"
IMAGES = ("ravi-init", "ravi-agent-base", "ravi-agent-example", "ravi-launch")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.engine)


def podman(*arguments: str, stdin: str = "", code: int | None = 0) -> str:
    """What podman prints, errors included; `code` None takes any."""
    done = subprocess.run(
        [PODMAN, *arguments],
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert code is None or done.returncode == code, done.stdout
    return done.stdout


@pytest.fixture(scope="session")
def engine() -> Iterator[None]:
    """Podman with the images of `make images`, for one test session at a time.

    An emptyDir is a volume that all pods share there, so two sessions would meet in it.
    """
    with open(Path(tempfile.gettempdir(), "ravi-agent-test-pods.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        podman("version")
        client = docker.DockerClient.from_env(timeout=120)
        for image in (*IMAGES, public_base(client)):
            load_image(client, image)
        client.close()
        podman(
            "tag", f"localhost/{public_base(client)}", "docker.io/library/python:3.13-slim-bookworm"
        )
        yield


def public_base(client: docker.DockerClient) -> str:
    """What `make images` built the base image on: the public image or its stand-in."""
    names = {tag for image in client.images.list() for tag in image.tags}
    stand_in = "ravi-base-stand-in"
    return stand_in if f"{stand_in}:latest" in names else "python:3.13-slim-bookworm"


def load_image(client: docker.DockerClient, name: str) -> None:
    """Copy an image from Docker, unless podman has the same one."""
    wanted = client.images.get(name)
    there = podman("image", "inspect", "--format", "{{.Id}}", f"localhost/{name}", code=None)
    if there.strip() == str(wanted.id).removeprefix("sha256:"):
        return
    with subprocess.Popen([PODMAN, "load", "--quiet"], stdin=subprocess.PIPE) as load:
        assert load.stdin
        for chunk in wanted.save(named=True):
            load.stdin.write(chunk)
        load.stdin.close()
    assert load.returncode == 0


@pytest.fixture(scope="session")
def gateway() -> str:
    """An address of this host that pods reach: that of Docker's bridge."""
    client = docker.DockerClient.from_env()
    address = gateway_of(client)
    client.close()
    return address


@pytest.fixture
def service(gateway: str) -> Iterator[LocalRavi]:
    """A local Ravi that pods reach."""
    with LocalRavi(database=":memory:", management_key=MANAGEMENT_KEY, host=gateway) as server:
        yield server


class Pod:
    """A pod that podman has been given; `output` is what it said about that."""

    def __init__(self, name: str, output: str) -> None:
        self.name = name
        self.output = output

    def wait(self, container: str) -> int:
        return int(podman("wait", f"{self.name}-{container}"))

    def logs(self, container: str) -> str:
        return podman("logs", f"{self.name}-{container}")

    def inspect(self, container: str) -> dict[str, Any]:
        (found,) = json.loads(podman("inspect", f"{self.name}-{container}"))
        assert isinstance(found, dict)
        return found


Play = Callable[..., Pod]


@pytest.fixture
def play(engine: None, service: LocalRavi, tmp_path: Path) -> Iterator[Play]:
    """Run a manifest with `service` as its Ravi and a Secret; all of it is removed afterwards."""
    clean()

    def play(
        manifest: Path | dict[str, Any],
        *,
        key: str = MANAGEMENT_KEY,
        secrets: Mapping[str, Mapping[str, str]] | None = None,
        code: int = 0,
    ) -> Pod:
        if isinstance(manifest, Path):
            text = manifest.read_text(encoding="utf-8")
        else:
            text = yaml.safe_dump(manifest)
        config = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "ravi"},
            "data": {"RAVI_API_URL": service.url, "RAVI_PROVISION_TIMEOUT": "5"},
        }
        for name, data in {"ravi": {"management_key": key}, **(secrets or {})}.items():
            stored = yaml.safe_dump({"data": dict(data), "stringData": dict(data)})
            podman("secret", "create", name, "-", stdin=stored)
        file = tmp_path / "pod.yaml"
        file.write_text(f"{yaml.safe_dump(config)}---\n{text}")
        output = podman("play", "kube", str(file), code=code)
        return Pod(yaml.safe_load(text)["metadata"]["name"], output)

    yield play
    clean()


def clean() -> None:
    podman("pod", "rm", "--all", "--force", "--time", "0")
    podman("volume", "rm", "--all", "--force")
    podman("secret", "rm", "--all")
