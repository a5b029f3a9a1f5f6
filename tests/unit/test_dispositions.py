"""Tests see signals as a terminal's programs do, however they were started."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize("name", ["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM"])
def test_an_ignored_signal_of_the_caller_is_not_ignored_in_tests(name: str, tmp_path: Path) -> None:
    """`make test &` in a script ignores SIGINT, and `nohup make test` SIGHUP."""
    (tmp_path / "test_it.py").write_text(
        "import signal\n"
        f"def test_it():\n    assert signal.getsignal(signal.{name}) != signal.SIG_IGN\n"
    )
    number = getattr(signal, name)

    ended = subprocess.run(
        [*(sys.executable, "-m", "pytest", "-q"), *("-p", "conftest"), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        cwd=tmp_path,
        preexec_fn=lambda: signal.signal(number, signal.SIG_IGN),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert ended.returncode == 0, ended.stdout
