"""The status file: whose it is, and what is left of an earlier start."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ravi_agent import contract
from ravi_agent.container.status import is_running, read_status, status_path, write_status


def test_a_status_says_which_process_wrote_it(tmp_path: Path) -> None:
    path = str(tmp_path / "status")

    write_status(path, phase="running", uuid='a "b" \\ é', agent_pid=7)

    record = json.loads(Path(path).read_text(encoding="ascii"))
    assert (record["phase"], record["uuid"]) == ("running", 'a "b" \\ é')
    assert (record["pid"], record["agent_pid"]) == (os.getpid(), 7)
    assert is_running(record)


def written_by_another(path: Path, *, is_alive: bool) -> subprocess.Popen[str]:
    code = (
        "import sys\n"
        "from ravi_agent.container.status import write_status\n"
        "write_status(sys.argv[1], phase='running')\n"
        "print('written', flush=True)\n"
        "sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", code, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "written\n"
    if not is_alive:
        process.communicate()
    return process


def test_the_status_of_a_start_that_runs_is_left_to_it(tmp_path: Path) -> None:
    path = tmp_path / contract.STATUS_FILE
    other = written_by_another(path, is_alive=True)
    try:
        assert status_path(str(tmp_path)) is None
        assert path.exists()
    finally:
        other.communicate()


def test_the_status_of_a_start_that_is_over_is_removed(tmp_path: Path) -> None:
    path = tmp_path / contract.STATUS_FILE
    written_by_another(path, is_alive=False)

    assert status_path(str(tmp_path)) == str(path)
    assert not path.exists()


def test_a_process_of_the_same_number_is_another_one(tmp_path: Path) -> None:
    path = str(tmp_path / "status")
    write_status(path, phase="running")
    record = read_status(path)
    assert record is not None
    boot, ticks = str(record["birth"]).split("/")

    assert not is_running({**record, "birth": f"{boot}/{int(ticks) - 1}"})
    assert not is_running({**record, "birth": f"00000000-0000/{ticks}"})
    assert not is_running({**record, "birth": None, "pid": 2**22 + 1})


@pytest.mark.parametrize("kind", ["fifo", "link", "directory", "text", "list", "deep", "missing"])
def test_what_an_agent_puts_there_is_no_status_and_nobody_waits_for_it(
    tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "status"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "link":
        (tmp_path / "real").write_text('{"phase": "running"}')
        path.symlink_to(tmp_path / "real")
    elif kind == "directory":
        path.mkdir()
    elif kind != "missing":
        path.write_text({"text": "running", "list": "[]", "deep": "[" * 4096}[kind])

    assert read_status(str(path)) is None


@pytest.mark.parametrize("kind", ["fifo", "link"])
def test_what_an_agent_puts_in_the_way_of_a_status_is_replaced(tmp_path: Path, kind: str) -> None:
    path, target = tmp_path / "status", tmp_path / "target"
    target.write_text("kept")
    for name in ("status", "status.new"):
        if kind == "fifo":
            os.mkfifo(tmp_path / name)
        else:
            (tmp_path / name).symlink_to(target)

    write_status(str(path), phase="running")

    assert json.loads(path.read_text())["phase"] == "running"
    assert target.read_text() == "kept"
