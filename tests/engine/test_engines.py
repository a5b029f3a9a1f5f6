"""Engines that are elsewhere, that go away, and that come back."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import docker
import pytest

from conftest import MANAGEMENT_KEY
from engine.conftest import DEAF, LAUNCH, Launching, containers, launch, said, started
from engine.own_engine import OwnEngine
from ravi_agent.local.server import LocalRavi

COUNT = 6


@pytest.fixture(scope="module")
def own_engine(client: docker.DockerClient) -> Iterator[OwnEngine]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # A socket's path has a limit of 107 bytes, and pytest's directories are long.
    engine = OwnEngine(Path(tempfile.mkdtemp(prefix="ravi-engine-")), port)
    try:
        engine.start()
        with engine.client() as own:
            own.images.load(b"".join(client.images.get("ravi-agent-base").save(named=True)))
        yield engine
    finally:
        engine.close()


@pytest.fixture
def there(
    environ: dict[str, str], own_engine: OwnEngine, key_file: Path
) -> Iterator[dict[str, str]]:
    """The launcher's environment, without an engine: its agents share the host's network."""
    with LocalRavi(database=":memory:", management_key=MANAGEMENT_KEY) as service:
        yield {
            **{name: value for name, value in environ.items() if not name.startswith("DOCKER_")},
            "RAVI_API_URL": service.url,
        }


def run_there(environ: dict[str, str], *flags: str) -> None:
    """Two agents, with more output than any buffer holds."""
    script = "seq 50000; echo $RAVI_EMAIL"
    done = launch(
        environ, *flags, "--count", "2", "--network", "host", "--rm", "--", "sh", "-c", script
    )

    lines = Counter(line.partition(" | ")[0] for line in done.stdout.splitlines())
    assert lines["0000"] == lines["0001"] == 50_001


def test_the_third_leaves_whatever_the_engine_does_and_names_what_is_left(
    there: dict[str, str], own_engine: OwnEngine, launching: Launching
) -> None:
    arguments = ["--host", own_engine.url, "--network", "host", "--count", "2", "--name", "left"]
    launcher = launching([LAUNCH, *arguments, *DEAF], there)
    started(launcher, 2)
    own_engine.send(signal.SIGSTOP)
    try:
        for text in ("stopping", "killing"):
            launcher.send_signal(signal.SIGINT)
            said(launcher, f"{text} the agents…")
        launcher.send_signal(signal.SIGINT)
        _, errors = launcher.communicate(timeout=60)
    finally:
        own_engine.send(signal.SIGCONT)

    assert launcher.returncode == 130
    assert "left 0000, 0001 running; ravi-launch stop left" in errors


def test_an_engine_is_named_by_a_flag(there: dict[str, str], own_engine: OwnEngine) -> None:
    run_there(there, "--host", own_engine.url)


def test_an_engine_is_reached_over_tls(there: dict[str, str], own_engine: OwnEngine) -> None:
    variables = {
        "DOCKER_HOST": own_engine.tls_url,
        "DOCKER_TLS_VERIFY": "1",
        "DOCKER_CERT_PATH": str(own_engine.certificates),
    }
    run_there(there | variables)


@pytest.mark.parametrize("by", ["flag", "variable", "in use"])
def test_an_engine_is_named_by_a_context(
    there: dict[str, str], own_engine: OwnEngine, tmp_path: Path, by: str
) -> None:
    environ = there | {"DOCKER_CONFIG": str(tmp_path / "docker")}
    create = ["docker", "context", "create", "own", "--docker", f"host={own_engine.url}"]
    subprocess.run(create, env=environ, check=True, capture_output=True)
    subprocess.run(
        ["docker", "context", "use", "own" if by == "in use" else "default"],
        env=environ,
        check=True,
        capture_output=True,
    )

    if by == "variable":
        environ["DOCKER_CONTEXT"] = "own"
    run_there(environ, *(["--context", "own"] if by == "flag" else []))


@pytest.fixture
def ssh(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """A server's port, and a directory for PATH with an `ssh` that trusts it."""
    for name in ("host", "user"):
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(tmp_path / name)
        key.write_public_key(tmp_path / f"{name}.pub")
        (tmp_path / name).chmod(0o600)
    gate = [Path(__file__).with_name("ssh_gate.py"), tmp_path / "host", tmp_path / "user.pub"]
    with subprocess.Popen([sys.executable, *gate], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        port = int(server.stdout.readline())
        (tmp_path / "known").write_text(f"[127.0.0.1]:{port} {(tmp_path / 'host.pub').read_text()}")
        tool = tmp_path / "bin" / "ssh"
        tool.parent.mkdir()
        options = f"-F none -i {tmp_path}/user -o UserKnownHostsFile={tmp_path}/known"
        tool.write_text(f'#!/bin/sh\nexec /usr/bin/ssh {options} -o BatchMode=yes "$@"\n')
        tool.chmod(0o755)
        yield port, tool.parent
        server.terminate()


def test_an_engine_is_reached_over_ssh(
    there: dict[str, str], own_engine: OwnEngine, ssh: tuple[int, Path]
) -> None:
    port, tools = ssh
    environ = there | {"PATH": f"{tools}:{there['PATH']}"}
    run_there(environ, "--host", f"ssh://somebody@127.0.0.1:{port}{own_engine.socket}")


def test_a_host_that_ssh_does_not_reach_is_said(
    there: dict[str, str], ssh: tuple[int, Path]
) -> None:
    _, tools = ssh
    environ = there | {"PATH": f"{tools}:{there['PATH']}"}
    flags = ["--host", "ssh://somebody@127.0.0.1:1", "--count", "1"]
    done = launch(environ, *flags, "--", "true", code=69)

    assert "engine ssh://somebody@127.0.0.1:1: ssh did not get there" in done.stderr


def events(launcher: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    assert launcher.stdout
    for line in launcher.stdout:
        yield json.loads(line)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_an_engine_that_goes_away_and_comes_back_is_seen_and_said(
    there: dict[str, str], own_engine: OwnEngine, run_name: str, launching: Launching, number: int
) -> None:
    """Two agents run while it goes: they end with it. The other four start once it is back."""
    script = "echo up; [ -e /hold/released ] || exec sleep 600"
    hold = Path(tempfile.mkdtemp(prefix="ravi-hold-"))
    hold.chmod(0o755)
    launcher = launching(
        [
            *(LAUNCH, "--host", own_engine.url, "--count", str(COUNT), "--parallel", "2"),
            *("--name", run_name, "--network", "host", "-v", f"{hold}:/hold", "-o", "jsonl"),
            *("--", "sh", "-c", script),
        ],
        there,
    )
    heard = events(launcher)
    up: set[str] = set()
    while len(up) < 2:
        event = next(heard)
        if event.get("line") == "up":
            up.add(event["task"])
    own_engine.stop(number)
    while next(heard).get("text") != "the engine went away; waiting for it to come back":
        continue
    (hold / "released").touch()
    own_engine.start()
    rest = list(heard)
    _, stderr = launcher.communicate(timeout=60)

    assert launcher.returncode == 1, stderr
    assert "Traceback" not in stderr
    assert "the engine is back; 2 agents ended while it was away" in [
        one.get("text") for one in rest
    ]
    last = {one["task"]: one for one in rest if one["event"] == "state"}
    assert {task for task, one in last.items() if one["exit_code"]} == up
    for task in up:
        assert last[task]["error"] == "the engine stopped, and its container with it"
    summary = rest[-1]["summary"]
    assert (summary["succeeded"], summary["failed"]) == (COUNT - 2, 2)
    with own_engine.client() as own:
        assert len(containers(own, run_name)) == COUNT
    launch(there, "--host", own_engine.url, "rm", run_name)
    os.unlink(hold / "released")
    hold.rmdir()


def test_with_retries_an_engine_that_comes_back_loses_nothing(
    there: dict[str, str], own_engine: OwnEngine, run_name: str, launching: Launching
) -> None:
    launcher = launching(
        [
            *(LAUNCH, "--host", own_engine.url, "--count", str(COUNT), "--retries", "2", "--rm"),
            *("--name", run_name, "--network", "host", "-o", "jsonl", "--", "sleep", "3"),
        ],
        there,
    )
    heard = events(launcher)
    while next(heard).get("state") != "running":
        continue
    own_engine.stop()
    own_engine.start()
    rest = list(heard)
    _, stderr = launcher.communicate(timeout=90)

    assert launcher.returncode == 0, stderr
    assert rest[-1]["summary"]["succeeded"] == COUNT
    with own_engine.client() as own:
        assert containers(own, run_name) == []
