"""The lock that one live agent has on a workspace, and names that are only a host's."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conftest import MANAGEMENT_KEY
from ravi_agent.container.surroundings import is_mounted
from ravi_agent.local.server import LocalRavi
from ravi_agent.workspace.holder import hold

INIT = Path(sys.executable).with_name("ravi-init")
HOLD = """
import os, sys
from ravi_agent.workspace.holder import hold
taken = hold(sys.argv[1])
print(taken, flush=True)
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / ".ravi").mkdir()
    return tmp_path


@contextmanager
def held(workspace: Path, then: str = "sys.stdin.read()") -> Iterator[subprocess.Popen[str]]:
    """Another process has it, and does something."""
    process = subprocess.Popen(
        [sys.executable, "-c", f"{HOLD}{then}", str(workspace)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert ", None)" in process.stdout.readline()
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_who_comes_second_learns_the_host_of_the_first_until_that_ends(workspace: Path) -> None:
    with held(workspace):
        for _ in range(2):  # to ask does not take it away
            assert hold(str(workspace)) == (None, os.uname().nodename)

    descriptor, host = hold(str(workspace))

    assert host is None
    assert descriptor is not None
    os.close(descriptor)


def test_a_program_that_takes_the_place_of_the_holder_has_it_and_its_children_have_not(
    workspace: Path,
) -> None:
    program = "import sys; print('there', flush=True); sys.stdin.read()"
    become = (
        "os.set_inheritable(taken[0], True)\n"
        f"os.execv(sys.executable, [sys.executable, '-c', {program!r}])"
    )
    with held(workspace, become) as process:
        assert process.stdout
        assert process.stdout.readline() == "there\n"
        assert hold(str(workspace)) == (None, os.uname().nodename)

    with held(workspace, "os.fork() and os._exit(0)\nsys.stdin.read()") as process:
        process.wait(timeout=30)
        descriptor, host = hold(str(workspace))
        assert (descriptor is None, host) == (False, None)
        os.close(descriptor or -1)


@pytest.mark.parametrize(
    "text", ["", "\x1b[2J", "a b", "ravi-entrypoint: error: x", "a\nb", "\xff\xfe"], ids=repr
)
def test_what_is_no_host_name_is_not_repeated(workspace: Path, text: str) -> None:
    with held(workspace):
        (workspace / ".ravi/holder").write_text(text, encoding="latin-1")

        assert hold(str(workspace)) == (None, "?")


@pytest.mark.parametrize("trap", ["fifo", "link", "directory", "no .ravi"])
def test_what_cannot_be_locked_is_nobody_s_and_stays(workspace: Path, trap: str) -> None:
    place = workspace / ".ravi/holder"
    other = workspace / "other"
    other.write_text("untouched")
    if trap == "fifo":
        os.mkfifo(place)
    elif trap == "link":
        place.symlink_to(other)
    elif trap == "directory":
        place.mkdir()
    else:
        (workspace / ".ravi").rmdir()

    assert hold(str(workspace)) == (None, None)
    assert other.read_text() == "untouched"


def test_what_is_mounted_is_told_from_what_is_the_container_s_own() -> None:
    assert is_mounted("/proc/sys/kernel")
    assert not is_mounted("/procrastination")


# --- host names --------------------------------------------------------------------------------


def init(workspace: Path, local: LocalRavi, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [INIT, "--workspace", workspace],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(workspace.parent),
            "XDG_STATE_HOME": str(workspace.parent),
            "RAVI_API_URL": local.url,
            "RAVI_MANAGEMENT_KEY": MANAGEMENT_KEY,
            **variables,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_second_workspace_of_a_host_without_a_name_is_told_that_it_is_the_first_s(
    tmp_path: Path, local: LocalRavi
) -> None:
    first, second = init(tmp_path / "1", local), init(tmp_path / "2", local)

    assert (first.returncode, second.returncode) == (0, 0)
    assert "was there already" not in first.stderr
    assert "was there already, and this host's name is all that led to it" in second.stderr
    assert "\n  fix: set RAVI_IDENTITY_NAME" in second.stderr
    assert len(local.store.identities()) == 1


def test_a_workspace_s_own_name_is_adopted_again_without_a_word(
    tmp_path: Path, local: LocalRavi
) -> None:
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "RAVI_API_URL": local.url,
        "RAVI_MANAGEMENT_KEY": MANAGEMENT_KEY,
    }
    workspace = tmp_path / "w"
    workspace.mkdir()
    for _ in range(2):
        ended = subprocess.run(
            [INIT.with_name("ravi-entrypoint"), "--ensure", "--", "rm", "-r", ".ravi"],
            cwd=workspace,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert ended.returncode == 0, ended.stderr
        assert "was there already" not in ended.stderr

    assert len(local.store.identities()) == 1


@pytest.mark.parametrize("variable", ["RAVI_IDENTITY_NAME", "TASK_ID"])
def test_a_name_that_somebody_chose_is_adopted_without_a_word(
    tmp_path: Path, local: LocalRavi, variable: str
) -> None:
    chosen = {variable: "7"}
    init(tmp_path / "1", local, **chosen)

    assert "warning" not in init(tmp_path / "2", local, **chosen).stderr
    assert len(local.store.identities()) == 1
