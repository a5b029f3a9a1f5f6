"""`ravi-launch` as people run it: a process on the host, and a real engine."""

import json
import os
import pty
import signal
import subprocess
from pathlib import Path
from typing import Any

import docker
import pytest

from conftest import MANAGEMENT_KEY
from engine.conftest import LAUNCH, containers, launch
from ravi_agent import contract
from ravi_agent.local.faults import Fault
from ravi_agent.local.server import LocalRavi


def test_each_agent_prints_an_identity_of_its_own(
    environ: dict[str, str], run_name: str, service: LocalRavi
) -> None:
    script = 'echo "$TASK_INDEX $TASK_COUNT $TASK_ID $RAVI_RUN $RAVI_EMAIL $FLAVOUR"'
    done = launch(
        environ, "--count", "5", "--name", run_name, "-e", "FLAVOUR=mint", "--", "sh", "-c", script
    )

    emails = {record.name: record.email for record in service.store.identities()}
    assert len(emails) == 5
    for index in range(5):
        email = emails[f"task-{run_name}-{index:04d}"]
        line = f"{index:04d} | {index} 5 {index:04d} {run_name} {email} mint"
        assert line in done.stdout.splitlines()
    assert f"run {run_name}: 5 requested, 5 succeeded, 0 failed" in done.stderr


def test_json_is_all_there_is_on_standard_output(
    environ: dict[str, str], run_name: str, service: LocalRavi
) -> None:
    done = launch(
        environ, "--count", "3", "--name", run_name, "--output", "json", "--", "sh", "-c", "exit 0"
    )

    result: dict[str, Any] = json.loads(done.stdout)
    assert result["run"] == run_name
    assert result["backend"] == "docker"
    assert result["image"] == "ravi-agent-base"
    assert [agent["index"] for agent in result["agents"]] == [0, 1, 2]
    made = {record.uuid: record for record in service.store.identities()}
    for agent in result["agents"]:
        record = made.pop(agent["identity"]["uuid"])
        assert agent["identity"] == {
            "uuid": record.uuid,
            "name": record.name,
            "email": record.email,
            "phone": record.phone,
        }
        assert (agent["state"], agent["exit_code"], agent["error"]) == ("exited", 0, None)
        assert agent["ready_s"] > 0
    assert made == {}
    summary = result["summary"]
    assert (summary["requested"], summary["succeeded"], summary["failed"]) == (3, 3, 0)
    assert 0 < summary["ready_p50_s"] <= summary["ready_p95_s"] <= summary["wall_s"]


def test_what_each_container_has_used_is_in_the_answer_and_not_in_its_output(
    environ: dict[str, str], run_name: str
) -> None:
    """The agent writes a line like it, too: that one is its own."""
    fake = 'ravi-entrypoint: used: {"memory_peak_bytes": 1, "cpu_s": 0.001}'
    script = (
        "import os, sys, time; taken = bytearray(os.urandom(1 << 20) * 48);"
        f"print({fake!r}, file=sys.stderr);"
        "exec('while time.process_time() < 0.5: pass')"
    )
    arguments = ["--count", "1", "--name", run_name, "--output", "json"]
    done = launch(environ, *arguments, "--", "python3", "-c", script)

    (agent,) = json.loads(done.stdout)["agents"]
    assert 48 << 20 < agent["memory_peak_bytes"] < 480 << 20
    assert 0.5 < agent["cpu_s"] < 50
    assert done.stderr.count("used: ") == 1
    assert fake in done.stderr


def test_a_terminal_shows_the_whole_run_and_the_answer_stays_apart(
    environ: dict[str, str], run_name: str
) -> None:
    leader, follower = pty.openpty()
    launcher = subprocess.Popen(
        [LAUNCH, "--count", "2", "--name", run_name, "--", "echo", "said"],
        env={**environ, "TERM": "xterm", "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=follower,
        text=True,
    )
    os.close(follower)
    shown = b""
    with open(leader, "rb", buffering=0) as screen:
        while True:
            try:
                shown += screen.read(4096)
            except OSError:  # EIO: the launcher has closed its side
                break
    stdout, _ = launcher.communicate(timeout=60)

    assert launcher.returncode == 0
    assert b"2 ok" in shown
    assert f"task-{run_name}-0001@ravi-local.test".encode() in shown
    assert b"2/2" in shown
    assert "0000 | said" in stdout.splitlines()
    assert stdout.splitlines()[-1].startswith("0001   exited   0      task-")
    assert "\x1b" not in stdout


def test_one_failure_stops_no_other_and_is_told(environ: dict[str, str], run_name: str) -> None:
    script = "echo to-stderr >&2; exit $((TASK_INDEX == 1 ? 7 : 0))"
    done = launch(
        environ, "--count", "3", "--name", run_name, "-o", "json", "--", "sh", "-c", script, code=1
    )

    codes = [agent["exit_code"] for agent in json.loads(done.stdout)["agents"]]
    assert codes == [0, 7, 0]
    assert "0001 | to-stderr" in done.stderr
    assert "3 requested, 2 succeeded, 1 failed" in done.stderr


def test_the_same_name_adopts_the_same_identities(
    environ: dict[str, str], run_name: str, service: LocalRavi
) -> None:
    first = launch(environ, "--count", "2", "--name", run_name, "-o", "json", "--rm", "--", "true")
    second = launch(environ, "--count", "2", "--name", run_name, "-o", "json", "--rm", "--", "true")

    uuids = [
        [agent["identity"]["uuid"] for agent in json.loads(done.stdout)["agents"]]
        for done in (first, second)
    ]
    assert uuids[0] == uuids[1]
    assert len(service.store.identities()) == 2


def test_containers_stay_unless_asked_to_go(
    environ: dict[str, str], run_name: str, client: docker.DockerClient
) -> None:
    launch(environ, "--count", "2", "--name", run_name, "--", "true")

    stayed = containers(client, run_name)
    assert len(stayed) == 2
    for container in stayed:
        index = container.labels[contract.LABEL_INDEX]
        assert container.labels[contract.LABEL_TASK] == f"{int(index):04d}"
        assert container.labels[contract.LABEL_COUNT] == "2"
        name = f"task-{run_name}-{int(index):04d}"
        assert container.labels[contract.LABEL_IDENTITY_NAME] == name
        container.remove()

    launch(environ, "--count", "2", "--name", run_name, "--rm", "--", "true")

    assert containers(client, run_name) == []


@pytest.mark.parametrize("provision", ["container", "host"])
def test_the_handed_over_key_shows_up_nowhere(
    environ: dict[str, str], run_name: str, client: docker.DockerClient, provision: str
) -> None:
    snoop = (
        "cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n'; env; cat; cat .ravi/*"
    )
    environ["RAVI_LOG_LEVEL"] = "debug"
    arguments = ["--count", "2", "--name", run_name, "--provision", provision]
    done = launch(environ, *arguments, "-e", "RAVI_LOG_LEVEL", "--", "sh", "-c", snoop)

    assert "RAVI_CONFIG_DIR=" in done.stdout
    assert MANAGEMENT_KEY not in done.stdout + done.stderr
    for container in containers(client, run_name):
        inspected = json.dumps(client.api.inspect_container(str(container.id)))
        assert MANAGEMENT_KEY not in inspected
        assert MANAGEMENT_KEY.encode() not in container.logs()
        assert MANAGEMENT_KEY.encode() not in b"".join(client.api.export(str(container.id)))


def test_the_agents_standard_input_is_empty(environ: dict[str, str], run_name: str) -> None:
    script = "readlink /proc/self/fd/0; cat; echo end"
    done = launch(environ, "--count", "1", "--name", run_name, "--", "sh", "-c", script)

    assert "0000 | /dev/null\n0000 | end" in done.stdout


def test_a_service_that_refuses_is_told_for_each_agent(
    environ: dict[str, str], run_name: str, service: LocalRavi
) -> None:
    service.faults.append(Fault(method="POST", status=403))

    arguments = ["--count", "2", "--name", run_name, "--provision", "container", "-o", "json"]
    done = launch(environ, *arguments, "--", "true", code=1)

    for agent in json.loads(done.stdout)["agents"]:
        assert agent["exit_code"] == 77
        assert "status 403" in agent["error"]
        assert agent["identity"] is None


def test_an_interrupt_stops_what_was_started(
    environ: dict[str, str], run_name: str, client: docker.DockerClient
) -> None:
    launcher = subprocess.Popen(
        [LAUNCH, "--count", "4", "--name", run_name, "--", "sh", "-c", "echo up; exec sleep 600"],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert launcher.stdout
    assert launcher.stderr
    heard = 0
    for line in launcher.stdout:
        heard += line.endswith("| up\n")
        if heard == 4:
            break
    launcher.send_signal(signal.SIGINT)
    stdout, stderr = launcher.communicate(timeout=60)

    assert launcher.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert stdout.count("stopped") == 4
    assert {container.status for container in containers(client, run_name)} == {"exited"}


def test_fifty_agents_need_neither_fifty_threads_nor_fifty_steps_at_once(
    environ: dict[str, str], run_name: str, service: LocalRavi
) -> None:
    launcher = subprocess.Popen(
        [LAUNCH, "--count", "50", "--name", run_name, "--rm", "-o", "json", "--concurrency", "8"],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert launcher.stderr
    threads = 0
    for _ in launcher.stderr:  # a line for each step of each agent
        try:
            threads = max(threads, len(os.listdir(f"/proc/{launcher.pid}/task")))
        except FileNotFoundError:
            break
    stdout, _ = launcher.communicate(timeout=100)

    agents = json.loads(stdout)["agents"]
    assert launcher.returncode == 0
    # Two for each start under way: the starter, and the one that says when the service is silent.
    # Beside them control, interrupts, events, output and what shows.
    assert 0 < threads <= 2 * 8 + 5
    for field in ("uuid", "email", "phone"):
        assert len({agent["identity"][field] for agent in agents}) == 50
    assert len(service.store.identities()) == 50


@pytest.mark.parametrize(
    ("arguments", "code", "cause"),
    [
        pytest.param(["--count", "0"], 64, "--count 0", id="none"),
        pytest.param(["--count", "-1"], 64, "--count -1", id="fewer than none"),
        pytest.param(["--count", "abc"], 64, "--count", id="no number"),
        pytest.param([], 64, "--count", id="nothing said"),
        pytest.param(["--count", "1", "--output", "xml"], 64, "xml", id="unknown output"),
        pytest.param(["--count", "1", "--wrong"], 64, "--wrong", id="unknown flag"),
        pytest.param(["--count", "1", "-e", "=x"], 64, "--env", id="no variable"),
        pytest.param(
            ["--count", "1", "-e", "RAVI_MANAGEMENT_KEY=k"], 64, "hands the key", id="key as -e"
        ),
        pytest.param(["--count", "1", "--image", "nonesuch"], 69, "nonesuch", id="no image"),
        pytest.param(["--count", "1", "--image", "ravi-init"], 64, "entrypoint", id="other init"),
    ],
)
def test_bad_input_is_refused_before_anything_starts(
    environ: dict[str, str],
    run_name: str,
    client: docker.DockerClient,
    service: LocalRavi,
    arguments: list[str],
    code: int,
    cause: str,
) -> None:
    assert_refused(environ, ["--name", run_name, *arguments], code, cause)
    assert containers(client, run_name) == []
    assert service.store.identities() == []


@pytest.mark.parametrize(
    ("changes", "code", "cause"),
    [
        pytest.param({"RAVI_MANAGEMENT_KEY_FILE": ""}, 78, "no management key", id="no key"),
        pytest.param({"RAVI_MANAGEMENT_KEY": "k"}, 78, "both", id="both keys"),
        pytest.param({"DOCKER_HOST": "unix:///nonexistent"}, 69, "no Docker engine", id="engine"),
        pytest.param({"RAVI_API_URL": "ftp://x"}, 78, "RAVI_API_URL", id="service"),
    ],
)
def test_a_bad_environment_is_refused_before_anything_starts(
    environ: dict[str, str], run_name: str, changes: dict[str, str], code: int, cause: str
) -> None:
    assert_refused(environ | changes, ["--count", "1", "--name", run_name], code, cause)


def assert_refused(environ: dict[str, str], arguments: list[str], code: int, cause: str) -> None:
    done = launch(environ, *arguments, code=code)

    first, second = done.stderr.splitlines()
    assert first.startswith("ravi-launch: error: ")
    assert cause in first
    assert second.startswith("  fix: ")
    assert done.stdout == ""


def test_the_hosts_key_may_come_from_the_official_cli(
    environ: dict[str, str], run_name: str, tmp_path: Path
) -> None:
    del environ["RAVI_MANAGEMENT_KEY_FILE"]
    (tmp_path / ".ravi").mkdir()
    (tmp_path / ".ravi/config.json").write_text(json.dumps({"management_key": MANAGEMENT_KEY}))

    launch(environ, "--count", "1", "--name", run_name, "--", "true")


def test_the_local_ravi_runs_beside_the_agents(environ: dict[str, str], run_name: str) -> None:
    """Without any key: `--local` must never use the account's."""
    environ["RAVI_MANAGEMENT_KEY_FILE"] = "/nonexistent"
    arguments = ["--local", "--count", "2", "--name", run_name, "--rm", "-o", "json"]
    done = launch(environ, *arguments, "--image", "ravi-agent-example")

    agents = json.loads(done.stdout)["agents"]
    for agent in agents:
        assert f"I am {agent['identity']['name']}: {agent['identity']['email']}" in done.stderr
    assert len({agent["identity"]["uuid"] for agent in agents}) == 2
