"""`ravi-launch reap --worktrees`: what is left over of work trees, and what is not."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from conftest import MANAGEMENT_KEY
from harnesses.conftest import Host
from ravi_agent.local.faults import Fault
from ravi_agent.workspace import ledger

REAP = ("reap", "--older-than", "0s", "--worktrees")


def add(host: Host, name: str, *options: str) -> Path:
    path = host.path / "trees" / name
    host.add_worktree(*options, path)
    host.run("ravi-init", "--workspace", str(path), "--key", name)
    return path


def reap(host: Host, *options: str, code: int = 0) -> str:
    return host.run("ravi-launch", *REAP, str(host.repository), *options, code=code).stdout


def test_only_identities_of_trees_that_are_gone_with_their_branch_are_deleted(host: Host) -> None:
    add(host, "there", "--detach")
    add(host, "paused", "-b", "b1")
    add(host, "killed", "-b", "b2")
    add(host, "deleted", "--detach")
    host.run("ravi-init", "--workspace", str(host.path / "elsewhere"), "--key", "elsewhere")
    for name in ("paused", "killed"):
        host.git("worktree", "remove", host.path / "trees" / name)
    host.git("branch", "-D", "b2")
    host.run("rm", "-rf", str(host.path / "trees/deleted"))  # and git has not noticed

    said = reap(host, "--dry-run")
    listed = [line.split()[1] for line in said.splitlines() if line.startswith("identity ")]
    assert sorted(listed) == ["task-deleted", "task-killed"]
    assert len(host.emails()) == 5

    reap(host, "--force")
    assert sorted(host.emails()) == ["task-elsewhere", "task-paused", "task-there"]
    assert reap(host, "--force") == "0 identities\n"
    names = [entry.name for entry in ledger.owned(host.environ)]
    assert sorted(names) == ["task-elsewhere", "task-paused", "task-there"]


def test_a_branch_that_was_renamed_is_the_same_branch(host: Host) -> None:
    """vibe-kanban renames one in its window, and an agent may in its work tree."""
    tree = add(host, "renamed", "-b", "first")
    host.git("branch", "-m", "first", "second")
    host.git("-C", tree, "branch", "-m", "third")
    host.git("worktree", "remove", tree)
    host.git("branch", "another")
    host.git("branch", "-m", "another", "other")

    assert reap(host, "--force") == "0 identities\n"
    assert set(host.emails()) == {"task-renamed"}

    host.git("branch", "-D", "third")
    assert reap(host, "--force").endswith("deleted 1 identities\n")
    assert not host.emails()


def test_the_ledger_has_a_line_for_each_and_no_key(host: Host) -> None:
    with ThreadPoolExecutor(6) as pool:
        paths = list(pool.map(lambda n: add(host, f"t{n}", "--detach"), range(6)))
    for path in paths:
        host.run("ravi-init", "--workspace", str(path), "--key", path.name)

    text = Path(ledger.ledger_path(host.environ)).read_text()
    records = [json.loads(line) for line in text.splitlines()]
    created = [record["path"] for record in records if record["action"] == "create"]
    assert sorted(created) == sorted(map(str, paths))
    assert {record["action"] for record in records} == {"create", "key"}
    assert {record["name"] for record in records} == set(host.emails())
    assert "ravi_id_" not in text
    assert MANAGEMENT_KEY not in text


def test_an_agent_in_a_repository_names_nothing_for_somebody_to_delete(host: Host) -> None:
    """Attack: a line in the repository, where the ledger was once, and a forged UUID in .ravi."""
    victim = host.local.store.create(name="task-victim", email=None, with_phone=False)
    path = add(host, "gone", "--detach")
    line = json.loads(Path(ledger.ledger_path(host.environ)).read_text().splitlines()[0])
    forged = {**line, "uuid": victim.uuid, "name": victim.name}
    (host.repository / ".git/ravi").mkdir()
    for name in ("worktrees.jsonl", "ledger.jsonl"):
        (host.repository / ".git/ravi" / name).write_text(json.dumps(forged) + "\n")
    record = json.loads((path / ".ravi/identity.json").read_text())
    (path / ".ravi/identity.json").write_text(json.dumps({**record, "uuid": victim.uuid}))
    host.run("ravi-init", "--workspace", str(path), "--key", "gone")
    host.git("worktree", "remove", "--force", path)

    reap(host, "--force")

    assert list(host.emails()) == ["task-victim"]


def test_a_name_outside_the_prefix_and_a_young_one_stay(host: Host) -> None:
    path = add(host, "gone", "--detach")
    host.git("worktree", "remove", path)

    assert reap(host, "--prefix", "other-", "--force") == "0 identities\n"
    assert reap(host, "--older-than", "1h", "--force") == "0 identities\n"
    assert list(host.emails()) == ["task-gone"]


def test_lines_of_another_host_and_broken_ones_are_left_alone(host: Host) -> None:
    path = add(host, "gone", "--detach")
    host.git("worktree", "remove", path)
    file = Path(ledger.ledger_path(host.environ))
    record = json.loads(file.read_text().splitlines()[0])
    text = json.dumps({**record, "host": "another"}) + "\nno JSON\n[]\n{}\n"
    file.write_text(text)

    assert reap(host, "--force") == "0 identities\n"
    assert file.read_text() == text


@pytest.mark.parametrize("status", [403, 404, 405])
def test_what_the_service_will_not_delete_is_named_and_kept(host: Host, status: int) -> None:
    path = add(host, "gone", "--detach")
    host.git("worktree", "remove", path)
    host.local.faults.append(Fault(method="DELETE", status=status))

    said = reap(host, "--force", code=1)

    (identity,) = host.local.store.identities()
    assert f"identity task-gone ({identity.uuid}) stays: " in said
    assert f"status {status}" in said
    assert "deleted 0 identities" in said
    assert len(ledger.owned(host.environ)) == 1


def test_nobody_to_ask_and_no_repository_change_nothing(host: Host) -> None:
    path = add(host, "gone", "--detach")
    host.git("worktree", "remove", path)

    assert "nobody is there to be asked" in reap(host, code=64)
    said = host.run("ravi-launch", *REAP, str(host.path / "bin"), code=64).stdout
    assert "not a git repository" in said
    assert list(host.emails()) == ["task-gone"]


def test_a_workspace_of_no_repository_is_seen_once_its_directory_is_gone(host: Host) -> None:
    """A clone that was its own repository, and a plain directory; a disk that is not mounted."""
    clone = host.path / "places/clone"
    host.git("clone", "--quiet", host.repository, clone)
    for path in (clone, host.path / "places/plain", host.path / "disk/plain"):
        path.mkdir(parents=True, exist_ok=True)
        host.run("ravi-init", "--workspace", str(path), "--key", f"{path.parent.name}-{path.name}")
    assert reap(host, "--force") == "0 identities\n"

    for path in (clone, host.path / "places/plain", host.path / "disk"):
        host.run("rm", "-rf", str(path))
    reap(host, "--force")

    assert list(host.emails()) == ["task-disk-plain"]
