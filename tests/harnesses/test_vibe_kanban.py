"""vibe-kanban's own sequence around the recipe: a set-up per repository, expiry, archiving.

Files and lines are those of 0.1.44 (4deb7ec).
"""

import json
import os
import shlex
import shutil
import signal
import subprocess
from contextlib import suppress

import pytest

from harnesses.conftest import RECIPES, Host
from harnesses.test_claude_squad import is_running, until

SETUP, ARCHIVE = [
    (RECIPES / "vibe-kanban" / name).read_text() for name in ("setup.sh", "archive.sh")
]
PROFILES = json.loads((RECIPES / "vibe-kanban/profiles.json").read_text())
OVERRIDE = PROFILES["executors"]["CLAUDE_CODE"]["DEFAULT"]["CLAUDE_CODE"]["base_command_override"]


class Workspace:
    """One of vibe-kanban's workspaces, with a worktree for each repository."""

    def __init__(self, host: Host, number: str, *repositories: str) -> None:
        self.host = host
        self.id = f"0a1b{number}"
        self.path = host.path / "worktrees" / f"{number}-slug"
        self.trees = [self.path / name for name in repositories or ("app",)]
        self.add()

    def add(self) -> None:
        for tree in self.trees:
            branch = f"vk/{self.path.name}-{tree.name}"
            add = ("git", "worktree", "add", "--quiet", "-B", branch, tree)
            self.host.git("worktree", "prune")
            self.host.run(*add)

    def script(self, text: str, code: int = 0) -> None:
        """Run one of the recipe's, in the user's shell (crates/utils/src/shell.rs:158)."""
        shell = self.host.environ["SHELL"]
        for tree in self.trees:
            self.host.run(shell, "-c", text, cwd=tree, code=code, VK_WORKSPACE_ID=self.id)

    def turn(self, code: int = 0) -> None:
        cwd = self.trees[0] if len(self.trees) == 1 else self.path
        self.host.run(*shlex.split(OVERRIDE), cwd=cwd, code=code, VK_WORKSPACE_ID=self.id)


# crates/executors/default_profiles.json of v0.1.44: a profile replaces all of it.
DEFAULTS = {"dangerously_skip_permissions": True}


def test_the_profile_has_the_tool_s_own_defaults() -> None:
    ours = PROFILES["executors"]["CLAUDE_CODE"]["DEFAULT"]["CLAUDE_CODE"]

    assert ours.items() >= DEFAULTS.items()


@pytest.fixture(params=["/bin/bash", "/bin/dash"])
def board(host: Host, request: pytest.FixtureRequest) -> Host:
    """A host whose account's key is in ravi.env, and not in vibe-kanban's environment."""
    shutil.copy(RECIPES / "vibe-kanban/vibe-kanban-agent", host.bin)
    host.agent("npx")
    settings = (RECIPES / "claude-squad/ravi.env").read_text()
    settings += f"export RAVI_API_URL={host.local.url}\n"
    (host.home / ".config/ravi.env").write_text(settings)
    host.environ = {
        name: value for name, value in host.environ.items() if not name.startswith("RAVI_")
    } | {"SHELL": request.param}
    return host


def account(host: Host) -> dict[str, str]:
    """The variables of whoever has the account's key."""
    return {"RAVI_API_URL": host.local.url, "RAVI_MANAGEMENT_KEY_FILE": str(host.key)}


@pytest.mark.parametrize("repositories", [("app",), ("app", "web")], ids=["one", "two"])
def test_a_workspace_has_one_identity_for_all_its_repositories(
    board: Host, repositories: tuple[str, ...]
) -> None:
    workspace = Workspace(board, "1", *repositories)
    workspace.script(SETUP)
    workspace.turn()
    workspace.turn()

    email = board.emails()["task-vk-0a1b1"]
    cwd = workspace.trees[0] if len(repositories) == 1 else workspace.path
    ran = [str(cwd), email, f"{workspace.path}/.ravi", "", "-y @anthropic-ai/claude-code@2.1.119"]
    assert board.runs("npx") == [ran] * 2
    assert len(board.emails()) == 1
    for tree in workspace.trees:
        board.git("add", "--all", cwd=tree)
        assert board.git("status", "--porcelain", cwd=tree) == ""

    workspace.script(ARCHIVE)
    assert board.emails() == {}
    assert not (workspace.path / ".ravi").exists()


@pytest.mark.parametrize("repositories", [("app",), ("app", "web")], ids=["one", "two"])
def test_an_expired_workspace_that_comes_back_has_its_identity(
    board: Host, repositories: tuple[str, ...]
) -> None:
    workspace = Workspace(board, "1", *repositories)
    workspace.script(SETUP)
    before = board.emails()
    shutil.rmtree(workspace.path)
    workspace.add()  # and no set-up runs

    workspace.turn()

    assert board.emails() == before
    assert board.runs("npx")[0][1] == before["task-vk-0a1b1"]


def test_discovery_runs_the_agent_as_it_is_without_the_account_s_key(board: Host) -> None:
    board.environ |= account(board)
    board.run(*shlex.split(OVERRIDE), "--version")

    assert [run[1:4] for run in board.runs("npx")] == [["", "", ""]]
    assert board.emails() == {}


def test_a_set_up_that_fails_stops_the_workspace_and_a_turn_then_starts_nothing(
    board: Host,
) -> None:
    board.key.write_text("wrong")
    workspace = Workspace(board, "1")

    workspace.script(SETUP, code=77)
    workspace.turn(code=77)

    assert board.runs("npx") == []


def test_workspaces_have_identities_of_their_own(board: Host) -> None:
    for number in "123":
        workspace = Workspace(board, number)
        workspace.script(SETUP)
        workspace.turn()

    emails = [run[1] for run in board.runs("npx")]
    assert sorted(emails) == sorted(board.emails().values())
    assert len(set(emails)) == 3


def test_the_key_may_be_in_the_environment_instead(board: Host) -> None:
    (board.home / ".config/ravi.env").unlink()
    board.environ |= account(board)
    workspace = Workspace(board, "1")

    workspace.script(SETUP)
    workspace.turn()
    ((_, email, _, key, _),) = board.runs("npx")
    workspace.script(ARCHIVE)

    assert (email.partition("@")[0], key) == ("task-vk-0a1b1", "")
    assert board.emails() == {}


# An agent that hears nothing, and a process of its own that hears nothing either.
DEAF = """#!/bin/sh
trap '' HUP INT TERM
sleep 100 &
echo $$ $! >PIDS.new
mv PIDS.new PIDS
sleep 100
"""


def test_a_stop_ends_an_agent_that_ignores_signals(board: Host) -> None:
    pids = board.path / "pids"
    board.program("npx", DEAF.replace("PIDS", str(pids)))
    workspace = Workspace(board, "1")
    agent = subprocess.Popen(
        shlex.split(OVERRIDE),
        cwd=workspace.trees[0],
        env={**board.environ, "VK_WORKSPACE_ID": workspace.id},
        stdin=subprocess.DEVNULL,
        process_group=0,
    )
    until(pids.exists)

    # crates/utils/src/process.rs:13, and its pauses
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(agent.pid, number)
        with suppress(subprocess.TimeoutExpired):
            agent.wait(timeout=2)

    until(lambda: not any(is_running(pid) for pid in pids.read_text().split()))
    assert len(board.emails()) == 1


def reap(host: Host) -> str:
    """What the user's own `reap --worktrees` says."""
    command = ("ravi-launch", "reap", "--force", "--older-than", "0s", "--worktrees")
    host.environ |= account(host)
    return host.run(*command, host.repository).stdout


@pytest.mark.parametrize("repositories", [("app",), ("app", "web")], ids=["one", "two"])
def test_a_deleted_workspace_leaves_its_identity_to_reap_and_an_expired_one_keeps_it(
    board: Host, repositories: tuple[str, ...]
) -> None:
    living, expired, deleted = (Workspace(board, number, *repositories) for number in "123")
    for workspace in (living, expired, deleted):
        workspace.script(SETUP)
        workspace.turn()
    shutil.rmtree(expired.path)
    shutil.rmtree(deleted.path)
    board.git("worktree", "prune")
    # Its dialog deletes no branch unless it is told to
    # (packages/ui/src/components/DeleteWorkspaceDialog.tsx:43).
    assert reap(board) == "0 identities\n"
    for tree in deleted.trees:
        board.git("branch", "--quiet", "-D", f"vk/{deleted.path.name}-{tree.name}")

    said = reap(board)

    assert f"of {deleted.path}\n" in said
    assert sorted(board.emails()) == ["task-vk-0a1b1", "task-vk-0a1b2"]
    expired.add()
    expired.turn()
    assert len({run[1] for run in board.runs("npx") if run[0] == board.runs("npx")[-1][0]}) == 1


def test_a_branch_in_another_repository_of_the_workspace_keeps_its_identity(board: Host) -> None:
    other = board.path / "other"
    board.git("clone", "--quiet", board.repository, other)
    workspace = Workspace(board, "1")
    board.git("worktree", "add", "--quiet", "-b", "vk/web", workspace.path / "web", cwd=other)
    workspace.trees.append(workspace.path / "web")
    workspace.script(SETUP)
    shutil.rmtree(workspace.path)
    board.git("worktree", "prune")
    board.git("branch", "--quiet", "-D", "vk/1-slug-app")

    assert reap(board) == "0 identities\n"

    board.git("worktree", "prune", cwd=other)
    board.git("branch", "--quiet", "-D", "vk/web", cwd=other)
    reap(board)
    assert board.emails() == {}
