"""A command whose streams are closed, as some services start theirs, does what it does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

LAUNCH = Path(sys.executable).with_name("ravi-launch")
NOWHERE = ["--host", "unix:///nonexistent"]  # which `identities` only mentions


def identities(tmp_path: Path, closed: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    return subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {closed}', "sh", LAUNCH, "identities", *NOWHERE],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_list_without_a_standard_output_is_no_bug(tmp_path: Path, closed: str) -> None:
    done = identities(tmp_path, closed)

    assert done.returncode == 0
    assert "Traceback" not in done.stderr


def test_what_is_for_standard_error_is_never_printed_to_standard_output(tmp_path: Path) -> None:
    assert "warning: nobody knows what is used" in identities(tmp_path, "").stderr

    done = identities(tmp_path, "2>&-")

    assert done.returncode == 0
    assert done.stdout.split() == ["NAME", "RUN", "AGE", "LAST", "USE", "USED", "BY", "UUID"]
