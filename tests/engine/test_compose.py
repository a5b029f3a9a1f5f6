"""The example of images/compose, with the Compose that this machine has."""

import json
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.conftest import PREFIX
from ravi_agent.local.server import LocalRavi

EXAMPLE = Path(__file__).parents[2] / "images/compose/compose.yaml"
AGENT = 'services: {agent: {command: [sh, -c, "ravi-whoami; exec sleep infinity"]}}\n'

Compose = Callable[..., str]


def program() -> list[str]:
    """Version 2 is a plug-in of the client, version 1 a program."""
    plugin = ["docker", "compose"]
    if subprocess.run([*plugin, "version"], capture_output=True, check=False).returncode == 0:
        return plugin
    found = shutil.which("docker-compose")
    assert found, "no Compose here: scripts/tools"
    return [found]


@pytest.fixture
def compose(environ: dict[str, str], tmp_path: Path) -> Iterator[Compose]:
    """`docker compose` on the example, with an agent that stays."""
    shutil.copy(EXAMPLE, tmp_path)
    (tmp_path / "agent.yaml").write_text(AGENT)
    project = PREFIX + uuid.uuid4().hex[:12]
    files = ("--file", str(tmp_path / "compose.yaml"), "--file", str(tmp_path / "agent.yaml"))

    def compose(*arguments: str) -> str:
        return subprocess.run(
            [*program(), "--project-name", project, *files, *arguments],
            env={**environ, "AGENT_IMAGE": "ravi-agent-base"},
            stdout=subprocess.PIPE,
            text=True,
            timeout=110,
            check=True,
        ).stdout

    yield compose
    compose("down", "--volumes", "--timeout", "2")


def whoami(compose: Compose, count: int) -> dict[str, str]:
    """Each replica's identity, as its workspace has it."""
    found = {}
    for index in range(1, count + 1):
        until = "until ravi-whoami 2>/dev/null; do sleep 0.1; done"  # it may be provisioning yet
        said = compose("exec", "-T", "--index", str(index), "agent", "sh", "-c", until)
        found[str(index)] = json.loads(said)["uuid"]
    return found


@pytest.mark.timeout(300)
def test_each_replica_has_an_identity_and_keeps_it(compose: Compose, service: LocalRavi) -> None:
    up = ("up", "--detach", "--scale", "agent=3")
    compose(*up)
    before = whoami(compose, 3)
    assert sorted(before.values()) == sorted(one.uuid for one in service.store.identities())
    assert len(set(before.values())) == 3
    calls = len(service.requests.entries)

    compose("restart", "--timeout", "2")
    assert whoami(compose, 3) == before

    compose(*up, "--force-recreate", "--timeout", "2")
    assert whoami(compose, 3) == before
    assert len(service.requests.entries) == calls
