"""lalph's own sequence around the recipe: a set-up whose failure it ignores, a doubled prefix."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from conftest import MANAGEMENT_KEY
from harnesses.conftest import RECIPES, Host

PREFIX = json.loads((RECIPES / "lalph/settings.cliAgentPresets").read_text())[0]["commandPrefix"]


class Iteration:
    """One of lalph's worktrees, from its creation on."""

    def __init__(self, host: Host, name: str) -> None:
        self.host = host
        self.path = host.path / name
        host.add_worktree(self.path, "-d", "HEAD")
        # Whatever it exits with is ignored.
        self.setup = host.run(self.path / "scripts/worktree-setup.sh", cwd=self.path, code=None)

    def phase(self, prefix: list[str] = PREFIX) -> int:
        """Run the agent as a phase does; the first word of the prefix is passed twice."""
        argv = [prefix[0], *prefix, "claude", "--print"]
        return self.host.run(*argv, cwd=self.path, code=None).returncode


@pytest.fixture
def lalph(host: Host) -> Host:
    (host.repository / "scripts").mkdir()
    shutil.copy(RECIPES / "lalph/worktree-setup.sh", host.repository / "scripts")
    host.commit()
    host.agent("claude")
    return host


@pytest.mark.parametrize("prefix", [PREFIX, PREFIX[1:]], ids=["with env", "without"])
def test_all_phases_of_an_iteration_have_one_identity(lalph: Host, prefix: list[str]) -> None:
    iteration = Iteration(lalph, "lalph-a1")

    assert [iteration.phase(prefix) for _ in range(3)] == [0, 0, 0]

    email = lalph.emails()[lalph.name_of(iteration.path)]
    ran = [str(iteration.path), email, f"{iteration.path}/.ravi", "", "--print"]
    assert lalph.runs("claude") == [ran] * 3
    assert len(lalph.emails()) == 1
    lalph.git("add", "--all", cwd=iteration.path)
    assert lalph.git("status", "--porcelain", cwd=iteration.path) == ""


def test_after_a_set_up_that_failed_no_agent_starts(lalph: Host) -> None:
    lalph.key.write_text("wrong")
    iteration = Iteration(lalph, "lalph-a1")
    assert iteration.setup.returncode == 77

    lalph.key.write_text(MANAGEMENT_KEY)
    assert iteration.phase() == 78

    assert lalph.runs("claude") == []
    assert lalph.emails() == {}


def test_four_iterations_at_once_have_four_identities(lalph: Host) -> None:
    def iterate(number: int) -> Path:
        iteration = Iteration(lalph, f"lalph-{number}")
        assert iteration.phase() == 0
        return iteration.path

    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(iterate, range(4)))

    ran = {path: email for path, email, *_ in lalph.runs("claude")}
    assert {str(path): lalph.emails()[lalph.name_of(path)] for path in paths} == ran
    assert len(set(ran.values())) == 4
