"""vibe-kanban's own sequence around the recipe: a set-up per repository, expiry, archiving."""

import json
import shlex
import shutil

import pytest

from harnesses.conftest import RECIPES, Host

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
        for tree in self.trees:
            self.host.run("sh", "-c", text, cwd=tree, code=code, VK_WORKSPACE_ID=self.id)

    def turn(self, code: int = 0) -> None:
        cwd = self.trees[0] if len(self.trees) == 1 else self.path
        self.host.run(*shlex.split(OVERRIDE), cwd=cwd, code=code, VK_WORKSPACE_ID=self.id)


# crates/executors/default_profiles.json of v0.1.44: a profile replaces all of it.
DEFAULTS = {"dangerously_skip_permissions": True}


def test_the_profile_has_the_tool_s_own_defaults() -> None:
    ours = PROFILES["executors"]["CLAUDE_CODE"]["DEFAULT"]["CLAUDE_CODE"]

    assert ours.items() >= DEFAULTS.items()


@pytest.fixture
def board(host: Host) -> Host:
    shutil.copy(RECIPES / "vibe-kanban/vibe-kanban-agent", host.bin)
    host.agent("npx")
    return host


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


REAP = ("ravi-launch", "reap", "--force", "--older-than", "0s", "--worktrees")


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
    for tree in deleted.trees:
        board.git("branch", "--quiet", "-D", f"vk/{deleted.path.name}-{tree.name}")

    said = board.run(*REAP, board.repository).stdout

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

    assert board.run(*REAP, board.repository).stdout == "0 identities\n"

    board.git("worktree", "prune", cwd=other)
    board.git("branch", "--quiet", "-D", "vk/web", cwd=other)
    board.run(*REAP, board.repository)
    assert board.emails() == {}
