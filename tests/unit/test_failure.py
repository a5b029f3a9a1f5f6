"""What Kubernetes is told of a failure, and what it is not."""

import os
from pathlib import Path

import pytest

from ravi_agent import contract
from ravi_agent.container.failure import leave_termination_message
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
