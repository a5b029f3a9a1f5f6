"""Claude Squad's own sequence around the recipe, with a real git and a real tmux.

The sequence is that of 434ca25, two commits after v1.0.17; each step here names its file and line
there.
"""

import getpass
import json
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from conftest import MANAGEMENT_KEY
from harnesses.conftest import RECIPES, Host
from ravi_agent.local.faults import Fault

# Says who it is, then goes on until its terminal ends.
CLAUDE = """#!/bin/sh
echo "$PWD|$RAVI_EMAIL|$RAVI_CONFIG_DIR|${RAVI_MANAGEMENT_KEY_FILE-}|$$" >>'LOG'
while read -r line; do [ "$line" = exit ] && exit 0; done
"""


class Squad:
    """A user's sessions, in a tmux server of their own that knows nothing of Ravi."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.folder = host.home / ".claude-squad"
        self.folder.mkdir()
        self.install()
        shutil.copy(RECIPES / "claude-squad/claude-squad-agent", host.bin)
        settings = (RECIPES / "claude-squad/ravi.env").read_text()
        settings += f"export RAVI_API_URL={host.local.url}\n"
        (host.home / ".config/ravi.env").write_text(settings)
        host.program("claude", CLAUDE.replace("LOG", str(host.path / "claude.log")))
        for name in ("RAVI_API_URL", "RAVI_MANAGEMENT_KEY_FILE"):
            del host.environ[name]
        self.tmux("new-session", "-d", "-s", "keep", "cat")

    def install(self, *flags: str, code: int = 0) -> str:
        script = RECIPES / "claude-squad/install"
        return self.host.run(script, *flags, self.host.repository, code=code).stdout

    def config(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "config.json").read_text())
        return found

    def program(self) -> str:
        """What a session runs: config/config.go:52, GetProgram.

        The program of the profile that the default names, or the default itself.
        """
        config = self.config()
        profiles = {str(one["name"]): str(one["program"]) for one in config.get("profiles", [])}
        default = str(config["default_program"])
        return profiles.get(default, default)

    def tmux(self, *arguments: str, code: int | None = 0) -> str:
        socket = str(self.host.path / "tmux")
        return self.host.run("tmux", "-S", socket, "-f", "/dev/null", *arguments, code=code).stdout

    def start(self, title: str) -> Path:
        """A session as `n` makes one; its worktree.

        session/git/worktree_ops.go:92, then session/tmux/tmux.go:98.
        """
        path = self.folder / "worktrees" / f"{title}_17f3"
        self.host.git("worktree", "add", "--quiet", "-b", f"me/{title}", path, "HEAD")
        session = ("-s", f"claudesquad_{title}", "-c", str(path), self.program())
        self.tmux("new-session", "-d", *session)
        return path

    def kill(self, title: str, path: Path) -> None:
        """session/instance.go:277: tmux.go:423, then worktree_ops.go:106, 116 and 148."""
        self.tmux("kill-session", "-t", f"claudesquad_{title}")
        if path.exists():
            self.host.git("worktree", "remove", "-f", path)
        self.host.git("branch", "--quiet", "-D", f"me/{title}")
        self.host.git("worktree", "prune")

    def pause(self, path: Path) -> None:
        """session/instance.go:412: worktree_git.go:136, then worktree_ops.go:139."""
        self.host.git("add", ".", cwd=path)
        message = ("commit", "--quiet", "--no-verify", "--allow-empty", "--message", "paused")
        self.host.git(*message, cwd=path)
        self.host.git("worktree", "remove", path)

    def agents(self) -> list[list[str]]:
        return self.host.runs("claude")


@pytest.fixture
def squad(host: Host) -> Iterator[Squad]:
    squad = Squad(host)
    yield squad
    squad.tmux("kill-server", code=None)


def until(is_so: Callable[[], object]) -> None:
    """Wait for another process; a test that waits for longer than a minute has failed."""
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def started(squad: Squad, count: int) -> list[list[str]]:
    until(lambda: len(squad.agents()) == count)
    return squad.agents()


def is_running(pid: str) -> bool:
    """Whether a process is there that has not ended."""
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def wrapper_of(agent: str) -> str:
    """The recipe's program around an agent: the entrypoint's parent."""

    def parent(pid: str) -> str:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]

    return parent(parent(agent))


def test_a_session_has_its_identity_although_tmux_knows_no_setting(squad: Squad) -> None:
    path = squad.start("one")
    ((cwd, email, config, key, _),) = started(squad, 1)

    assert (cwd, config, key) == (str(path), f"{path}/.ravi", "")
    assert squad.host.emails() == {squad.host.name_of(path): email}


@pytest.mark.parametrize("shell", ["/bin/bash", "/bin/dash"])
def test_a_killed_session_s_identity_is_deleted(squad: Squad, shell: str) -> None:
    squad.tmux("set-option", "-g", "default-shell", shell)
    path = squad.start("one")
    other = squad.start("two")
    started(squad, 2)

    squad.kill("one", path)

    until(lambda: list(squad.host.emails()) == [squad.host.name_of(other)])
    assert (other / ".ravi/identity.json").exists()


def test_a_pause_keeps_the_identity_and_a_resumed_worktree_has_it_again(squad: Squad) -> None:
    path = squad.start("one")
    ((*_, agent),) = started(squad, 1)
    before = squad.host.emails()

    squad.pause(path)
    assert ".ravi" not in squad.host.git("ls-tree", "-r", "--name-only", "me/one")
    assert is_running(agent)
    squad.host.git("worktree", "add", "--quiet", path, "me/one")

    assert squad.host.emails() == before
    config = json.loads((path / ".ravi/identity.json").read_text())
    assert before == {config["name"]: config["email"]}

    squad.pause(path)
    squad.kill("one", path)  # a paused one
    until(lambda: squad.host.emails() == {})


@pytest.mark.parametrize("end", ["exit", "server"])
def test_an_agent_s_end_and_the_tmux_server_s_keep_the_identity(squad: Squad, end: str) -> None:
    path = squad.start("one")
    ((*_, agent),) = started(squad, 1)
    wrapper = wrapper_of(agent)
    before = squad.host.emails()
    if end == "server":
        squad.pause(path)

    if end == "exit":
        squad.tmux("send-keys", "-t", "claudesquad_one", "exit", "Enter")
    else:
        squad.tmux("kill-server")

    until(lambda: not is_running(wrapper))
    assert squad.host.emails() == before


def pane(squad: Squad, title: str) -> str:
    return squad.tmux("capture-pane", "-p", "-t", f"claudesquad_{title}")


def test_a_session_without_an_identity_says_so_and_tries_again(squad: Squad) -> None:
    squad.host.key.write_text("wrong")
    path = squad.start("one")
    until(lambda: "Press Enter to try again" in pane(squad, "one"))
    assert "ravi-init: error: " in pane(squad, "one")
    assert squad.agents() == []

    squad.host.key.write_text(MANAGEMENT_KEY)
    squad.tmux("send-keys", "-t", "claudesquad_one", "Enter")

    ((_, email, *_),) = started(squad, 1)
    assert squad.host.emails() == {squad.host.name_of(path): email}


def test_a_session_that_never_got_its_identity_leaves_its_title_free(squad: Squad) -> None:
    squad.host.key.write_text("wrong")
    path = squad.start("one")
    until(lambda: "Press Enter to try again" in pane(squad, "one"))
    squad.kill("one", path)
    squad.host.key.write_text(MANAGEMENT_KEY)

    squad.start("one")

    started(squad, 1)


def test_a_worktree_whose_first_try_failed_makes_one_identity(squad: Squad) -> None:
    """The service has made it and then failed; vibe-kanban, too, adds a worktree twice."""
    squad.host.local.faults.append(Fault(path="/api/auth/keys/identity/", status=403, count=1))
    path = squad.start("one")

    started(squad, 1)

    assert list(squad.host.emails()) == [squad.host.name_of(path)]
    assert (path / ".ravi/identity.json").exists()


DEFAULTS = {"auto_yes": False, "daemon_poll_interval": 1000}  # config/config.go:92


def test_a_new_configuration_has_the_tool_s_own_defaults(squad: Squad) -> None:
    config = squad.config()

    assert {name: config[name] for name in DEFAULTS} == DEFAULTS
    assert config["branch_prefix"] == f"{getpass.getuser()}/"
    assert config["profiles"][1] == {"name": "claude", "program": "claude"}


def test_what_the_user_has_set_stays_and_comes_back(squad: Squad) -> None:
    """A lost branch prefix lets a session take a branch of the user's, and a kill delete it."""
    own: dict[str, Any] = {
        "default_program": "codex",
        "auto_yes": True,
        "daemon_poll_interval": 250,
        "branch_prefix": "me/",
        "profiles": [{"name": "aider", "program": "aider --model x"}],
        "a_later_setting": 1,
    }
    squad.install("--undo")
    (squad.folder / "config.json").write_text(json.dumps(own))

    for _ in range(2):  # again changes nothing
        squad.install()
    config = squad.config()
    assert {name: config[name] for name in own if name not in {"default_program", "profiles"}} == {
        name: value for name, value in own.items() if name not in {"default_program", "profiles"}
    }
    assert [one["name"] for one in config["profiles"]] == ["ravi", "codex", "aider"]

    squad.install("--undo")
    assert squad.config() == own
    assert not (squad.host.repository / ".git/hooks/post-checkout").exists()


def test_a_hook_of_the_user_s_is_not_replaced(squad: Squad) -> None:
    squad.install("--undo")
    hook = squad.host.repository / ".git/hooks/post-checkout"
    hook.write_text("#!/bin/sh\n")

    assert "exists" in squad.install(code=1)
    assert hook.read_text() == "#!/bin/sh\n"


def test_a_checkout_of_another_kind_provisions_nothing(squad: Squad) -> None:
    host = squad.host
    host.git("checkout", "--quiet", "-b", "other")
    host.git("checkout", "--quiet", "main", "--", "file")
    host.git("clone", "--quiet", host.repository, host.path / "clone")
    path = host.path / "older"
    host.git("-c", "core.hooksPath=/dev/null", "worktree", "add", "--quiet", path)
    host.git("checkout", "--quiet", "-b", "another", cwd=path)
    host.git("checkout", "--quiet", "--", "file", cwd=path)

    assert host.emails() == {}
    assert not list(host.path.rglob("identity.json"))


def test_six_worktrees_at_once_have_six_identities(squad: Squad) -> None:
    def add(number: int) -> str:
        path = squad.folder / "worktrees" / f"s{number}_17f3"
        # The hook by itself: git cannot add two work trees at one time.
        squad.host.add_worktree("-b", f"me/s{number}", path)
        hook = squad.host.repository / ".git/hooks/post-checkout"
        squad.host.run(hook, "0" * 40, "1" * 40, "1", cwd=path)
        email: str = json.loads((path / ".ravi/identity.json").read_text())["email"]
        return email

    squad.host.git("config", "core.hooksPath", "/dev/null")
    with ThreadPoolExecutor(6) as pool:
        emails = list(pool.map(add, range(6)))

    assert sorted(emails) == sorted(squad.host.emails().values())
    assert len(set(emails)) == 6
