"""Many hooks at once in one repository: every line of the ledger is there, whole."""

import os
import threading
from pathlib import Path

from ravi_agent.identity import Identity
from ravi_agent.workspace import ledger


def identity(name: str) -> Identity:
    return Identity(uuid=f"uuid-{name}", name=name, email="e", phone=None, created_at="", key="k")


def test_writers_at_once_lose_no_line(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/HEAD").write_text("ref: refs/heads/main\n")
    barrier = threading.Barrier(16)

    def write(thread: int) -> None:
        barrier.wait()
        for number in range(20):
            ledger.note(str(tmp_path), identity(f"{thread}-{number}"), "https://ravi.id")

    threads = [threading.Thread(target=write, args=(thread,)) for thread in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    entries = ledger.read(str(tmp_path / ".git"))
    assert len({entry.uuid for entry in entries}) == len(entries) == 16 * 20
    assert {entry.branch for entry in entries} == {"refs/heads/main"}
    assert all(entry.is_of_here("https://ravi.id") for entry in entries)
    assert not entries[0].is_of_here("https://other")


def test_a_line_is_written_once_and_outside_a_repository_none(tmp_path: Path) -> None:
    ledger.note(str(tmp_path), identity("n"), "https://ravi.id")
    assert list(tmp_path.iterdir()) == []

    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/HEAD").write_text("0" * 40 + "\n")
    for _ in range(2):
        ledger.note(str(tmp_path), identity("n"), "https://ravi.id")

    (entry,) = ledger.read(str(tmp_path / ".git"))
    assert (entry.name, entry.branch, entry.path) == ("n", None, os.path.realpath(tmp_path))
