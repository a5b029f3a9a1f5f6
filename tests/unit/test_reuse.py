"""`ravi-init --reuse`: which identities a work tree takes over, and which stay whose they are."""

import json
import shutil
import threading
from pathlib import Path

import pytest

from ravi_agent.local.faults import Fault
from ravi_agent.local.server import LocalRavi
from ravi_agent.workspace import ledger
from ravi_agent.workspace.reuse import take_over
from unit.test_key import repository, worktree
from unit.test_release import command, environ, names
from unit.test_worktree import git

__all__ = ["environ"]  # the host of `ravi-init`
URL = "https://ravi.id"


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path)}


def note(home: dict[str, str], tree: Path, name_: str, **fields: str | None) -> None:
    entry = ledger.entry_of("create", name_, URL, uuid=f"uuid-{name_}", workspace=str(tree))
    for field, value in fields.items():
        setattr(entry, field, value)
    ledger.append(home, entry)


def taken(home: dict[str, str], tree: Path) -> str | None:
    entry = take_over(home, str(tree), URL, "task-")
    return entry.name if entry else None


def test_an_identity_whose_tree_is_gone_is_taken_once(home: dict[str, str], tmp_path: Path) -> None:
    top = repository(tmp_path / "app")
    note(home, worktree(top, tmp_path / "one"), "task-1")
    here = worktree(top, tmp_path / "two")
    assert taken(home, here) is None  # its tree is there

    git(top, "worktree", "remove", str(tmp_path / "one"))

    assert taken(home, here) == "task-1"
    assert taken(home, worktree(top, tmp_path / "three")) is None
    shutil.rmtree(here)
    assert taken(home, tmp_path / "three") == "task-1"


@pytest.mark.parametrize(
    "fields",
    [
        {"branch": "refs/heads/b"},
        {"host": "another"},
        {"api_url": "https://ravi.example"},
        {"repository": "/another/.git"},
        {"path": "/"},
        {"name": "other-1"},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_what_could_come_back_or_is_somebody_else_s_stays(
    home: dict[str, str], tmp_path: Path, fields: dict[str, str]
) -> None:
    top = repository(tmp_path / "app")
    note(home, top, "task-1", **{"branch": None, "path": str(tmp_path / "gone")} | fields)

    assert taken(home, worktree(top, tmp_path / "two")) is None


def test_outside_a_repository_nothing_is_taken(home: dict[str, str], tmp_path: Path) -> None:
    note(home, tmp_path / "gone", "task-1")

    assert taken(home, tmp_path) is None


def test_trees_at_once_take_one_each(home: dict[str, str], tmp_path: Path) -> None:
    top = repository(tmp_path / "app")
    for number in range(4):
        note(home, top, f"task-{number}", branch=None, path=str(tmp_path / f"gone{number}"))
    trees = [worktree(top, tmp_path / f"new{number}") for number in range(8)]
    barrier = threading.Barrier(8)
    found: list[str | None] = []

    def take(tree: Path) -> None:
        barrier.wait()
        found.append(taken(home, tree))

    threads = [threading.Thread(target=take, args=(tree,)) for tree in trees]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(name for name in found if name) == [f"task-{number}" for number in range(4)]


def reusing(environ: dict[str, str], tree: Path, code: int = 0) -> dict[str, str]:
    command(environ, "ravi-init", "--workspace", str(tree), "--key", "auto", "--reuse", code=code)
    found: dict[str, str] = json.loads((tree / ".ravi/identity.json").read_text())
    return found


def test_the_keys_of_the_tree_that_is_gone_are_revoked(
    environ: dict[str, str], local: LocalRavi, tmp_path: Path
) -> None:
    top = repository(tmp_path / "app")
    uuids = set()
    for number in range(3):
        tree = worktree(top, tmp_path / f"t{number}")
        uuids.add(reusing(environ, tree)["uuid"])
        git(top, "worktree", "remove", "--force", str(tree))

    assert len(uuids) == len(names(local)) == 1
    assert local.store.keys(of_identities=True).count() == 1


def test_keys_that_cannot_be_revoked_do_not_stop_a_tree(
    environ: dict[str, str], local: LocalRavi, tmp_path: Path
) -> None:
    top = repository(tmp_path / "app")
    reusing(environ, worktree(top, tmp_path / "one"))
    git(top, "worktree", "remove", "--force", str(tmp_path / "one"))
    local.faults.append(Fault(method="DELETE", status=403))

    reusing(environ, worktree(top, tmp_path / "two"))

    assert len(names(local)) == 1


def test_an_identity_that_was_deleted_elsewhere_is_made_again(
    environ: dict[str, str], local: LocalRavi, tmp_path: Path
) -> None:
    top = repository(tmp_path / "app")
    first = reusing(environ, worktree(top, tmp_path / "one"))
    git(top, "worktree", "remove", "--force", str(tmp_path / "one"))
    local.store.delete(first["uuid"])

    second = reusing(environ, worktree(top, tmp_path / "two"))

    assert second["name"] == first["name"]
    assert names(local) == [first["name"]]
