"""Symphony itself (exocortex-symphony 0.1.0, upstream be10a1b) with the recipe as it is shipped.

Linear is a stand-in, and a program that speaks as much of codex's protocol as Symphony needs
stands in for codex. A user's own settings, which the recipe leaves to the user, are added.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conftest import MANAGEMENT_KEY
from harnesses.conftest import RECIPES, Host
from harnesses.linear import KEY, PROJECT, Linear
from harnesses.test_claude_squad import until

SYMPHONY = Path(sys.prefix) / "harnesses/python/bin/exocortex-symphony"
WORKFLOW = (RECIPES / "symphony/WORKFLOW.md").read_text()
# A worker whose turn goes on until Symphony ends it.
CODEX = """#!/usr/bin/env python3
import json, os, sys
assert sys.argv[1:] == ["app-server"], sys.argv
for line in sys.stdin:
    asked = json.loads(line)
    with open(os.path.dirname(__file__) + "/../codex.jsonl", "a") as log:
        log.write(json.dumps([asked.get("method"), os.getcwd(), dict(os.environ)]) + "\\n")
    result = {"thread": {"id": "t"}, "turn": {"id": "u"}}
    if "id" in asked:
        print(json.dumps({"id": asked["id"], "result": result}), flush=True)
"""


class Running:
    """Symphony at work."""

    def __init__(self, host: Host, linear: Linear) -> None:
        self.host = host
        self.linear = linear
        self.workspaces = host.path / "tmp/symphony_workspaces"
        (host.path / "tmp").mkdir()
        host.program("codex", CODEX)
        own = f'project_slug: "{PROJECT}"\n    endpoint: "{linear.url}"\n    api_key: {KEY}'
        text = WORKFLOW.replace('project_slug: ""', own)
        root = f"workspace: {{root: {self.workspaces}}}\n"  # the default is its builder's
        text = text.replace("hooks:", f"{root}polling: {{interval_ms: 200}}\nhooks:", 1)
        text = text.replace("codex:", "agent: {max_retry_backoff_ms: 1000}\ncodex:", 1)
        workflow = host.path / "WORKFLOW.md"
        workflow.write_text(text)
        assert SYMPHONY.exists(), "no Symphony here: scripts/harnesses"
        accepted = "--i-understand-that-this-will-be-running-without-the-usual-guardrails"
        self.output = (host.path / "symphony.log").open("wb")
        self.process = subprocess.Popen(
            [SYMPHONY, accepted, "--logs-root", host.path / "logs", workflow],
            cwd=host.path,
            env={
                **host.environ,
                "TMPDIR": str(host.path / "tmp"),
                "SOURCE_REPO_URL": str(host.repository),
                "PYTHONPATH": str(SYMPHONY.parents[1]),
                "XDG_DATA_HOME": str(SYMPHONY.parents[2]),  # where it unpacks itself, once
            },
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=self.output,
        )

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=60)
        self.output.close()

    def turns(self, issue: str) -> list[dict[str, str]]:
        """The environments of the agents that have worked at an issue."""
        log = self.host.path / "codex.jsonl"
        if not log.exists():
            return []
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        cwd = str(self.workspaces / issue)
        return [environ for method, path, environ in lines if (method, path) == ("turn/start", cwd)]

    def until(self, is_so: Callable[[], object]) -> None:
        until(lambda: is_so() or self.process.poll() is not None)
        assert self.process.poll() is None, (self.host.path / "symphony.log").read_text()


@pytest.fixture
def symphony(host: Host) -> Iterator[Running]:
    with Linear() as linear:
        running = Running(host, linear)
        yield running
        running.close()
    assert linear.errors == []


@pytest.mark.timeout(300)
def test_the_whole_cycle_of_two_issues_leaves_the_identities_it_should(symphony: Running) -> None:
    host, states = symphony.host, symphony.linear.states
    names = {}
    states |= {"ENG-1": "Todo", "ENG-2": "Todo"}  # create two
    symphony.until(lambda: symphony.turns("ENG-1") and symphony.turns("ENG-2"))
    for issue in states:
        (environ,) = symphony.turns(issue)
        names[issue] = host.name_of(symphony.workspaces / issue)
        assert environ["RAVI_IDENTITY_NAME"] == names[issue]
        assert environ["RAVI_EMAIL"] == host.emails()[names[issue]]
        assert "RAVI_MANAGEMENT_KEY_FILE" not in environ
        assert MANAGEMENT_KEY not in str(environ)
    assert host.emails().keys() == set(names.values())

    states["ENG-1"] = "Backlog"  # pause: neither active nor terminal
    symphony.until(lambda: not is_at_work(symphony.workspaces / "ENG-1"))
    assert len(host.emails()) == 2
    states["ENG-1"] = "In Progress"  # resume
    symphony.until(lambda: len(symphony.turns("ENG-1")) == 2)
    assert len({environ["RAVI_IDENTITY_UUID"] for environ in symphony.turns("ENG-1")}) == 1

    host.key.write_text("wrong")  # fail
    states["ENG-3"] = "Todo"
    symphony.until((symphony.workspaces / "ENG-3/file").exists)
    assert symphony.turns("ENG-3") == []
    host.key.write_text(MANAGEMENT_KEY)  # mend
    symphony.until(lambda: symphony.turns("ENG-3"))
    names["ENG-3"] = host.name_of(symphony.workspaces / "ENG-3")
    assert host.emails().keys() == set(names.values())

    states["ENG-1"], states["ENG-3"] = "Done", "Duplicate"  # finish, and kill
    symphony.until(lambda: host.emails().keys() == {names["ENG-2"]})
    symphony.until(lambda: [path.name for path in symphony.workspaces.iterdir()] == ["ENG-2"])


def is_at_work(workspace: Path) -> bool:
    """Whether an agent runs in a workspace."""
    for path in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if path.readlink() == workspace:
                return True
        except OSError:
            continue  # it has ended, or is not ours to see
    return False
