"""Symphony over ssh: `ssh -T host bash -lc …` into containers of the worker image."""

import json
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from docker.models.containers import Container

from conftest import MANAGEMENT_KEY
from engine.conftest import KEY_MOUNT, Start, wait_for_output
from ravi_agent.local.server import LocalRavi

RECIPE = Path(__file__).parents[2] / "images/harnesses/symphony/WORKFLOW.ssh.md"
WORKFLOW = yaml.safe_load(RECIPE.read_text().split("---\n")[1])
CODEX = """#!/usr/bin/env python3
import json, os, sys
for line in sys.stdin:
    print(json.dumps({"id": json.loads(line)["id"], "env": dict(os.environ)}), flush=True)
"""


class Worker:
    """One container, and the ssh that Symphony reaches it by."""

    def __init__(self, container: Container, folder: Path) -> None:
        wait_for_output(container, "Server listening")
        container.reload()
        port = container.attrs["NetworkSettings"]["Ports"]["2222/tcp"][0]["HostPort"]
        self._ssh = [
            *("ssh", "-T", "-F", "/dev/null", "-i", str(folder / "id"), "-p", port),
            *("-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={folder}/known-{port}"),
            *("-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "agent@127.0.0.1"),
        ]

    def run(self, script: str, stdin: str = "", code: int = 0) -> str:
        """As Symphony's `ssh.ex` does: one remote command line, `bash -lc '<script>'`."""
        done = subprocess.run(
            [*self._ssh, f"bash -lc {shlex.quote(script)}"],
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, done.stdout
        return done.stdout

    def issue(self, key: str) -> dict[str, str]:
        """One attempt at an issue: the environment of its codex."""
        path = f"{WORKFLOW['workspace']['root']}/{key}"
        self.run(f"mkdir -p {path}")
        self.run(f"cd {path} && {WORKFLOW['hooks']['after_create']}")
        output = self.run(
            f"cd {path} && exec {WORKFLOW['codex']['command']}",
            '{"id": 1, "method": "initialize"}\n',
        )
        (answer,) = [json.loads(line) for line in output.splitlines() if line[:1] == "{"]
        environment: dict[str, str] = answer["env"]
        return environment


@pytest.fixture
def workers(start: Start, tmp_path: Path) -> list[Worker]:
    """Two workers with a codex and a repository to clone."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "id")]
    subprocess.run(command, check=True, timeout=60)
    codex = tmp_path / "codex"
    codex.write_text(CODEX)
    codex.chmod(0o755)
    (tmp_path / "management_key").chmod(0)  # whatever uid runs the tests, only root reads it
    volumes = {
        str(tmp_path / "id.pub"): {"bind": "/home/agent/.ssh/authorized_keys", "mode": "ro"},
        str(codex): {"bind": "/usr/local/bin/codex", "mode": "ro"},
    }
    containers = [
        start(
            image="ravi-symphony-worker",
            volumes=volumes,
            environment={"SOURCE_REPO_URL": "/tmp/source"},
            ports={"2222/tcp": ("127.0.0.1", None)},
        )
        for _ in range(2)
    ]
    workers = [Worker(container, tmp_path) for container in containers]
    for worker in workers:
        worker.run("git init -q /tmp/source")
    return workers


def test_codex_over_ssh_has_its_worker_s_identity_and_nobody_has_the_key(
    workers: list[Worker], service: LocalRavi
) -> None:
    emails = {one.name: one.email for one in service.store.identities()}
    assert len(emails) == 2
    calls = len(service.requests.entries)

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(Worker.issue, workers, ["ENG-1", "ENG-2"])

    assert {first["RAVI_EMAIL"], second["RAVI_EMAIL"]} == set(emails.values())
    assert first["RAVI_CONFIG_DIR"] == "/workspace/.ravi"
    assert first["PWD"] == "/workspace/issues/ENG-1"
    assert workers[0].issue("ENG-3")["RAVI_EMAIL"] == first["RAVI_EMAIL"]
    assert len(service.requests.entries) == calls
    assert "Permission denied" in workers[0].run(f"cat {KEY_MOUNT}", code=1)
    assert MANAGEMENT_KEY not in str([first, second])


def test_outside_the_workspace_codex_does_not_start(workers: list[Worker]) -> None:
    said = workers[0].run("cd /tmp && exec ravi-entrypoint -- codex app-server", code=78)

    assert "no provisioned workspace" in said
