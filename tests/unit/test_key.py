"""The key of a workspace: no other has it, people can read it, and it stays."""

import os
import re
import shutil
from pathlib import Path

import pytest

from ravi_agent.workspace import key
from ravi_agent.workspace.key import workspace_key
from unit.test_worktree import git, init


def repository(path: Path) -> Path:
    init(path)
    git(path, "commit", "--quiet", "--allow-empty", "--message", "first")
    return path


def worktree(top: Path, path: Path) -> Path:
    git(top, "worktree", "add", "--quiet", "--detach", str(path))
    return path


def test_work_trees_of_one_name_have_keys_of_their_own_that_people_can_read(
    tmp_path: Path,
) -> None:
    trees = [
        worktree(repository(tmp_path / user / "app"), tmp_path / user / place / "feat-b")
        for user in ("a", "b")
        for place in ("x",)
    ]
    trees.append(worktree(tmp_path / "a/app", tmp_path / "a/y/feat-b"))

    keys = [workspace_key(str(tree)) for tree in trees]

    assert len(set(keys)) == 3
    assert all(re.fullmatch("app-feat-b-[0-9a-f]{12}", one) for one in keys)


def test_a_directory_that_is_made_again_has_its_key_again(tmp_path: Path) -> None:
    top = repository(tmp_path / "app")
    clone = tmp_path / "ENG-12"
    git(tmp_path, "clone", "--quiet", str(top), str(clone))
    before = workspace_key(str(clone))
    shutil.rmtree(clone)
    git(tmp_path, "clone", "--quiet", str(top), str(clone))

    (tmp_path / "link").symlink_to(clone)
    assert workspace_key(str(clone)) == workspace_key(str(tmp_path / "link")) == before
    assert re.fullmatch("ENG-12-[0-9a-f]{12}", before)


def test_a_path_that_another_repository_has_taken_over_has_another_key(tmp_path: Path) -> None:
    path = tmp_path / "feat"
    keys = []
    for name in ("one", "two"):
        keys.append(workspace_key(str(worktree(repository(tmp_path / name), path))))
        git(tmp_path / name, "worktree", "remove", str(path))

    assert [one[:9] for one in keys] == ["one-feat-", "two-feat-"]
    assert keys[0][9:] != keys[1][9:]


def test_a_bare_repository_and_a_plain_directory_have_one(tmp_path: Path) -> None:
    top = repository(tmp_path / "app")
    git(tmp_path, "clone", "--quiet", "--bare", str(top), "bare.git")
    tree = worktree(tmp_path / "bare.git", tmp_path / "t")

    assert re.fullmatch("bare-t-[0-9a-f]{12}", workspace_key(str(tree)))
    assert re.fullmatch("plain-[0-9a-f]{12}", workspace_key(str(tmp_path / "plain")))
    assert re.fullmatch("[0-9a-f]{12}", workspace_key("/"))


def test_any_directory_s_name_gives_a_name_that_a_service_takes(tmp_path: Path) -> None:
    for name in ("it's $(me) / ".replace("/", "\n"), "ü" * 100, "x" * 255):
        path = tmp_path / name
        path.mkdir()
        assert re.fullmatch(r"[\w.-]{1,48}-[0-9a-f]{12}", workspace_key(str(path)), re.ASCII)


def test_machines_differ_and_one_without_an_id_has_its_host_s_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "machine-id"
    monkeypatch.setattr(key, "_MACHINE_ID", str(file))
    keys = []
    for text in (None, "", "one\n", "two\n"):
        if text is not None:
            file.write_text(text)
        keys.append(workspace_key(str(tmp_path)))

    assert keys[0] == keys[1]
    assert len(set(keys)) == 3
    assert os.uname().nodename not in keys[0]
