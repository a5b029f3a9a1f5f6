"""lalph 0.3.139 itself with a stand-in of GitHub or Linear, and a program as the agent.

lalph has the tracker's address built in (`src/Github.ts:70` and `src/Linear.ts:38` at ea5f004, the
default of Octokit and of Linear's SDK), so the stand-in stands behind a proxy, which Node takes
from the environment.
"""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.tls_front import TlsFront
from harnesses import linear
from harnesses.conftest import RECIPES, Host
from harnesses.github import TOKEN, GitHub
from harnesses.linear import Linear
from harnesses.test_lalph_itself import LALPH, NODE, PROJECT

# lalph runs it three times for an issue: to choose one, to work on it, and to review that. The
# first issue's worker waits for the second one's, which makes sure that they run at once; then
# each waits for the issue before, since lalph gives up where two push at the same time.
CLAUDE = """#!PYTHON
import json, os, pathlib, re, subprocess, sys, time, yaml

def until(name):
    deadline = time.monotonic() + 60
    while not (pathlib.Path("FOLDER") / name).exists():
        if time.monotonic() > deadline:
            sys.exit(name + " did not come")
        time.sleep(0.05)

def number_of(issue):  # "#1" is GitHub's first, "ENG-1" is Linear's
    return int(re.search("[0-9]+", issue["id"])[0])

lalph = pathlib.Path(".lalph")
task = lalph / "task.json"
number = 0
if "choose the next task" in sys.argv[-1]:
    role = "chooser"
    open_ones = [one for one in yaml.safe_load((lalph / "prd.yml").read_text())
                 if one.get("state", "todo") == "todo"]
    chosen = {"id": min(open_ones, key=number_of)["id"], "githubPrNumber": None}
    number = number_of(chosen)
else:
    number = number_of(json.loads(task.read_text()))
    is_done = pathlib.Path(f"file-{number}").exists()
    role = "reviewer" if is_done else "worker"
with open("FOLDER/log", "a") as log:
    who = os.environ["RAVI_EMAIL"], os.environ.get("RAVI_MANAGEMENT_KEY_FILE", "")
    log.write("|".join((str(number), role, os.getcwd(), *who)) + "\\n")
if role == "chooser":
    (lalph / "new").write_text(json.dumps(chosen))
    (lalph / "new").rename(task)
elif role == "worker":
    (pathlib.Path("FOLDER") / f"started-{number}").touch()
    until("started-2" if number == 1 else f"closed-{number - 1}")
    pathlib.Path(f"file-{number}").write_text("text\\n")
    subprocess.run(["git", "add", f"file-{number}"], check=True)
    message = f"References #{number}"
    subprocess.run(["git", "commit", "--quiet", "--message", message], check=True)
"""
GH = """#!/bin/sh
case "$1 $2" in
'repo view') echo me/repository ;;
'pr list') echo '[]' ;;
*) exit 1 ;;
esac
"""

_NONE = {"_tag": "None"}
# What lalph asks its user for, a value a file, as it writes them itself.
SETTINGS: dict[str, dict[str, Any]] = {
    "github": {
        "config/github.accessToken": {"token": TOKEN},
        "projects/p/github.projectFilter": _NONE,
        "projects/p/github.labelFilter": _NONE,
        "projects/p/github.autoMergeLabel": {"_tag": "Some", "value": "merge"},
    },
    "linear": {
        # It has expired, so lalph asks for a fresh one.
        "config/linear.accessToken": {
            "token": "lin_oauth_expired",
            "expiresAt": "2026-01-01T00:00:00.000Z",
            "refreshToken": linear.REFRESH,
        },
        "projects/p/linear.selectedProjectId": linear.PROJECT,
        "projects/p/linear.selectedTeamId": linear.TEAM,
        "projects/p/linear.selectedLabelId": _NONE,
        "projects/p/linear.selectedAutoMergeLabelId": {"_tag": "Some", "value": linear.LABEL},
    },
}


class Tracked:
    """A repository with an origin, and its project in lalph."""

    def __init__(self, host: Host, shell: str, source: str) -> None:
        self.host = host
        self.source = source
        self.folder = host.path / "notes"
        (host.path / "trees").mkdir()
        self.folder.mkdir()
        host.environ |= {"SHELL": shell, "TMPDIR": str(host.path / "trees")}
        (host.repository / "scripts").mkdir()
        shutil.copy(RECIPES / "lalph/worktree-setup.sh", host.repository / "scripts")
        (host.repository / ".gitignore").write_text(".lalph/\n")
        host.commit()
        self.origin = host.path / "origin.git"
        host.git("init", "--quiet", "--bare", "--initial-branch=main", self.origin)
        host.git("remote", "add", "origin", self.origin)
        host.git("push", "--quiet", "origin", "main")
        self._configure()
        host.program("gh", GH)
        claude = CLAUDE.replace("PYTHON", sys.executable).replace("FOLDER", str(self.folder))
        host.program("claude", claude)

    def _configure(self) -> None:
        lalph = self.host.repository / ".lalph"
        (lalph / "config").mkdir(parents=True)
        (lalph / "projects/p").mkdir(parents=True)
        shutil.copy(RECIPES / "lalph/settings.cliAgentPresets", lalph / "config")
        project = PROJECT | {
            "gitFlow": "commit",
            "concurrency": 2,
            "reviewAgent": True,
            "targetBranch": {"_tag": "Some", "value": "origin/main"},
        }
        for name, value in {
            "config/settings.issueSource": self.source,
            "config/settings.projects": [project],
            **SETTINGS[self.source],
        }.items():
            (lalph / name).write_text(json.dumps(value))

    def run(self, tracker: GitHub | Linear, iterations: int, code: int = 0) -> str:
        authority = self.host.path / "authority.pem"
        with TlsFront(tracker.host, tracker.address, "127.0.0.1", authority) as front:
            self.host.environ |= {
                "NODE_USE_ENV_PROXY": "1",
                "NODE_EXTRA_CA_CERTS": str(authority),
                "HTTPS_PROXY": front.url,
                "NO_PROXY": "127.0.0.1",
            }
            said = self.host.run(NODE, LALPH, "--iterations", str(iterations), code=code).stdout
        assert front.refused == []
        return said

    def runs(self) -> list[list[str]]:
        """What the agents have said: issue, role, directory, address, key file."""
        log = self.folder / "log"
        return [line.split("|") for line in log.read_text().splitlines()] if log.exists() else []


@pytest.fixture(params=["/bin/bash", "/bin/dash"])
def shell(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["github", "linear"])
def tracked(host: Host, shell: str, request: pytest.FixtureRequest) -> Tracked:
    return Tracked(host, shell, request.param)


@pytest.fixture
def tracker(tracked: Tracked) -> Iterator[GitHub | Linear]:
    if tracked.source == "github":
        with GitHub(range(1, 4), ["merge"], tracked.folder) as tracker:
            yield tracker
    else:
        with Linear(tracked.folder) as tracker:
            tracker.states |= {f"ENG-{number}": "Todo" for number in range(1, 4)}
            yield tracker


def test_three_issues_two_at_once_take_two_identities(
    tracked: Tracked, tracker: GitHub | Linear
) -> None:
    said = tracked.run(tracker, 3)

    assert tracker.errors == []
    assert tracker.done == 3, said
    files = tracked.host.git("ls-tree", "--name-only", "main", cwd=tracked.origin)
    assert {"file-1", "file-2", "file-3"} <= set(files.split())
    runs = tracked.runs()
    roles = sorted((issue, role) for issue, role, *_ in runs)
    assert roles == [(n, role) for n in "123" for role in ("chooser", "reviewer", "worker")]
    who = {issue: {email for n, _, _, email, _ in runs if n == issue} for issue in "123"}
    assert all(len(emails) == 1 for emails in who.values())
    assert who["1"] != who["2"]  # their workers ran at once
    assert who["1"] | who["2"] | who["3"] == set(tracked.host.emails().values())
    assert {key for *_, key in runs} == {""}
    assert not any(Path(path).exists() for _, _, path, _, _ in runs)
    assert tracked.host.local.store.keys(of_identities=True).count() == 2


def test_a_refusal_stops_lalph_and_the_issues_stay_open(
    tracked: Tracked, tracker: GitHub | Linear
) -> None:
    tracked.host.key.write_text("wrong")

    said = tracked.run(tracker, 3, code=130)

    assert "ravi-init: error: " in said
    assert tracked.runs() == []
    assert tracked.host.emails() == {}
    assert tracker.errors == []
    assert tracker.waiting == 3
    assert tracked.host.git("worktree", "list").count("\n") == 1
