"""The skill file of coding agents: put where they look, and never over somebody's own."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import MANAGEMENT_KEY
from ravi_agent.errors import SettingsError
from ravi_agent.local.server import LocalRavi
from ravi_agent.log import Log
from ravi_agent.settings import Settings
from ravi_agent.workspace import skill_files
from ravi_agent.workspace.skill_files import SkillFiles, content

BIN = Path(sys.executable).parent
CLAUDE = ".claude/skills/ravi-inbox/SKILL.md"
CODEX = ".agents/skills/ravi-inbox/SKILL.md"
CURSOR = ".cursor/skills/ravi-inbox/SKILL.md"
SOURCE = Path(skill_files.__file__).with_name("SKILL.md")


@pytest.fixture
def skills(tmp_path: Path, log: Log) -> SkillFiles:
    return SkillFiles(str(tmp_path), [CLAUDE, CODEX], log)


def test_each_tool_has_its_place() -> None:
    assert Settings({}).skill_files == []
    assert Settings({"RAVI_SKILL": "codex, claude,codex,"}).skill_files == [CODEX, CLAUDE]
    assert Settings({"RAVI_SKILL": "cursor"}).skill_files == [CURSOR]


def test_another_tool_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(SettingsError, match="'emacs' is none of claude, codex, cursor"):
        Settings({"RAVI_SKILL": "claude,emacs"})


def test_a_copy_is_a_skill_that_says_what_it_is(tmp_path: Path, skills: SkillFiles) -> None:
    assert skills.stale() == [CLAUDE, CODEX]
    skills.write()

    text = (tmp_path / CLAUDE).read_text()
    assert text == (tmp_path / CODEX).read_text() == content()
    assert text.startswith(SOURCE.read_text())
    assert text.startswith("---\nname: ravi-inbox\ndescription: ")
    assert (tmp_path / CLAUDE).stat().st_mode & 0o777 == 0o644
    assert skills.stale() == []
    assert sorted(os.listdir(tmp_path)) == [".agents", ".claude"]


def test_a_copy_of_an_earlier_version_is_replaced_and_an_edited_one_stays(
    tmp_path: Path, skills: SkillFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = tmp_path / "earlier.md"
    earlier.write_text(SOURCE.read_text() + "One thing less.\n")
    with monkeypatch.context() as patch:
        patch.setattr(skill_files, "_SOURCE", str(earlier))
        skills.write()
    edited = (tmp_path / CODEX).read_text().replace("One thing", "Something of mine")
    (tmp_path / CODEX).write_text(edited)

    assert skills.stale() == [CLAUDE]
    skills.write()
    assert (tmp_path / CLAUDE).read_text() == content()
    assert (tmp_path / CODEX).read_text() == edited

    skills.remove()
    assert not (tmp_path / ".claude").exists()
    assert (tmp_path / CODEX).read_text() == edited


def test_a_skill_of_somebody_else_stays(tmp_path: Path, skills: SkillFiles) -> None:
    (tmp_path / CLAUDE).parent.mkdir(parents=True)
    (tmp_path / CLAUDE).write_text("mine")

    assert skills.stale() == [CODEX]
    skills.remove()

    assert (tmp_path / CLAUDE).read_text() == "mine"


@pytest.mark.parametrize("link", [".claude", ".claude/skills", str(Path(CLAUDE).parent), CLAUDE])
def test_nothing_is_written_or_removed_through_a_link(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], skills: SkillFiles, link: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "skills/ravi-inbox").mkdir(parents=True)
    (tmp_path / link).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / link).symlink_to(elsewhere / "target" if link == CLAUDE else elsewhere)

    assert skills.stale() == [CODEX]
    skills.write()
    skills.remove()

    assert [path.name for path in elsewhere.rglob("*")] == ["skills", "ravi-inbox"]
    assert (tmp_path / link).is_symlink()
    said = capfd.readouterr().err
    assert f"warning: skill file {tmp_path / CLAUDE} is left as it is: a symbolic link" in said
    assert said.count("or unset RAVI_SKILL") == 1


# --- as a harness and a container ask for it ------------------------------------------------------


@pytest.fixture
def environ(local: LocalRavi, tmp_path: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path / "home"),
        "RAVI_API_URL": local.url,
        "RAVI_MANAGEMENT_KEY": MANAGEMENT_KEY,
    }


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = tmp_path / "repository"
    subprocess.run(["git", "init", "--quiet", path], check=True, timeout=60)
    return path


def run(environ: dict[str, str], program: str, *arguments: str, cwd: Path) -> str:
    """What a program says on standard error; it has to succeed."""
    done = subprocess.run(
        [BIN / program, *arguments],
        cwd=cwd,
        env=environ,
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def status(repository: Path) -> str:
    command = ["git", "-C", str(repository), "status", "--porcelain", "--untracked-files=all"]
    done = subprocess.run(command, capture_output=True, check=True, text=True, timeout=60)
    return done.stdout


def test_git_sees_nothing_of_it(environ: dict[str, str], repository: Path) -> None:
    init = ("--workspace", str(repository), "--name", "k", "--skill", "claude,codex,cursor")
    run(environ, "ravi-init", *init, cwd=repository)

    for path in (CLAUDE, CODEX, CURSOR):
        assert (repository / path).read_text() == content()
    assert status(repository) == ""

    run(environ, "ravi-release", *init, cwd=repository)
    assert os.listdir(repository) == [".git"]


def test_a_skill_that_git_tracks_is_the_repositorys(
    environ: dict[str, str], repository: Path
) -> None:
    (repository / CLAUDE).parent.mkdir(parents=True)
    (repository / CLAUDE).write_text("ours")
    subprocess.run(["git", "-C", repository, "add", CLAUDE], check=True, timeout=60)
    (repository / CLAUDE).unlink()

    init = ("--workspace", str(repository), "--name", "k", "--skill", "claude")
    run(environ, "ravi-init", *init, cwd=repository)

    assert not (repository / CLAUDE).exists()


def test_a_workspace_that_is_provisioned_gets_it_at_the_next_start(
    environ: dict[str, str], local: LocalRavi, repository: Path
) -> None:
    run(environ, "ravi-init", "--workspace", str(repository), "--name", "k", cwd=repository)
    assert not (repository / CLAUDE).exists()
    calls = len(local.requests.entries)

    environ["RAVI_SKILL"] = "claude"
    run(environ, "ravi-entrypoint", "--", "test", "-f", CLAUDE, cwd=repository)

    assert len(local.requests.entries) == calls


def test_a_workspace_that_another_start_holds_is_a_warning(
    environ: dict[str, str], repository: Path
) -> None:
    run(environ, "ravi-init", "--workspace", str(repository), "--name", "k", cwd=repository)
    folder = os.open(repository, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        environ |= {"RAVI_SKILL": "claude", "RAVI_PROVISION_TIMEOUT": "0.2"}

        said = run(environ, "ravi-entrypoint", "--", "true", cwd=repository)
    finally:
        os.close(folder)

    assert "warning: the skill file is missing: " in said
    assert not (repository / CLAUDE).exists()
