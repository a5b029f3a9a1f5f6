"""The ledger of a host: every line whole, whoever writes at once, and none in a repository."""

import json
import os
import stat
import threading
from pathlib import Path

import pytest

from ravi_agent.identity import Identity
from ravi_agent.workspace import ledger

URL = "https://ravi.id"


def identity(name: str) -> Identity:
    return Identity(uuid=f"uuid-{name}", name=name, email="e", phone=None, created_at="", key="k3y")


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path / "home")}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    top = tmp_path / "repository"
    (top / ".git").mkdir(parents=True)
    (top / ".git/HEAD").write_text("ref: refs/heads/main\n")
    return top


def test_writers_at_once_lose_no_line(environ: dict[str, str], repository: Path) -> None:
    barrier = threading.Barrier(16)

    def write(thread: int) -> None:
        barrier.wait()
        for number in range(20):
            ledger.note(
                environ,
                ledger.CREATE,
                identity(f"{thread}-{number}"),
                URL,
                workspace=str(repository),
            )

    threads = [threading.Thread(target=write, args=(thread,)) for thread in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    entries = ledger.read(environ)
    assert len({entry.uuid for entry in entries}) == len(entries) == 16 * 20
    assert {entry.branch for entry in entries} == {"refs/heads/main"}
    assert {entry.repository for entry in entries} == {os.path.realpath(repository / ".git")}
    assert all(entry.is_of_here(URL) for entry in entries)
    assert not entries[0].is_of_here("https://other")


def test_it_is_the_user_s_alone_and_holds_no_key(
    environ: dict[str, str], repository: Path, tmp_path: Path
) -> None:
    ledger.note(environ, ledger.ADOPT, identity("n"), URL, workspace=str(repository), run="r1")

    file = tmp_path / "home/.local/state/ravi/ledger.jsonl"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert "k3y" not in file.read_text()
    (record,) = map(json.loads, file.read_text().splitlines())
    assert {name: record[name] for name in ("action", "uuid", "name", "run")} == {
        "action": "adopt",
        "uuid": "uuid-n",
        "name": "n",
        "run": "r1",
    }
    assert list((repository / ".git").iterdir()) == [repository / ".git/HEAD"]


def test_the_state_directory_is_that_of_the_standard(tmp_path: Path) -> None:
    assert ledger.ledger_path({"XDG_STATE_HOME": "/s", "HOME": "/h"}) == "/s/ravi/ledger.jsonl"
    assert ledger.ledger_path({"XDG_STATE_HOME": "relative", "HOME": "/h"}) == (
        "/h/.local/state/ravi/ledger.jsonl"
    )
    with pytest.raises(OSError, match="HOME"):
        ledger.ledger_path({})


def test_a_use_is_written_once_and_everything_else_every_time(
    environ: dict[str, str], tmp_path: Path
) -> None:
    for _ in range(2):
        ledger.note(environ, ledger.USE, identity("n"), URL, workspace=str(tmp_path))
    ledger.note(environ, ledger.USE, identity("n"), URL, workspace=str(tmp_path / "other"))
    for _ in range(2):
        ledger.note(environ, ledger.REVOKE, identity("n"), URL)

    assert [entry.action for entry in ledger.read(environ)] == ["use", "use", "revoke", "revoke"]


def test_what_was_deleted_is_owned_no_more_until_it_is_made_again(
    environ: dict[str, str],
) -> None:
    for action in (ledger.CREATE, ledger.KEY, ledger.REVOKE):
        ledger.note(environ, action, identity("a"), URL)
    ledger.note(environ, ledger.CREATE, identity("b"), URL)
    assert [entry.name for entry in ledger.owned(environ)] == ["a", "b"]

    ledger.note(environ, ledger.DELETE, identity("a"), URL)
    assert [entry.name for entry in ledger.owned(environ)] == ["b"]

    ledger.note(environ, ledger.ADOPT, identity("a"), URL)
    assert [entry.name for entry in ledger.owned(environ)] == ["b", "a"]


@pytest.mark.parametrize(
    "line",
    [b"no JSON", b"[]", b"{}", b"\xff\xfe", b"[" * 50_000, b'{"at": 1}', b"x" * 200_000],
    ids=["text", "list", "empty", "no UTF-8", "deep", "number", "long"],
)
def test_what_is_no_entry_is_passed_over(environ: dict[str, str], line: bytes) -> None:
    ledger.note(environ, ledger.CREATE, identity("a"), URL)
    with Path(ledger.ledger_path(environ)).open("ab") as file:
        file.write(line + b"\n")
    ledger.note(environ, ledger.CREATE, identity("b"), URL)

    assert [entry.name for entry in ledger.read(environ)] == ["a", "b"]


def test_a_link_in_place_of_the_file_is_not_written_through(
    environ: dict[str, str], tmp_path: Path
) -> None:
    path = Path(ledger.ledger_path(environ))
    path.parent.mkdir(parents=True)
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    path.symlink_to(victim)

    with pytest.raises(OSError, match="symbolic links"):
        ledger.note(environ, ledger.CREATE, identity("a"), URL)
    assert victim.read_text() == "untouched"
