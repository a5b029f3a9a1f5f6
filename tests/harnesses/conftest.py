"""A host that harnesses run on: a home, our commands on PATH, a repository, a local Ravi."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import MANAGEMENT_KEY
from ravi_agent.local.server import LocalRavi
from ravi_agent.workspace.key import workspace_key

RECIPES = Path(__file__).parents[2] / "images" / "harnesses"
BIN = Path(sys.executable).parent
GLOBAL_CONFIG = '{"management_key": "ravi_mgmt_GLOBAL_PLANTED"}'


class Host:
    """One user's machine; `environ` is what a harness has, the account's key included."""

    def __init__(self, local: LocalRavi, path: Path) -> None:
        self.local = local
        self.path = path
        self._adding = threading.Lock()
        self.home = path / "home"
        self.bin = path / "bin"
        self.repository = path / "repository"
        for folder in (self.home / ".ravi", self.home / ".config", self.bin, self.repository):
            folder.mkdir(parents=True)
        self.key = self.home / ".config" / "ravi_management_key"
        self.key.write_text(MANAGEMENT_KEY)
        (self.home / ".ravi" / "config.json").write_text(GLOBAL_CONFIG)
        search = f"{self.bin}:{BIN}:{os.environ['PATH']}"
        # Login shells begin with the system's own PATH.
        (self.home / ".profile").write_text(f"PATH='{search}'; export PATH\n")
        self.environ = {
            "PATH": search,
            "HOME": str(self.home),
            "LC_ALL": "C.UTF-8",
            "GIT_CONFIG_NOSYSTEM": "1",
            "RAVI_API_URL": local.url,
            "RAVI_MANAGEMENT_KEY_FILE": str(self.key),
        }
        (self.home / ".gitconfig").write_text("[user]\nname = t\nemail = t@example.com\n")
        self.git("init", "--quiet", "--initial-branch=main")
        (self.repository / "file").write_text("text\n")
        self.commit()

    def program(self, name: str, text: str) -> None:
        """Put a program on PATH."""
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)

    def agent(self, name: str) -> None:
        """Put an agent on PATH that appends to `<name>.log` who it is, a line each run."""
        log = self.path / f"{name}.log"
        self.program(
            name,
            "#!/bin/sh\n"
            f'echo "$PWD|$RAVI_EMAIL|$RAVI_CONFIG_DIR|${{RAVI_MANAGEMENT_KEY_FILE-}}|$*" >>{log}\n',
        )

    def runs(self, name: str) -> list[list[str]]:
        """What that agent has said: directory, email, `.ravi`, key file, arguments."""
        log = self.path / f"{name}.log"
        return [line.split("|") for line in log.read_text().splitlines()] if log.exists() else []

    def run(
        self,
        *argv: str | Path,
        cwd: Path | None = None,
        code: int | None = 0,
        stdin: str = "",
        **variables: str,
    ) -> subprocess.CompletedProcess[str]:
        """Run to the end, standard error into standard output as some harnesses do."""
        done = subprocess.run(
            argv,
            cwd=cwd or self.repository,
            env={**self.environ, **variables},
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=100,
            check=False,
        )
        assert code is None or done.returncode == code, done.stdout
        assert MANAGEMENT_KEY not in done.stdout
        return done

    def git(self, *arguments: str | Path, cwd: Path | None = None) -> str:
        return self.run("git", *arguments, cwd=cwd).stdout

    def add_worktree(self, *arguments: str | Path) -> None:
        """`git worktree add`, one at a time: git trips over another that is half made."""
        with self._adding:
            self.git("worktree", "add", "--quiet", *arguments)

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "commit")

    def name_of(self, workspace: Path) -> str:
        """The name that `--key auto` gives; of a work tree only while that is there."""
        return f"task-{workspace_key(str(workspace))}"

    def emails(self) -> dict[str, str]:
        """Names of the account's identities and their addresses."""
        return {one.name: one.email for one in self.local.store.identities()}


@pytest.fixture
def host(local: LocalRavi, tmp_path: Path) -> Host:
    return Host(local, tmp_path)


@pytest.fixture(autouse=True)
def _the_user_s_own_identity_stays(host: Host) -> Iterator[None]:
    """Nothing writes the global `~/.ravi`, which parallel agents would share."""
    folder = host.home / ".ravi"
    times = [path.stat().st_mtime_ns for path in (folder, folder / "config.json")]
    yield
    assert [path.name for path in folder.iterdir()] == ["config.json"]
    assert (folder / "config.json").read_text() == GLOBAL_CONFIG
    assert [path.stat().st_mtime_ns for path in (folder, folder / "config.json")] == times
