"""What commands and launchers tell each other of a run through its engine."""

import contextlib
import itertools
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest
from docker.models.containers import Container

from engine.conftest import LAUNCH, PREFIX, Launching, containers, launch, of_run, said, started
from ravi_agent import contract
from ravi_agent.launcher.docker.driver import Process
from ravi_agent.launcher.docker.engine import DockerEngine
from ravi_agent.launcher.docker.notes import DRIVER, write_note
from ravi_agent.launcher.planning.plan import joined_name
from ravi_agent.local.server import LocalRavi

UP = ["--", "sh", "-c", "echo up; exec sleep 600"]


@pytest.fixture
def engine() -> Iterator[DockerEngine]:
    engine = DockerEngine(connections=2)
    yield engine
    engine.close()


def states(environ: dict[str, str], run: str) -> dict[str, str]:
    """What `ps` says of each task."""
    listed = json.loads(launch(environ, "ps", run, "-o", "json").stdout)
    return {one["task"]: one["state"] for one in listed}


# --- stop --------------------------------------------------------------------------------------


def test_a_live_launcher_starts_nothing_more_once_its_run_is_stopped(
    environ: dict[str, str], run_name: str, client: docker.DockerClient, launching: Launching
) -> None:
    flags = ["--count", "4", "--parallel", "1", "--name", run_name]
    launcher = launching([LAUNCH, *flags, *UP], environ)
    started(launcher, 1)
    assert list(states(environ, run_name).values()) == ["running", "queued", "queued", "queued"]

    launch(environ, "stop", run_name)
    output, errors = launcher.communicate(timeout=60)

    assert launcher.returncode == 1, errors
    assert output.count(" stopped ") == 4, output
    assert "4 x stopped by ravi-launch stop" in errors
    assert len(containers(client, run_name)) == 1
    assert list(states(environ, run_name).values()) == ["exited"] + ["stopped"] * 3
    launch(environ, "wait", run_name, code=1)


# It ends some time after SIGTERM: once the test lets it.
HELD = """
trap 'until [ -e /gate/open ]; do sleep 0.1; done; exit 3' TERM
touch /gate/up-$TASK_INDEX
while :; do sleep 0.1; done
"""


def test_a_stop_signals_every_agent_although_none_has_ended(
    environ: dict[str, str], run_name: str, client: docker.DockerClient, launching: Launching
) -> None:
    with tempfile.TemporaryDirectory() as gate:
        os.chmod(gate, 0o777)  # noqa: S103 - the agents are of another user
        flags = ["--count", "12", "--detach", "--name", run_name, "--volume", f"{gate}:/gate"]
        launch(environ, *flags, "--", "sh", "-c", HELD)
        while len(os.listdir(gate)) < 12:
            assert [one.status for one in containers(client, run_name)] == ["running"] * 12
        filters = {"event": "kill", "label": f"{contract.LABEL_RUN}={run_name}"}
        with contextlib.closing(client.events(decode=True, filters=filters)) as events:
            stopping = launching([LAUNCH, "stop", run_name], environ)
            signalled = {event["Actor"]["ID"] for event in itertools.islice(events, 12)}
        Path(gate, "open").touch()
        stopping.communicate(timeout=60)

    there = containers(client, run_name)
    assert signalled == {one.id for one in there}
    assert [one.attrs["State"]["ExitCode"] for one in there] == [3] * 12


def test_a_stopped_run_continues_when_somebody_resumes_it(
    environ: dict[str, str], run_name: str, client: docker.DockerClient, launching: Launching
) -> None:
    flags = ["--count", "2", "--parallel", "1", "--name", run_name]
    script = "echo up; [ $TASK_INDEX = 1 ] || exec sleep 600"
    launcher = launching([LAUNCH, *flags, "--", "sh", "-c", script], environ)
    started(launcher, 1)
    launch(environ, "stop", run_name)
    launcher.communicate(timeout=60)

    resumed = launch(environ, "--resume", run_name, "-o", "json", code=1)

    codes = [one["exit_code"] for one in json.loads(resumed.stdout)["agents"]]
    assert codes == [143, 0]


def test_a_stop_outlives_its_launcher(
    environ: dict[str, str], run_name: str, launching: Launching
) -> None:
    flags = ["--count", "3", "--parallel", "1", "--name", run_name]
    launcher = launching([LAUNCH, *flags, *UP], environ)
    started(launcher, 1)
    launcher.kill()
    launcher.communicate()

    launch(environ, "stop", run_name)

    assert list(states(environ, run_name).values()) == ["exited", "stopped", "stopped"]
    launch(environ, "wait", run_name, code=1)


def test_a_stopped_task_is_started_neither_first_nor_again(
    environ: dict[str, str], run_name: str, client: docker.DockerClient, launching: Launching
) -> None:
    flags = ["--count", "3", "--parallel", "1", "--name", run_name, "--retries", "5", "-o", "json"]
    launcher = launching([LAUNCH, *flags, *UP], environ)
    said(launcher, "0000 | up")

    launch(environ, "stop", run_name, "0001")
    launch(environ, "stop", run_name, "0000")  # makes room for the third
    said(launcher, "0002 | up")
    launch(environ, "stop", run_name, "0002")
    output, errors = launcher.communicate(timeout=60)

    agents = json.loads(output)["agents"]
    assert [one["state"] for one in agents] == ["stopped"] * 3, errors
    assert [one["exit_code"] for one in agents] == [143, None, 143]
    assert len(containers(client, run_name)) == 2


def test_an_end_is_not_told_while_a_launcher_may_start_the_agent_again(
    environ: dict[str, str], run_name: str, launching: Launching
) -> None:
    """The first start fails, the second one does not: `wait` and the launcher agree."""
    script = "[ -e /tmp/again ] || exec sleep 600"
    flags = ["--count", "1", "--name", run_name, "--retries", "1", "-v", f"test-{run_name}:/tmp"]
    launcher = launching([LAUNCH, *flags, "--", "sh", "-c", f"echo up; {script}"], environ)
    started(launcher, 1)
    waiting = launching([LAUNCH, "wait", run_name], environ)
    client = docker.from_env()
    try:
        (container,) = containers(client, run_name)
        container.exec_run(["touch", "/tmp/again"])
        container.kill()
        _, errors = launcher.communicate(timeout=60)
        assert launcher.returncode == 0, errors
        assert waiting.wait(timeout=60) == 0
    finally:
        for container in containers(client, run_name):
            container.remove(force=True)
        client.volumes.get(f"test-{run_name}").remove()
        client.close()


# --- one launcher a run ------------------------------------------------------------------------


@pytest.mark.parametrize("flag", ["--name", "--resume"])
def test_a_second_launcher_of_a_run_is_refused(
    environ: dict[str, str],
    run_name: str,
    client: docker.DockerClient,
    launching: Launching,
    flag: str,
) -> None:
    launcher = launching([LAUNCH, "--count", "2", "--name", run_name, *UP], environ)
    started(launcher, 2)
    before = {one.id for one in containers(client, run_name)}

    second = launch(environ, "--count", "2", flag, run_name, *UP, code=64)

    assert f"another launcher drives it: process {launcher.pid} on " in second.stderr
    assert {one.id for one in containers(client, run_name)} == before
    assert launcher.poll() is None
    launch(environ, "stop", run_name)
    launcher.communicate(timeout=60)
    assert client.volumes.list(filters=of_run(run_name))


def test_of_two_launchers_at_the_same_instant_one_has_the_run(
    environ: dict[str, str], run_name: str, client: docker.DockerClient, launching: Launching
) -> None:
    arguments = [LAUNCH, "--count", "1", "--name", run_name, "--", "sleep", "2"]
    both = [launching(arguments, environ) for _ in range(2)]
    ended = [one.communicate(timeout=60)[1] for one in both]

    assert sorted(one.returncode for one in both) == [0, 64], ended
    (container,) = containers(client, run_name)
    assert container.attrs["State"]["ExitCode"] == 0


def test_a_killed_launcher_is_succeeded_and_a_stopped_one_is_not(
    environ: dict[str, str], run_name: str, launching: Launching
) -> None:
    script = ["--", "sh", "-c", "echo up; sleep 3"]
    launcher = launching([LAUNCH, "--count", "1", "--name", run_name, *script], environ)
    started(launcher, 1)

    launcher.send_signal(signal.SIGSTOP)
    refused = launch(environ, "--resume", run_name, code=64)
    assert "another launcher drives it" in refused.stderr

    launcher.kill()
    launcher.communicate()
    launch(environ, "--resume", run_name)


ELSEWHERE = Process(host="elsewhere", place="another boot 1", pid=1, started_at=0.0)


def test_a_launcher_of_another_host_has_to_be_declared_dead(
    environ: dict[str, str], run_name: str, engine: DockerEngine
) -> None:
    launch(environ, "--count", "1", "--name", run_name, "--", "true")
    note = {name: getattr(ELSEWHERE, name) for name in ("host", "place", "pid", "started_at")}
    write_note(engine, run_name, DRIVER, note)

    refused = launch(environ, "--resume", run_name, code=64)
    assert "process 1 on elsewhere" in refused.stderr
    assert f"fix: ravi-launch --resume {run_name} --take-over" in refused.stderr
    assert "a launcher drives it" in launch(environ, "rm", run_name, code=64).stderr

    launch(environ, "--resume", run_name, "--take-over")
    launch(environ, "--resume", run_name)


def test_a_launcher_whose_run_is_removed_leaves_it_alone(
    environ: dict[str, str], run_name: str, client: docker.DockerClient, launching: Launching
) -> None:
    flags = ["--count", "2", "--parallel", "1", "--name", run_name, "--retries", "3"]
    launcher = launching([LAUNCH, *flags, *UP], environ)
    started(launcher, 1)

    launch(environ, "rm", "--force", run_name)
    launcher.communicate(timeout=60)

    assert launcher.returncode in {1, 64}
    assert containers(client, run_name) == []
    assert client.volumes.list(filters=of_run(run_name)) == []


# --- what is somebody else's -------------------------------------------------------------------

Foreign = Callable[..., Container]


@pytest.fixture
def foreign(client: docker.DockerClient) -> Iterator[Foreign]:
    """A running container that no launcher has made."""
    made: list[Container] = []

    def start(name: str, labels: dict[str, str]) -> Container:
        made.append(
            client.containers.run(
                "ravi-base-stand-in", ["sleep", "600"], name=name, labels=labels, detach=True
            )
        )
        return made[-1]

    yield start
    for one in made:
        one.remove(force=True)


def labels(run: str, index: int = 0) -> dict[str, str]:
    """As an image has them that was made of an agent's container."""
    return {
        contract.LABEL_RUN: run,
        contract.LABEL_TASK: f"{index:04d}",
        contract.LABEL_INDEX: str(index),
        contract.LABEL_COUNT: "1",
        contract.LABEL_IDENTITY_NAME: f"task-{run}-{index:04d}",
    }


def test_a_container_with_labels_of_a_run_is_neither_counted_nor_touched(
    environ: dict[str, str], run_name: str, foreign: Foreign
) -> None:
    launch(environ, "--count", "1", "--name", run_name, "--", "true")
    stranger = foreign(PREFIX + os.urandom(4).hex(), labels(run_name))

    assert states(environ, run_name) == {"0000": "exited"}
    launch(environ, "wait", run_name)
    launch(environ, "stop", run_name)
    launch(environ, "--resume", run_name)
    launch(environ, "rm", "--force", run_name)

    stranger.reload()
    assert stranger.status == "running"


def test_nothing_is_paid_for_an_agent_whose_container_s_name_is_taken(
    environ: dict[str, str], run_name: str, foreign: Foreign, service: LocalRavi
) -> None:
    stranger = foreign(f"ravi-agent-{joined_name(run_name, 'one')}", {})
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as tasks:
        tasks.write("one\ntwo\n")
        tasks.flush()
        done = launch(
            environ, "--tasks", tasks.name, "--name", run_name, "--retries", "1", code=1,
        )  # fmt: skip

    assert f"container name {stranger.name} is already in use, and not by an agent" in done.stderr
    names = [one.name for one in service.store.identities()]
    assert names == [f"task-{joined_name(run_name, 'two')}"]
    stranger.reload()
    assert stranger.status == "running"


def test_what_happens_to_a_strange_container_happens_to_no_agent(
    environ: dict[str, str], run_name: str, foreign: Foreign, launching: Launching
) -> None:
    script = ["--", "sh", "-c", "echo up; sleep 3; echo result"]
    launcher = launching([LAUNCH, "--count", "1", "--name", run_name, *script], environ)
    started(launcher, 1)
    for number, given in enumerate([labels(run_name), {contract.LABEL_RUN: run_name}]):
        stranger = foreign(f"{PREFIX}{os.urandom(4).hex()}-{number}", given)
        stranger.pause()
        stranger.unpause()
        stranger.kill()
    output, errors = launcher.communicate(timeout=60)

    assert launcher.returncode == 0, errors
    assert "result" in output


def test_ps_without_a_run_lists_what_is_queued_everywhere(
    environ: dict[str, str], run_name: str, launching: Launching
) -> None:
    flags = ["--count", "2", "--parallel", "1", "--name", run_name]
    launcher = launching([LAUNCH, *flags, *UP], environ)
    started(launcher, 1)

    listed = json.loads(launch(environ, "ps", "-o", "json").stdout)

    mine = {one["task"]: one["state"] for one in listed if one["run"] == run_name}
    assert mine == {"0000": "running", "0001": "queued"}
    launcher.send_signal(signal.SIGINT)
    launcher.communicate(timeout=60)
    assert subprocess.run([LAUNCH, "ps"], env=environ, check=False).returncode == 0
