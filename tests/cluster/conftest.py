"""Runs on a real control plane and a real node, which `scripts/cluster` brings up here.

`RAVI_TEST_KIND` names a cluster of kind to use instead; kubectl and kind are then on PATH.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest

from conftest import MANAGEMENT_KEY
from engine.conftest import gateway_of
from ravi_agent.local.server import LocalRavi

ROOT = Path(__file__).parents[2]
IMAGES = ("ravi-init", "ravi-agent-base")
KIND = os.environ.get("RAVI_TEST_KIND")
STATE = Path(os.environ.get("RAVI_CLUSTER_STATE", "/run/ravi-cluster"))
LAUNCHER = str(Path(sys.executable).with_name("ravi-launch"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.engine)
            item.add_marker(pytest.mark.timeout(600))


class Cluster:
    """The control plane of `scripts/cluster`, in a namespace that the test has to itself."""

    def __init__(self, namespace: str, kubeconfig: Path) -> None:
        self.namespace = namespace
        self.kubeconfig = kubeconfig
        built = Path.home().glob(".cache/ravi-agent-base/kubernetes-*/bin/kubectl")
        self._kubectl = "kubectl" if KIND else str(next(built))

    def kubectl(self, *arguments: str, stdin: str = "", code: int | None = 0) -> str:
        """What kubectl prints, errors included; `code` None takes any."""
        done = subprocess.run(
            [self._kubectl, "--kubeconfig", self.kubeconfig, "-n", self.namespace, *arguments],
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        assert code is None or done.returncode == code, done.stdout
        return done.stdout

    def get(self, *arguments: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.kubectl("get", *arguments, "-o", "json"))
        return found

    def restart_api_server(self, number: int = signal.SIGTERM) -> None:
        """End the API server by that signal, and have it back."""
        if KIND:
            kill = f"kill -{int(number)} $(pidof kube-apiserver)"
            node = ["docker", "exec", f"{KIND}-control-plane", "sh", "-c", kill]
            subprocess.run(node, check=True)
            return  # the kubelet starts it again
        subprocess.run(
            [ROOT / "scripts/cluster", "restart-api-server", str(int(number))], check=True
        )


@dataclass(kw_only=True)
class Ended:
    code: int
    stdout: str
    stderr: str


class Launcher:
    """`ravi-launch` against that namespace, with the account's key in its environment."""

    def __init__(self, cluster: Cluster, service: LocalRavi, state: Path) -> None:
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": "/nonexistent",
            "XDG_STATE_HOME": str(state),
            "LC_ALL": "C.UTF-8",
            "KUBECONFIG": str(cluster.kubeconfig),
            "RAVI_MANAGEMENT_KEY": MANAGEMENT_KEY,
            "RAVI_API_URL": service.url,
        }
        self._flags = ["--backend", "kubernetes", "--namespace", cluster.namespace]

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [LAUNCHER, *self._flags, *arguments],
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, code: int | None = 0) -> Ended:
        process = self.start(*arguments)
        stdout, stderr = process.communicate(timeout=300)
        assert MANAGEMENT_KEY not in stdout + stderr
        assert code is None or process.returncode == code, stdout + stderr
        return Ended(code=process.returncode, stdout=stdout, stderr=stderr)

    def render(self, *arguments: str) -> str:
        """A run as YAML."""
        return run_ravi_launch(self.environ, "render", *self._flags[2:], *arguments)


def run_ravi_launch(environ: dict[str, str], *arguments: str) -> str:
    """What a command that has no `--backend` prints."""
    return subprocess.run(
        [LAUNCHER, *arguments],
        env=environ,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    ).stdout


@pytest.fixture(scope="session")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """That of the whole cluster with our images, for one test session; what was up stays up."""
    if KIND:
        path = tmp_path_factory.mktemp("kind") / "kubeconfig"
        for words in (
            ["export", "kubeconfig", "--kubeconfig", path],
            ["load", "docker-image", *IMAGES],
        ):
            subprocess.run(["kind", *words, "--name", KIND], check=True)
        yield path
        return
    script = str(ROOT / "scripts/cluster")
    was_up = (STATE / "kubeconfig").exists()
    subprocess.run([script, "start", "--node"], stdout=subprocess.DEVNULL, check=True)
    subprocess.run([script, "load", *IMAGES], check=True)
    yield STATE / "kubeconfig"
    if not was_up:
        subprocess.run([script, "stop"], check=True)


@pytest.fixture
def cluster(kubeconfig: Path, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A namespace of the test's own; it goes with all that is in it."""
    namespace = f"ravi-agent-test-{abs(hash(request.node.nodeid)) % 10**8}"
    cluster = Cluster(namespace, kubeconfig)
    cluster.kubectl("create", "namespace", namespace)
    # Controllers lag behind the restarts of an earlier test, for longer than a launcher waits.
    cluster.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=180s")
    cluster.kubectl("wait", "--for=condition=Ready", "nodes", "--all", "--timeout=180s")
    yield cluster
    cluster.kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.fixture
def service() -> Iterator[LocalRavi]:
    """A local Ravi that pods reach by the host's address on Docker's bridge."""
    client = docker.DockerClient.from_env(timeout=120)
    host = gateway_of(client)
    client.close()
    with LocalRavi(database=":memory:", management_key=MANAGEMENT_KEY, host=host) as server:
        yield server


@pytest.fixture
def launcher(cluster: Cluster, service: LocalRavi, tmp_path: Path) -> Launcher:
    return Launcher(cluster, service, tmp_path / "state")
