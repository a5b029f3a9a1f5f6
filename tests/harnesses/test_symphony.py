"""Symphony's own sequence around the recipe: hooks by `sh -lc`, codex by `bash -lc "… exec …"`."""

import json
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import MANAGEMENT_KEY
from harnesses.conftest import RECIPES, Host

WORKFLOW = yaml.safe_load((RECIPES / "symphony/WORKFLOW.md").read_text().split("---\n")[1])
# Answers each line with who it is and what it was asked, until its input ends.
CODEX = """#!/usr/bin/env python3
import json, os, sys
assert sys.argv[1:] == ["app-server"], sys.argv
for line in sys.stdin:
    answer = {"id": json.loads(line)["id"], "cwd": os.getcwd(), "env": dict(os.environ)}
    print(json.dumps(answer), flush=True)
"""


class HookError(Exception):
    """A hook that Symphony takes for fatal."""


class Symphony:
    """What SPEC.md and the reference say it does for one issue."""

    def __init__(self, host: Host, key: str) -> None:
        self.host = host
        self.key = key
        self.workspace = host.path / "symphony_workspaces" / key

    def hook(self, name: str) -> subprocess.CompletedProcess[str]:
        return self.host.run(
            *("sh", "-lc", WORKFLOW["hooks"][name]),
            cwd=self.workspace,
            code=None,
            SOURCE_REPO_URL=str(self.host.repository),
        )

    def attempt(self) -> dict[str, Any]:
        """One worker session; what the agent answered."""
        if not self.workspace.exists():
            self.workspace.mkdir(parents=True)
            if self.hook("after_create").returncode:
                shutil.rmtree(self.workspace)
                raise HookError("after_create")
        done = self.hook("before_run")
        if done.returncode:
            raise HookError(done.stdout)
        line = f"unset LINEAR_API_KEY && exec {WORKFLOW['codex']['command']}"
        agent = self.host.run(
            "bash", "-lc", line, cwd=self.workspace, stdin='{"id": 1, "method": "initialize"}\n'
        )
        answers = [json.loads(text) for text in agent.stdout.splitlines() if text[:1] == "{"]
        assert [answer["id"] for answer in answers] == [1]
        answer: dict[str, Any] = answers[0]
        return answer

    def remove(self) -> None:
        """The issue has reached a terminal state; a failing hook is logged and ignored."""
        self.hook("before_remove")
        shutil.rmtree(self.workspace)


@pytest.fixture
def symphony(host: Host) -> Symphony:
    host.program("codex", CODEX)
    return Symphony(host, "ENG-12")


def test_an_issue_has_one_identity_from_its_first_attempt_to_its_end(symphony: Symphony) -> None:
    host = symphony.host
    first = symphony.attempt()
    calls = len(host.local.requests.entries)
    second = symphony.attempt()

    assert len(host.local.requests.entries) == calls  # the second is offline
    assert host.emails() == {host.name_of(symphony.workspace): first["env"]["RAVI_EMAIL"]}
    assert first["cwd"] == str(symphony.workspace)
    assert first["env"]["RAVI_CONFIG_DIR"] == f"{symphony.workspace}/.ravi"
    assert second["env"] == first["env"]
    assert not {"RAVI_MANAGEMENT_KEY_FILE", "RAVI_MANAGEMENT_KEY"} & first["env"].keys()
    assert MANAGEMENT_KEY not in str(first)
    host.git("add", "--all", cwd=symphony.workspace)
    assert host.git("status", "--porcelain", cwd=symphony.workspace) == ""

    symphony.remove()
    assert host.emails() == {}


def test_a_hook_that_fails_keeps_the_directory_and_the_next_attempt_mends_it(
    symphony: Symphony,
) -> None:
    symphony.host.key.write_text("wrong")
    with pytest.raises(HookError, match="ravi-init: error: "):
        symphony.attempt()
    assert (symphony.workspace / ".git").exists()

    symphony.host.key.write_text(MANAGEMENT_KEY)
    symphony.attempt()
    assert list(symphony.host.emails()) == [symphony.host.name_of(symphony.workspace)]


def test_without_its_hook_codex_does_not_start(symphony: Symphony) -> None:
    symphony.workspace.mkdir(parents=True)

    done = symphony.host.run(
        "bash", "-lc", f"exec {WORKFLOW['codex']['command']}", cwd=symphony.workspace, code=78
    )

    assert "no provisioned workspace" in done.stdout
    assert symphony.host.emails() == {}


def test_eight_issues_at_once_have_eight_identities(symphony: Symphony) -> None:
    issues = [Symphony(symphony.host, f"ENG-{number}") for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(Symphony.attempt, issues))

    emails = {
        one.host.name_of(one.workspace): got["env"]["RAVI_EMAIL"]
        for one, got in zip(issues, answers, strict=True)
    }
    assert emails == symphony.host.emails()
    assert len(set(emails.values())) == 8


def test_two_attempts_at_one_issue_make_one_identity(symphony: Symphony) -> None:
    symphony.workspace.mkdir(parents=True)
    symphony.hook("after_create")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: symphony.attempt(), range(4)))

    assert {answer["env"]["RAVI_EMAIL"] for answer in answers} == set(
        symphony.host.emails().values()
    )
    assert len(symphony.host.emails()) == 1


def test_both_workflows_say_the_same_of_the_agent() -> None:
    remote = (RECIPES / "symphony/WORKFLOW.ssh.md").read_text().split("---\n")
    front = yaml.safe_load(remote[1])

    assert front["codex"] == WORKFLOW["codex"]
    assert front["worker"]["max_concurrent_agents_per_host"] == 1
    assert Path(front["workspace"]["root"]).parent == Path("/workspace")
    assert "before_run" not in front["hooks"]
