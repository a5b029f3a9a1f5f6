"""What is said of agents whose events, connections, logs and containers are lost."""

import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import docker
import docker.errors
import pytest

from engine.conftest import (
    LAUNCH,
    Launching,
    containers,
    execute,
    launch,
    said,
    wait_for_output,
)
from engine.docker_proxy import DockerProxy
from ravi_agent import contract


@pytest.fixture
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerProxy]:
    with DockerProxy() as proxy:
        yield proxy


# --- the end of an agent -----------------------------------------------------------------------


@pytest.mark.parametrize("idle_s", [0.3, 2.0])
def test_what_is_written_after_a_proxy_has_cut_the_connection_is_not_lost(
    environ: dict[str, str], run_name: str, proxy: DockerProxy, idle_s: float
) -> None:
    proxy.cut_idle_s = idle_s
    script = "seq 3000; sleep 3; echo between; sleep 0.7; echo RESULT"
    flags = ["--count", "3", "--name", run_name, "-o", "json", "--host", proxy.url]
    done = launch(environ, *flags, "--", "sh", "-c", script)

    assert proxy.cuts >= 3
    for task in ("0000", "0001", "0002"):
        lines = [one for one in done.stderr.splitlines() if one.startswith(f"{task} | ")]
        wanted = [*map(str, range(1, 3001)), "between", "RESULT"]
        assert lines == [f"{task} | {one}" for one in wanted]


def test_an_end_that_no_event_tells_of_is_known(
    environ: dict[str, str], run_name: str, proxy: DockerProxy
) -> None:
    proxy.has_events = False
    flags = ["--count", "3", "--parallel", "2", "--name", run_name, "--host", proxy.url]

    done = launch(environ, *flags, "--", "sh", "-c", "echo RESULT; exit $TASK_INDEX", code=1)

    assert done.stdout.count("| RESULT") == 3
    assert "2 failed" in done.stderr


@pytest.mark.parametrize("is_ended", [True, False])
def test_an_agent_whose_start_was_cut_off_runs_once(
    environ: dict[str, str],
    run_name: str,
    client: docker.DockerClient,
    proxy: DockerProxy,
    launching: Launching,
    is_ended: bool,
) -> None:
    proxy.cuts_at_start = True
    script = "echo begun; until [ -e /tmp/go ]; do sleep 0.1; done; echo RESULT"
    flags = ["--count", "1", "--name", run_name, "--host", proxy.url]
    launcher = launching([LAUNCH, *flags, "-o", "json", "--", "sh", "-c", script], environ)
    while proxy.is_open:
        assert launcher.poll() is None
    (container,) = containers(client, run_name)
    wait_for_output(container, "begun")
    if is_ended:
        execute(container, "touch", "/tmp/go")
        container.wait()
    proxy.is_open = True
    said(launcher, "| begun")
    if not is_ended:
        execute(container, "touch", "/tmp/go")
    assert launcher.stderr
    rest = launcher.stderr.read()

    assert launcher.wait(timeout=60) == 0, rest
    assert rest.count("| RESULT") == 1
    assert [one.id for one in containers(client, run_name)] == [container.id]


def test_an_agent_that_is_restarted_has_not_ended(
    environ: dict[str, str], run_name: str, client: docker.DockerClient, launching: Launching
) -> None:
    script = "echo up; [ -e again ] || { touch again; exec sleep 600; }; sleep 1; echo RESULT"
    flags = ["--count", "1", "--name", run_name, "-o", "jsonl"]
    launcher = launching([LAUNCH, *flags, "--", "sh", "-c", script], environ)
    assert launcher.stdout
    before: list[str] = []
    while not before or '"up"' not in before[-1]:
        before.append(launcher.stdout.readline())
    (container,) = containers(client, run_name)
    container.restart(timeout=10)
    output, errors = launcher.communicate(timeout=60)

    assert launcher.returncode == 0, errors
    events = [json.loads(line) for line in [*before, *output.splitlines()]]
    lines = [one["line"] for one in events if one.get("stream") == "stdout"]
    assert lines == ["up", "up", "RESULT"]
    ends = [one["exit_code"] for one in events if one.get("state") == "exited"]
    assert ends == [0]


# --- what has ended ----------------------------------------------------------------------------


def test_what_has_ended_and_been_pruned_does_not_run_again(
    environ: dict[str, str], run_name: str, client: docker.DockerClient
) -> None:
    script = ["--", "sh", "-c", "echo ran; exit $TASK_INDEX"]
    launch(environ, "--count", "3", "--name", run_name, *script, code=1)
    prune(client, run_name)

    listed = json.loads(launch(environ, "ps", run_name, "-o", "json").stdout)
    assert [one["exit_code"] for one in listed] == [0, 1, 2]
    assert {one["status"] for one in listed} == {
        f"Exited ({code}), container removed" for code in range(3)
    }
    launch(environ, "wait", run_name, code=1)
    launch(environ, "wait", run_name, "0000")
    resumed = launch(environ, "--resume", run_name, "-o", "json", code=1)
    assert "| ran" not in resumed.stderr
    assert [one["exit_code"] for one in json.loads(resumed.stdout)["agents"]] == [0, 1, 2]
    assert containers(client, run_name) == []


def prune(client: docker.DockerClient, run: str) -> None:
    """As `docker container prune`, of one run."""
    client.containers.prune(filters={"label": f"id.ravi.run={run}"})
    for one in containers(client, run):
        assert one.status == "running"


def test_an_agent_of_a_dead_launcher_that_was_pruned_does_not_run_again_by_itself(
    environ: dict[str, str], run_name: str, client: docker.DockerClient
) -> None:
    launch(environ, "--count", "2", "--name", run_name, "--detach", "--", "sleep", "1")
    launch(environ, "wait", run_name)
    prune(client, run_name)

    listed = json.loads(launch(environ, "ps", run_name, "-o", "json").stdout)
    assert {one["status"] for one in listed} == {"container removed, its end is not known"}
    launch(environ, "wait", run_name, code=1)
    resumed = launch(environ, "--resume", run_name, code=1)
    assert "2 x its container was removed, and nobody knows its end" in resumed.stderr
    launch(environ, "--resume", run_name, "--retries", "1")


def test_a_pruned_container_that_was_not_started_yet_is_made_again(
    environ: dict[str, str], run_name: str, client: docker.DockerClient
) -> None:
    is_over = threading.Event()
    agents = {"label": [f"id.ravi.run={run_name}", contract.LABEL_INDEX]}

    def prune_on() -> None:
        pruner = docker.from_env()
        while not is_over.is_set():
            try:
                pruner.containers.prune(filters=agents)
            except docker.errors.APIError:
                continue  # one prune at a time
        pruner.close()

    thread = threading.Thread(target=prune_on)
    thread.start()
    try:
        done = launch(environ, "--count", "12", "--name", run_name, "-o", "json", "--", "true")
    finally:
        is_over.set()
        thread.join()

    assert json.loads(done.stdout)["summary"]["succeeded"] == 12


def test_a_finished_agent_whose_log_was_rotated_does_not_run_again(
    environ: dict[str, str], run_name: str, client: docker.DockerClient, tmp_path: Path
) -> None:
    """Its log has lost the line that says that the agent was about to start."""
    script = "echo ran >&2; exit 77"  # as the entrypoint would exit with
    launch(environ, "--count", "1", "--name", run_name, "--", "sh", "-c", script, code=1)
    (container,) = containers(client, run_name)
    path = Path(client.api.inspect_container(str(container.id))["LogPath"])
    path.write_bytes(b"")
    before = container.attrs["State"]["StartedAt"]

    resumed = launch(environ, "--resume", run_name, "-o", "json", code=1)

    assert json.loads(resumed.stdout)["agents"][0]["exit_code"] == 77
    (container,) = containers(client, run_name)
    assert container.attrs["State"]["StartedAt"] == before


# --- log files ---------------------------------------------------------------------------------


def test_log_files_have_each_line_once_however_often_the_launcher_is_killed(
    environ: dict[str, str], run_name: str, tmp_path: Path
) -> None:
    logs = tmp_path / "logs"
    script = (
        "i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo line $i; echo err $i >&2; sleep 0.02; done"
    )
    first = ["--count", "2", "--name", run_name, "--", "sh", "-c", script]
    again = ["--resume", run_name]
    for arguments in (first, again, again):
        killed = subprocess.Popen(
            [LAUNCH, "--log-dir", str(logs), *arguments],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert killed.stdout
        for line in killed.stdout:
            if "| line 40" in line:
                break
        killed.kill()
        killed.communicate()
    launch(environ, "wait", run_name)

    launch(environ, "--log-dir", str(logs), "--resume", run_name)
    launch(environ, "--log-dir", str(logs), "--resume", run_name)

    wanted = {f"{word} {number}" for word in ("line", "err") for number in range(1, 301)}
    for task in ("0000", "0001"):
        lines = (logs / f"{task}.log").read_text().splitlines()
        assert sorted(lines) == sorted(wanted)
