"""What each agent of a run is given: rows, templates and Docker's own settings."""

import json
import subprocess
from pathlib import Path
from typing import Any

import docker
import pytest

from conftest import MANAGEMENT_KEY
from engine.conftest import LAUNCH, containers, launch
from ravi_agent import contract
from ravi_agent.local.server import LocalRavi


def lines(done: subprocess.CompletedProcess[str]) -> list[str]:
    return done.stdout.splitlines()


def test_each_row_is_an_agent_of_its_own(
    environ: dict[str, str], run_name: str, tmp_path: Path, client: docker.DockerClient
) -> None:
    rows = [
        {"id": "plain"},
        {"id": "said", "command": ["sh", "-c", "echo $WHO of $TASK_COUNT"], "env": {"WHO": "me"}},
        {"id": "worded", "command": "echo 'two words' {index}", "labels": {"team": "{id}"}},
        {"id": "kept", "command": "cat mine", "workspace": str(tmp_path / "kept")},
        {"id": "other", "command": "ravi-whoami", "image": "ravi-agent-example"},
    ]
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "mine").write_text("on the host\n")
    tasks = tmp_path / "tasks.jsonl"
    tasks.write_text("".join(json.dumps(row) + "\n" for row in rows))

    done = launch(environ, "--tasks", str(tasks), "--name", run_name, "--", "echo", "{id} {run}")

    assert f"plain | plain {run_name}" in lines(done)
    assert "said | me of 5" in lines(done)
    assert "worded | two words 2" in lines(done)
    assert "kept | on the host" in lines(done)
    assert any(line.startswith('other | {"uuid"') for line in lines(done))
    made = {one.labels[contract.LABEL_TASK]: one for one in containers(client, run_name)}
    assert made["worded"].labels["team"] == "worded"
    assert made["other"].attrs["Config"]["Image"] == "ravi-agent-example"
    assert (tmp_path / "kept" / contract.RAVI_DIR / contract.IDENTITY_FILE).exists()


def test_rows_come_from_standard_input_too(environ: dict[str, str], run_name: str) -> None:
    done = subprocess.run(
        [LAUNCH, "--tasks", "-", "--name", run_name, "--", "echo", "{id}"],
        env=environ,
        input="id,env.COLOUR\na,red\nb,\n",
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert {"a | a", "b | b"} <= set(lines(done))


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('{"id": "a"}\n{"id": "b" "image": "x"}\n', "line 2, column 12"),
        ('{"id": "a"}\n{"id": "b", "env": ["A=1"]}\n', "line 2, column 20"),
        ("id,command\na,true\nb,true,extra\n", "line 3, column 3"),
        ("good\nbad id\n", "line 2, column 1"),
    ],
    ids=["no JSON", "no object", "a cell too many", "no id"],
)
def test_a_row_that_is_wrong_is_named_and_nothing_starts(
    environ: dict[str, str],
    run_name: str,
    tmp_path: Path,
    client: docker.DockerClient,
    service: LocalRavi,
    text: str,
    where: str,
) -> None:
    tasks = tmp_path / "tasks"
    tasks.write_text(text)

    done = launch(environ, "--tasks", str(tasks), "--name", run_name, "--", "true", code=64)

    assert f"error: {tasks}, {where}: " in done.stderr
    assert containers(client, run_name) == []
    assert not service.requests.entries


def test_templates_are_filled_in_for_each_agent(
    environ: dict[str, str], run_name: str, tmp_path: Path, client: docker.DockerClient
) -> None:
    done = launch(
        environ,
        *("--count", "2", "--name", run_name, "--workspace-dir", f"{tmp_path}/{{id}}"),
        *("-e", "SHARD={index}/{count}", "-l", "job={run}-{index}"),
        *("-v", f"{tmp_path}/extra-{{index}}:/extra"),
        *("--", "sh", "-c", "id=shell; echo $SHARD {id} ${id} {{id}} {else}; [ -d /extra ]"),
    )

    assert "0001 | 1/2 0001 shell {id} {else}" in lines(done)
    for index in range(2):
        assert (tmp_path / f"000{index}" / contract.RAVI_DIR / contract.CONFIG_FILE).exists()
    made = {one.labels[contract.LABEL_INDEX]: one for one in containers(client, run_name)}
    assert made["1"].labels["job"] == f"{run_name}-1"


def test_dockers_settings_reach_every_container(
    environ: dict[str, str], run_name: str, client: docker.DockerClient, tmp_path: Path
) -> None:
    env_file = tmp_path / "variables"
    env_file.write_text("# a comment\nCOLOUR=red\nFROM_HOST\n")
    launch(
        environ | {"FROM_HOST": "here"},
        *("--count", "1", "--name", run_name, "--env-file", str(env_file), "-e", "SIZE=big"),
        *("--cpus", "0.5", "--memory", "256m", "--pids-limit", "100", "--shm-size", "32m"),
        *("--cap-add", "cap_net_raw", "--security-opt", "seccomp=unconfined"),
        *("--", "sh", "-c", '[ "$COLOUR$FROM_HOST$SIZE" = redherebig ]'),
    )

    host: dict[str, Any] = containers(client, run_name)[0].attrs["HostConfig"]
    assert host["NanoCpus"] == 500_000_000
    assert host["Memory"] == 256 << 20
    assert host["ShmSize"] == 32 << 20
    assert host["PidsLimit"] == 100
    assert host["CapDrop"] == ["ALL"]
    assert host["CapAdd"] == ["CHOWN", "KILL", "SETGID", "SETUID", "NET_RAW"]
    assert host["SecurityOpt"] == ["no-new-privileges", "seccomp=unconfined"]


def test_a_container_is_safe_unless_told_otherwise(
    environ: dict[str, str], run_name: str, client: docker.DockerClient
) -> None:
    script = "grep -E 'NoNewPrivs|CapEff' /proc/self/status"
    done = launch(environ, "--count", "1", "--name", run_name, "--", "sh", "-c", script)

    assert "0000 | CapEff:\t0000000000000000" in lines(done)
    assert "0000 | NoNewPrivs:\t1" in lines(done)
    host: dict[str, Any] = containers(client, run_name)[0].attrs["HostConfig"]
    assert host["PidsLimit"] == 4096
    assert host["CapDrop"] == ["ALL"]
    assert host["Privileged"] is False


def test_an_agent_starts_on_a_read_only_root(environ: dict[str, str], run_name: str) -> None:
    script = "touch /etc/x 2>/dev/null && echo writable; touch /tmp/x mine && ravi-whoami"
    done = launch(
        environ, "--count", "1", "--name", run_name, "--read-only", "--", "sh", "-c", script
    )

    assert "0000 | writable" not in lines(done)
    assert any(line.startswith('0000 | {"uuid"') for line in lines(done))


def test_an_agent_starts_as_another_user(environ: dict[str, str], run_name: str) -> None:
    arguments = ["--count", "1", "--name", run_name, "--user", "4321:4321"]
    done = launch(environ, *arguments, "--", "sh", "-c", "id -u; ravi-whoami >/dev/null && echo ok")

    assert {"0000 | 4321", "0000 | ok"} <= set(lines(done))


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        (["--entrypoint", "sh"], "another program would find the key"),
        (["--memory", "lots"], "--memory 'lots'"),
        (["--cpus", "0"], "--cpus 0"),
        (["--gpus", "some"], "--gpus 'some'"),
        (["--pull", "perhaps"], "--pull 'perhaps'"),
        (["--timeout", "soon"], "--timeout 'soon'"),
        (["--label", "id.ravi.run=x"], "--label"),
        (["--volume", "here"], "--volume 'here'"),
        (["--volume", "/shared:/workspace"], "would share it"),
        (["--env-file", "/not/there"], "--env-file /not/there"),
        (["--tasks", "/not/there"], "--count and --tasks"),
        (["--security-opt", "seccomp=/not/there"], "--security-opt"),
        (["--host", "unix:///x", "--context", "y"], "--host and --context"),
        (["--context", "not-there"], "context 'not-there'"),
        (["--detach", "--retries", "1"], "--detach and --retries"),
        (["--fail-fast", "--max-failures", "1"], "--fail-fast"),
        (["--network", "not-there"], "--network not-there"),
        (["--log-dir", "/proc/nowhere"], "--log-dir"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_bad_input_is_refused_before_anything_starts(
    environ: dict[str, str],
    run_name: str,
    client: docker.DockerClient,
    service: LocalRavi,
    arguments: list[str],
    cause: str,
) -> None:
    done = launch(environ, "--count", "2", "--name", run_name, *arguments, "--", "true", code=64)

    assert cause in done.stderr
    assert "  fix: " in done.stderr
    assert "Traceback" not in done.stderr
    assert MANAGEMENT_KEY not in done.stderr
    assert containers(client, run_name) == []
    assert not service.store.identities()
