"""What the commands of the image do where nobody takes their answer."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import MANAGEMENT_KEY
from ravi_agent.errors import WorkspaceError

COMMANDS = [
    ("ravi-entrypoint", "--help"),
    ("ravi-entrypoint", "--version"),
    ("ravi-entrypoint", "--check"),
    ("ravi-whoami",),
    ("ravi-init", "--harness", "claude-code", "--print"),
]


def run(
    words: tuple[str, ...], tmp_path: Path, redirection: str, *descriptors: int
) -> subprocess.CompletedProcess[str]:
    (tmp_path / "identity.json").write_text("{}")
    program = str(Path(sys.executable).with_name(words[0]))
    return subprocess.run(
        ["bash", "-c", f'exec "$@" {redirection}', "bash", program, *words[1:]],
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "RAVI_WORKSPACE": str(tmp_path),
            "RAVI_CONFIG_DIR": str(tmp_path),
            "RAVI_AGENT_USER": "0",
            "RAVI_MANAGEMENT_KEY": MANAGEMENT_KEY,
            "RAVI_API_URL": "http://127.0.0.1:9",
        },
        pass_fds=descriptors,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_full_disk_is_said_with_a_remedy(words: tuple[str, ...], tmp_path: Path) -> None:
    ended = run(words, tmp_path, ">/dev/full")

    assert ended.returncode == WorkspaceError.exit_code, ended.stderr
    assert f"{words[0]}: error: standard output: No space left on device" in ended.stderr
    assert "fix: free some space" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "Exception" not in ended.stderr


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_whoever_stops_reading_ends_it_quietly(words: tuple[str, ...], tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)

    ended = run(words, tmp_path, f">&{writing}", writing)
    os.close(writing)

    assert (ended.returncode, ended.stderr) == (-signal.SIGPIPE, "")


@pytest.mark.parametrize("words", COMMANDS[:3], ids=" ".join)
def test_a_closed_standard_output_is_no_obstacle(words: tuple[str, ...], tmp_path: Path) -> None:
    ended = run(words, tmp_path, ">&-")

    assert ended.returncode == (1 if words[-1] == "--check" else 0), ended.stderr
    assert ended.stderr == ""
