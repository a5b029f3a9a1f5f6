"""How a run goes on: places, second tries, time-outs, limits, and what it costs."""

import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import docker
import pytest
from jsonschema import Draft202012Validator

from engine.conftest import LAUNCH, containers, launch, of_run, wait_for_output
from ravi_agent import contract
from ravi_agent.launcher.docker.engine import DockerEngine
from ravi_agent.launcher.docker.networks import Networks, run_networks
from ravi_agent.launcher.docker.records import forget
from ravi_agent.launcher.planning.plan import make_plan
from ravi_agent.launcher.planning.spec import RunSpec
from ravi_agent.local.server import LocalRavi


def agents(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(done.stdout)["agents"]
    return found


def test_no_more_agents_run_at_once_than_there_are_places(
    environ: dict[str, str], run_name: str, tmp_path: Path
) -> None:
    (tmp_path / "seen").mkdir(mode=0o777)
    (tmp_path / "seen").chmod(0o777)
    # Each counts those that are in with it, itself included.
    script = "mkdir /seen/$TASK_ID; ls /seen | wc -l; sleep 0.3; rmdir /seen/$TASK_ID"
    done = launch(
        environ,
        *("--count", "12", "--parallel", "3", "--name", run_name, "-v", f"{tmp_path}/seen:/seen"),
        *("--", "sh", "-c", script),
    )

    together = [int(line.rpartition("| ")[2]) for line in done.stdout.splitlines() if "| " in line]
    assert len(together) == 12
    assert max(together) <= 3


def test_an_agent_that_failed_is_started_again_with_its_identity(
    environ: dict[str, str], run_name: str, tmp_path: Path, service: LocalRavi
) -> None:
    (tmp_path / "tries").mkdir()
    (tmp_path / "tries").chmod(0o777)
    script = "echo x >> /tries/$TASK_ID; [ $(wc -l < /tries/$TASK_ID) -gt $TASK_INDEX ]"
    done = launch(
        environ,
        *("--count", "3", "--retries", "1", "-o", "json", "-v", f"{tmp_path}/tries:/tries"),
        *("--", "sh", "-c", script),
        code=1,
    )

    assert [agent["exit_code"] for agent in agents(done)] == [0, 0, 1]
    tries = [len((tmp_path / "tries" / f"000{n}").read_text().split()) for n in range(3)]
    assert tries == [1, 2, 2]
    assert "0001 failed: exited with 1; start 2 of 2" in done.stderr
    assert len(service.store.identities()) == 3
    launch(environ, "rm", json.loads(done.stdout)["run"])


def test_what_another_start_cannot_mend_is_not_tried_again(
    environ: dict[str, str], run_name: str, tmp_path: Path
) -> None:
    tmp_path.chmod(0o755)  # nobody looks into a mounted directory before the start
    arguments = ["--count", "1", "--name", run_name, "--retries", "3"]
    arguments += ["--volume", f"{tmp_path}:/programs:ro"]
    done = launch(environ, *arguments, "--", "/programs/not-there", code=1)

    assert "start 2" not in done.stderr
    assert "exited 127" in done.stderr


def test_an_agent_that_takes_too_long_is_stopped_and_the_others_are_not(
    environ: dict[str, str], run_name: str
) -> None:
    script = "trap 'exit 0' TERM; [ $TASK_INDEX = 1 ] || exit 0; sleep 600 & wait"
    done = launch(
        environ,
        *("--count", "3", "--name", run_name, "--timeout", "3s", "-o", "json"),
        *("--", "sh", "-c", script),
        code=1,  # it ended with 0, and yet it did not do what it was to do
    )

    assert [agent["error"] for agent in agents(done)] == [
        None,
        "still running after --timeout 3s",
        None,
    ]


@pytest.mark.parametrize("flags", [["--max-failures", "1"], ["--fail-fast"]], ids=lambda f: f[0])
def test_a_run_that_fails_too_often_is_stopped(
    environ: dict[str, str], run_name: str, client: docker.DockerClient, flags: list[str]
) -> None:
    script = "case $TASK_INDEX in 0|1) exit 3;; *) exec sleep 600;; esac"
    done = launch(
        environ,
        *("--count", "8", "--parallel", "4", "--name", run_name, *flags, "-o", "json"),
        *("--", "sh", "-c", script),
        code=1,
    )

    states = Counter(agent["state"] for agent in agents(done))
    assert states["stopped"] >= 6
    assert "others failed" in done.stderr
    assert all(container.status == "exited" for container in containers(client, run_name))
    # Those that had no place yet were never started.
    assert len(containers(client, run_name)) < 8


def test_the_cost_is_said_and_limited_before_anything_starts(
    environ: dict[str, str], run_name: str, client: docker.DockerClient, service: LocalRavi
) -> None:
    launch(environ, "--count", "2", "--name", run_name, "--rm", "--", "true")

    arguments = ["--count", "5", "--name", run_name, "--rm"]
    refused = launch(environ, *arguments, "--max-identities", "2", "--", "true", code=64)
    assert "--max-identities 2: 3 of 5 would have to be created" in refused.stderr
    assert len(service.store.identities()) == 2
    assert containers(client, run_name) == []

    done = launch(environ, *arguments, "--max-identities", "3", "--", "true")
    assert f"run {run_name}: 5 agents; 3 identities to create, 2 to adopt" in done.stderr
    assert len(service.store.identities()) == 5


def test_a_dry_run_prints_the_plan_and_changes_nothing(
    environ: dict[str, str], run_name: str, client: docker.DockerClient, service: LocalRavi
) -> None:
    launch(environ, "--count", "1", "--name", run_name, "--rm", "--", "true")
    service.requests.entries.clear()

    arguments = ["--count", "3", "--name", run_name, "--dry-run", "-o", "json"]
    plan = json.loads(launch(environ, *arguments, "--", "echo", "{id}").stdout)

    assert [agent["action"] for agent in plan["agents"]] == ["adopt", "create", "create"]
    assert [agent["command"] for agent in plan["agents"]][2] == ["echo", "0002"]
    assert plan["summary"] == {"requested": 3, "create": 2, "adopt": 1}
    assert {entry["method"] for entry in service.requests.entries} == {"GET"}
    assert len(service.store.identities()) == 1
    assert containers(client, run_name) == []
    assert client.volumes.list(filters=of_run(run_name)) == []


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    """What is documented of the output for machines."""
    path = Path(__file__).parents[2] / "docs" / "ravi-launch.schema.json"
    return Draft202012Validator(json.loads(path.read_text()))


def test_the_answer_is_what_its_schema_says(
    environ: dict[str, str], run_name: str, schema: Draft202012Validator
) -> None:
    arguments = ["--count", "2", "--name", run_name, "-o", "json"]
    done = launch(environ, *arguments, "--", "sh", "-c", "exit $TASK_INDEX", code=1)

    result = json.loads(done.stdout)
    schema.validate(result)
    assert not schema.is_valid(result | {"more": 1})


def test_every_event_is_a_line_of_json(
    environ: dict[str, str], run_name: str, schema: Draft202012Validator
) -> None:
    script = "echo out; echo err >&2; exit $TASK_INDEX"
    done = launch(
        environ,
        *("--count", "2", "--name", run_name, "-o", "jsonl", "--", "sh", "-c", script),
        code=1,
    )

    events = [json.loads(line) for line in done.stdout.splitlines()]
    for event in events:
        schema.validate(event)
    last = {event["task"]: event for event in events if event["event"] == "state"}
    assert [(last[task]["state"], last[task]["exit_code"]) for task in ("0000", "0001")] == [
        ("exited", 0),
        ("exited", 1),
    ]
    said = {(one["task"], one["stream"], one["line"]) for one in events if one["event"] == "output"}
    assert {("0000", "stdout", "out"), ("0001", "stderr", "err")} <= said
    assert events[-1]["event"] == "end"
    assert events[-1]["summary"]["failed"] == 1


def test_each_agent_has_a_log_of_its_own(
    environ: dict[str, str], run_name: str, tmp_path: Path
) -> None:
    logs = tmp_path / "logs"
    script = "echo one $TASK_ID; echo two >&2"
    arguments = ["--count", "2", "--name", run_name, "--log-dir", str(logs)]
    launch(environ, *arguments, "--", "sh", "-c", script)

    assert sorted(path.name for path in logs.iterdir()) == ["0000.log", "0001.log"]
    text = (logs / "0001.log").read_text()
    assert "one 0001\n" in text
    assert "two\n" in text


def test_a_run_is_resumed_by_its_name_alone(
    environ: dict[str, str], run_name: str, client: docker.DockerClient, tmp_path: Path
) -> None:
    tasks = tmp_path / "tasks"
    tasks.write_text("a\nb\nc\n")
    killed = subprocess.Popen(
        [
            *(LAUNCH, "--tasks", str(tasks), "--parallel", "1", "--name", run_name),
            *("-e", "WORD=kept", "--", "sh", "-c", "echo $WORD {id}; exec sleep 2"),
        ],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert killed.stdout
    assert killed.stdout.readline() == "a | kept a\n"
    killed.kill()
    killed.communicate()
    tasks.unlink()

    resumed = launch(environ, "--resume", run_name)

    assert {"a | kept a", "b | kept b", "c | kept c"} <= set(resumed.stdout.splitlines())
    assert len(containers(client, run_name)) == 3
    other = launch(environ, "--resume", run_name, "--count", "3", code=64)
    assert "it was started with another count, rows" in other.stderr
    launch(environ, "rm", run_name)
    assert client.volumes.list(filters=of_run(run_name)) == []
    gone = launch(environ, "--resume", run_name, code=64)
    assert "no record of that run" in gone.stderr


def test_an_agent_out_of_memory_is_said_to_be(environ: dict[str, str], run_name: str) -> None:
    script = "x = bytearray(1 << 30)"
    done = launch(
        environ,
        *("--count", "2", "--name", run_name, "--memory", "64m", "-o", "json"),
        *("--", "sh", "-c", f"[ $TASK_INDEX = 0 ] || exec python3 -c '{script}'"),
        code=1,
    )

    good, bad = agents(done)
    assert (good["exit_code"], good["error"]) == (0, None)
    assert (bad["exit_code"], bad["error"]) == (137, "killed for want of memory")


def test_a_container_that_somebody_pauses_or_removes_is_said_to_be(
    environ: dict[str, str], run_name: str, client: docker.DockerClient
) -> None:
    launcher = subprocess.Popen(
        [
            *(LAUNCH, "--count", "2", "--name", run_name, "-o", "jsonl", "-q"),
            *("--", "sh", "-c", "echo up; exec sleep 600"),
        ],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert launcher.stdout
    events = (json.loads(line) for line in launcher.stdout)

    def wait_for(task: str, **wanted: str) -> dict[str, Any]:
        for event in events:
            if event.get("task") == task and wanted.items() <= event.items():
                found: dict[str, Any] = event
                return found
        raise AssertionError(f"{task} never {wanted}")

    running = {"0000", "0001"}
    while running:
        event = next(events)
        if event.get("line") == "up":
            running.discard(event["task"])
    made = {one.labels[contract.LABEL_TASK]: one for one in containers(client, run_name)}
    made["0000"].pause()
    wait_for("0000", state="paused")
    made["0001"].remove(force=True)
    removed = wait_for("0001", state="exited")
    assert removed["error"] == "its container was removed by somebody else"
    made["0000"].unpause()
    wait_for("0000", state="running")
    made["0000"].kill()
    wait_for("0000", state="exited")
    launcher.communicate(timeout=60)
    assert launcher.returncode == 1


def test_a_paused_agent_is_stopped_all_the_same(
    environ: dict[str, str], run_name: str, client: docker.DockerClient
) -> None:
    launch(environ, "--count", "1", "--name", run_name, "-d", "--", "sh", "-c", "sleep 600")
    (container,) = containers(client, run_name)
    wait_for_output(container, "ready")
    container.pause()

    launch(environ, "stop", run_name)

    container.reload()
    assert container.status == "exited"


def test_a_run_too_large_for_one_bridge_has_several(
    client: docker.DockerClient, run_name: str, environ: dict[str, str]
) -> None:
    spec = RunSpec(image="ravi-agent-base", count=5, api_url="http://ravi.invalid")
    engine = DockerEngine(connections=2)
    try:
        networks = Networks(engine.client, make_plan(run_name, spec, is_fresh=True), ports=2)
        networks.create()
        networks.create()  # as a resumed launcher does
        made = run_networks(client, run_name)

        assert sorted(str(one.name) for one in made) == sorted(networks.names)
        assert Counter(networks.of(index) for index in range(5)) == {
            f"ravi-{run_name}-0": 2,
            f"ravi-{run_name}-1": 2,
            f"ravi-{run_name}-2": 1,
        }
        # A stranger on the network, as the local Ravi is, does not keep it from going.
        stranger = client.containers.create("ravi-agent-base", name=f"{run_name}-stranger")
        made[0].connect(stranger)
    finally:
        forget(engine, run_name)
        engine.close()
    stranger.remove()
    assert run_networks(client, run_name) == []


def test_the_doctor_finds_nothing_and_then_the_key_file(
    environ: dict[str, str], key_file: Path
) -> None:
    key_file.chmod(0o600)
    well = json.loads(launch(environ, "doctor", "-o", "json").stdout)
    assert {one["verdict"] for one in well} == {"good"}

    key_file.chmod(0o644)
    noted = launch(environ, "doctor").stdout
    assert f"chmod 600 {key_file}" in noted

    key_file.write_text("wrong\n")
    ill = json.loads(launch(environ, "doctor", "-o", "json", code=1).stdout)
    assert [one["what"] for one in ill if one["verdict"] == "bad"] == ["service"]


def test_a_shell_completes_flags_and_commands(environ: dict[str, str]) -> None:
    asked = {
        "_RAVI_LAUNCH_COMPLETE": "complete_bash",
        "COMP_WORDS": "ravi-launch --max-",
        "COMP_CWORD": "1",
    }
    done = subprocess.run(
        [LAUNCH], env=environ | asked, capture_output=True, text=True, check=False, timeout=60
    )

    assert done.stdout.split() == ["--max-failures", "--max-identities"]
