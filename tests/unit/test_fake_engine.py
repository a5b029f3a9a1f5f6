"""The bench's engine that starts nothing carries a real launcher through a run."""

import json
import os
import subprocess
import sys
from pathlib import Path

from bench.cases.tasks import fake_engine
from conftest import MANAGEMENT_KEY
from ravi_agent.local.server import LocalRavi

LAUNCH = os.path.join(os.path.dirname(sys.executable), "ravi-launch")


def launch(home: Path, local: LocalRavi, *words: str) -> subprocess.CompletedProcess[str]:
    with fake_engine() as host:
        return subprocess.run(
            [LAUNCH, "--output", "json", *words, "--", "true"],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(home),
                "DOCKER_HOST": host,
                "RAVI_API_URL": local.url,
                "RAVI_MANAGEMENT_KEY": MANAGEMENT_KEY,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


def test_every_task_gets_its_identity_and_ends_with_0(tmp_path: Path, local: LocalRavi) -> None:
    ended = launch(tmp_path, local, "--count", "20", "--parallel", "5")

    assert ended.returncode == 0, ended.stderr
    result = json.loads(ended.stdout)
    assert result["summary"]["succeeded"] == 20
    names = {agent["identity"]["email"] for agent in result["agents"]}
    assert len(names) == 20


def test_it_refuses_what_it_does_not_know(tmp_path: Path, local: LocalRavi) -> None:
    ended = launch(tmp_path, local, "--count", "1", "--network", "own")

    assert ended.returncode != 0
    assert "own" in ended.stderr
