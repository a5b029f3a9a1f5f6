"""Real containers on a real engine. A test here that finds no engine fails: `make engine`."""

import ipaddress
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import docker
import docker.errors
import pytest
from docker.models.containers import Container

from conftest import MANAGEMENT_KEY
from ravi_agent import contract
from ravi_agent.local.server import LocalRavi

PREFIX = "ravi-agent-test-"
KEY_MOUNT = "/run/secrets/ravi_management_key"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.engine)


@pytest.fixture(scope="session")
def client() -> Iterator[docker.DockerClient]:
    client = docker.DockerClient.from_env(timeout=120)
    yield client
    client.close()


def gateway_of(client: docker.DockerClient) -> str:
    """The host's address as containers on the default bridge see it."""
    config = client.networks.get("bridge").attrs["IPAM"]["Config"][0]
    first = next(ipaddress.ip_network(config["Subnet"]).hosts())
    return str(config.get("Gateway") or first)


@pytest.fixture(scope="session")
def gateway(client: docker.DockerClient) -> str:
    return gateway_of(client)


@pytest.fixture
def service(gateway: str) -> Iterator[LocalRavi]:
    """A local Ravi that containers reach."""
    with LocalRavi(database=":memory:", management_key=MANAGEMENT_KEY, host=gateway) as server:
        yield server


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "management_key"
    path.write_text(MANAGEMENT_KEY + "\n")
    return path


class Ran:
    """A container that has ended: what it wrote, and its code."""

    def __init__(self, container: Container) -> None:
        self.container = container
        self.code: int = container.wait(timeout=60)["StatusCode"]
        self.stdout: str = container.logs(stdout=True, stderr=False).decode()
        self.stderr: str = container.logs(stdout=False, stderr=True).decode()


Start = Callable[..., Container]
Run = Callable[..., Ran]


@pytest.fixture
def start(client: docker.DockerClient, service: LocalRavi, key_file: Path) -> Iterator[Start]:
    """Start a container with its key mounted and `service` as its Ravi; removed afterwards."""
    started: list[Container] = []

    def start(
        *command: str,
        image: str = "ravi-agent-base",
        environment: Mapping[str, str] | None = None,
        volumes: Mapping[str, dict[str, str]] | None = None,
        with_key: bool = True,
        **options: Any,
    ) -> Container:
        mounts = dict(volumes or {})
        if with_key:
            mounts[str(key_file)] = {"bind": KEY_MOUNT, "mode": "ro"}
        container = client.containers.create(
            image,
            list(command) or None,
            name=PREFIX + uuid.uuid4().hex[:12],
            environment={"RAVI_API_URL": service.url, **(environment or {})},
            volumes=mounts,
            **options,
        )
        started.append(container)
        container.start()
        return container

    def remove(container: Container) -> None:
        try:
            container.remove(force=True, v=True)
        except docker.errors.NotFound:
            return  # the test has removed it

    yield start
    with ThreadPoolExecutor(8) as pool:  # some tests start hundreds
        list(pool.map(remove, started))


@pytest.fixture
def run(start: Start) -> Run:
    """Start a container and wait for its end."""

    def run(*command: str, **options: Any) -> Ran:
        return Ran(start(*command, **options))

    return run


def execute(container: Container, *command: str) -> str:
    """What a command run in the container prints, errors included."""
    output = container.exec_run(list(command)).output
    assert isinstance(output, bytes)
    return output.decode(errors="replace").strip()


def wait_for_output(container: Container, text: str, timeout_s: float = 30.0) -> str:
    """What a running container has written, once it holds `text`; never waits for longer."""
    deadline = time.monotonic() + timeout_s
    heard = ""
    while time.monotonic() < deadline:
        heard = container.logs().decode(errors="replace")
        if text in heard:
            return heard
        time.sleep(0.05)
    raise AssertionError(f"{text!r} not in the output: {heard}")


LAUNCH = str(Path(sys.executable).with_name("ravi-launch"))


@pytest.fixture
def environ(service: LocalRavi, key_file: Path, tmp_path: Path) -> dict[str, str]:
    """The launcher's own environment: `service` is its Ravi, its home is empty."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "RAVI_API_URL": service.url,
        "RAVI_MANAGEMENT_KEY_FILE": str(key_file),
        "RAVI_CONFIRM_ABOVE": "1000000",
        **{name: value for name, value in os.environ.items() if name.startswith("DOCKER_")},
    }


@pytest.fixture
def run_name(client: docker.DockerClient, tmp_path: Path) -> Iterator[str]:
    """A run of this test alone; what the engine has of it is removed afterwards."""
    name = f"test-{os.urandom(4).hex()}"
    yield name
    for container in containers(client, name):
        container.remove(force=True, v=True)
    for volume in client.volumes.list(filters=of_run(name)):
        volume.remove()


def of_run(run: str) -> dict[str, Any]:
    return {"label": f"{contract.LABEL_RUN}={run}"}


def containers(client: docker.DockerClient, run: str) -> list[Container]:
    found: list[Container] = client.containers.list(all=True, filters=of_run(run))
    return found


def launch(
    environ: dict[str, str], *arguments: str, code: int = 0, timeout_s: float = 200
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [LAUNCH, *arguments],
        env=environ,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done


Launching = Callable[[list[str], dict[str, str]], subprocess.Popen[str]]


@pytest.fixture
def launching() -> Iterator[Launching]:
    """Start a launcher, to watch it or to kill it; it is gone with the test."""
    started: list[subprocess.Popen[str]] = []

    def start(arguments: list[str], environ: dict[str, str]) -> subprocess.Popen[str]:
        launcher = subprocess.Popen(
            arguments,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(launcher)
        return launcher

    yield start
    for launcher in started:
        launcher.kill()
        launcher.communicate()


# Its PID 1 would let it live for 8 s after SIGTERM.
DEAF = ["--", "sh", "-c", "trap '' TERM; echo up; while :; do sleep 1; done"]


def started(launcher: subprocess.Popen[str], count: int) -> None:
    """Wait until so many agents have said that they are up."""
    assert launcher.stdout
    heard = 0
    while heard < count:
        line = launcher.stdout.readline()
        assert line
        heard += line.endswith("| up\n")


def said(launcher: subprocess.Popen[str], text: str) -> None:
    assert launcher.stderr
    while line := launcher.stderr.readline():
        if text in line:
            return
    raise AssertionError(f"{text!r} was not said")
