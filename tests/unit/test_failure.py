"""What Kubernetes is told of a failure, and what it is not."""

import errno
import os
from pathlib import Path

import pytest

from ravi_agent import contract
from ravi_agent.container.exec_error import ExecError
from ravi_agent.container.failure import leave_termination_message, leave_with
from ravi_agent.errors import SettingsError


def test_a_failure_on_one_line_has_its_remedy() -> None:
    assert SettingsError("a", "b", "c").line("ravi-init") == "ravi-init: error: a: b; fix: c"
    assert SettingsError("a", "b").line("ravi-init") == "ravi-init: error: a: b"


def test_the_message_replaces_what_the_file_held(tmp_path: Path) -> None:
    path = tmp_path / "termination-log"
    path.write_text("something longer than what comes now")

    leave_termination_message("short", str(path))

    assert path.read_text() == "short"


def test_the_message_is_no_longer_than_kubernetes_reads(tmp_path: Path) -> None:
    path = tmp_path / "termination-log"
    path.touch()

    leave_termination_message("é" * 5000, str(path))

    assert path.stat().st_size == contract.TERMINATION_LOG_LIMIT


@pytest.mark.parametrize("kind", ["missing", "link", "directory", "pipe"])
def test_what_is_no_file_of_the_kubelets_is_left_alone(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "termination-log"
    target = tmp_path / "target"
    target.write_text("kept")
    if kind == "link":
        path.symlink_to(target)
    elif kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)

    leave_termination_message("message", str(path))

    assert target.read_text() == "kept"
    assert path.exists() is (kind != "missing")


def test_a_message_that_cannot_be_written_stops_nobody() -> None:
    leave_termination_message("message", "/dev/full")


@pytest.mark.parametrize(
    ("exc", "code", "words"),
    [
        (OSError(errno.EAGAIN, "x"), 70, "no process slot is left"),
        (RuntimeError("can't start new thread"), 70, "no process slot is left"),
        (OSError(errno.EMFILE, "x"), 70, "no descriptor is left"),
        (MemoryError(), 70, "no memory is left"),
        (OSError(errno.ENOSPC, "x", "/w/a"), 73, "/w/a: No space left on device"),
        (ExecError("its name is empty", "name it", 127), 127, "its name is empty"),
    ],
    ids=["EAGAIN", "no thread", "EMFILE", "no memory", "ENOSPC", "exec"],
)
def test_the_machines_limits_have_their_own_words_and_no_traceback(
    capfd: pytest.CaptureFixture[str], exc: Exception, code: int, words: str
) -> None:
    with pytest.raises(type(exc)) as caught:
        raise exc

    assert leave_with(caught.value, "ravi-test") == code
    lines = capfd.readouterr().err.splitlines()
    assert lines[0].startswith("ravi-test: error: ")
    assert words in lines[0]
    assert lines[1].startswith("  fix: ")
    assert len(lines) == 2
    assert "bug" not in lines[1]
