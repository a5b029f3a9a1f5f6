"""Runs on podman's Docker socket: it sends other events, and answers in another way."""

import json
import signal
from collections.abc import Iterator

import docker
import pytest

from conftest import MANAGEMENT_KEY
from engine.conftest import LAUNCH, Launching, containers, launch, of_run, started
from engine.own_podman import OwnPodman
from ravi_agent.local.server import LocalRavi


@pytest.fixture(scope="module", params=["root", "rootless"])
def podman(request: pytest.FixtureRequest, client: docker.DockerClient) -> Iterator[OwnPodman]:
    podman = OwnPodman(is_rootless=request.param == "rootless")
    try:
        podman.load(b"".join(client.images.get("ravi-agent-base").save(named=True)))
        yield podman
    finally:
        podman.close()


@pytest.fixture
def there(environ: dict[str, str], podman: OwnPodman) -> Iterator[dict[str, str]]:
    """The launcher's environment with podman as its engine."""
    with LocalRavi(database=":memory:", management_key=MANAGEMENT_KEY) as service:
        yield environ | {"DOCKER_HOST": podman.url, "RAVI_API_URL": service.url}


@pytest.fixture
def own(podman: OwnPodman, run_name: str) -> Iterator[docker.DockerClient]:
    client = docker.DockerClient(base_url=podman.url, timeout=120)
    yield client
    for container in containers(client, run_name):
        container.remove(force=True)
    for volume in client.volumes.list(filters=of_run(run_name)):
        volume.remove(force=True)
    client.close()


def run(name: str, count: int = 2) -> list[str]:
    return ["--count", str(count), "--name", name, "--network", "host"]


def test_a_run_is_carried_out_waited_for_and_removed(
    there: dict[str, str], run_name: str, own: docker.DockerClient
) -> None:
    script = ["--", "sh", "-c", "seq 2000; echo RESULT; exit $TASK_INDEX"]
    done = launch(there, *run(run_name), "-o", "json", *script, code=1)

    agents = json.loads(done.stdout)["agents"]
    assert [(one["state"], one["exit_code"]) for one in agents] == [("exited", 0), ("exited", 1)]
    for task in ("0000", "0001"):
        lines = [one for one in done.stderr.splitlines() if one.startswith(f"{task} | ")]
        lines = [one for one in lines if "ravi-entrypoint: info:" not in one]
        assert lines == [*(f"{task} | {number}" for number in range(1, 2001)), f"{task} | RESULT"]
    launch(there, "wait", run_name, code=1)
    launch(there, "wait", run_name, "0000")
    assert "0001 | RESULT" in launch(there, "logs", run_name, "0001").stdout
    launch(there, "rm", run_name)
    assert containers(own, run_name) == []
    assert own.volumes.list(filters=of_run(run_name)) == []


def test_a_detached_run_is_stopped(
    there: dict[str, str], run_name: str, own: docker.DockerClient
) -> None:
    script = ["--detach", "--", "sh", "-c", "echo up; exec sleep 600"]
    launch(there, *run(run_name), *script)
    launch(there, "stop", run_name, "0000")
    listed = json.loads(launch(there, "ps", run_name, "-o", "json").stdout)
    assert [one["state"] for one in listed] == ["exited", "running"]

    launch(there, "stop", run_name)
    launch(there, "wait", run_name, code=1)


def test_a_killed_launcher_is_succeeded(
    there: dict[str, str], run_name: str, own: docker.DockerClient, launching: Launching
) -> None:
    script = ["--", "sh", "-c", "echo up; sleep 2; echo RESULT"]
    flags = [*run(run_name, 3), "--parallel", "2"]
    launcher = launching([LAUNCH, *flags, *script], there)
    started(launcher, 2)
    launcher.kill()
    launcher.communicate()

    resumed = launch(there, "--resume", run_name, "-o", "json")

    assert [one["exit_code"] for one in json.loads(resumed.stdout)["agents"]] == [0, 0, 0]
    assert resumed.stderr.count("| RESULT") == 3
    assert len(containers(own, run_name)) == 3


def test_a_live_launcher_hears_of_a_stop_and_of_ctrl_c(
    there: dict[str, str], run_name: str, own: docker.DockerClient, launching: Launching
) -> None:
    script = ["--", "sh", "-c", "echo up; exec sleep 600"]
    launcher = launching([LAUNCH, *run(run_name), "--parallel", "1", *script], there)
    started(launcher, 1)
    launch(there, "stop", run_name)
    output, errors = launcher.communicate(timeout=60)
    assert launcher.returncode == 1, errors
    assert output.count(" stopped ") == 2

    again = launching([LAUNCH, "--resume", run_name], there)
    started(again, 1)
    again.send_signal(signal.SIGINT)
    _, errors = again.communicate(timeout=60)
    assert again.returncode == 130, errors
    assert {one.status for one in containers(own, run_name)} == {"exited"}
