"""`ravi-init` and `ravi-release` as a harness calls them: processes on a host, any directory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import MANAGEMENT_KEY
from ravi_agent.local.faults import Fault
from ravi_agent.local.server import LocalRavi

BIN = Path(sys.executable).parent


@pytest.fixture
def environ(local: LocalRavi, tmp_path: Path) -> dict[str, str]:
    key = tmp_path / "key"
    key.write_text(MANAGEMENT_KEY)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "RAVI_API_URL": local.url,
        "RAVI_MANAGEMENT_KEY_FILE": str(key),
    }


def command(
    environ: dict[str, str], name: str, *arguments: str, code: int = 0
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(BIN / name), *arguments],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    return done


def test_a_second_init_makes_no_call_and_a_release_leaves_nothing(
    environ: dict[str, str], local: LocalRavi, tmp_path: Path
) -> None:
    workspace = tmp_path / "work"
    arguments = ("--workspace", str(workspace), "--name", "task-1")
    command(environ, "ravi-init", *arguments)
    calls = len(local.requests.entries)

    command(environ, "ravi-init", *arguments)
    assert len(local.requests.entries) == calls
    assert not (tmp_path / ".ravi").exists()  # the home is everybody's

    command(environ, "ravi-release", *arguments)
    assert list(workspace.iterdir()) == []
    command(environ, "ravi-release", *arguments)
    assert len(local.store.identities()) == 1


@pytest.mark.parametrize("is_provisioned", [True, False], ids=["by its files", "by its name"])
def test_a_release_deletes_the_identity_where_that_is_asked_for(
    environ: dict[str, str], local: LocalRavi, tmp_path: Path, is_provisioned: bool
) -> None:
    arguments = ("--workspace", str(tmp_path / "work"), "--name", "task-1")
    command(environ, "ravi-init", *arguments)
    if not is_provisioned:
        command(environ, "ravi-release", *arguments)

    command(environ, "ravi-release", *arguments, "--delete")

    assert local.store.identities() == []
    command(environ, "ravi-release", *arguments, "--delete")


@pytest.mark.parametrize("status", [403, 404, 405])
def test_what_the_service_will_not_delete_is_named_and_kept(
    environ: dict[str, str], local: LocalRavi, tmp_path: Path, status: int
) -> None:
    arguments = ("--workspace", str(tmp_path / "work"), "--name", "task-1")
    command(environ, "ravi-init", *arguments)
    local.faults.append(Fault(method="DELETE", status=status))

    done = command(environ, "ravi-release", *arguments, "--delete", code=77)

    identity = local.store.identities()[0]
    assert f"identity task-1 ({identity.uuid}) stays" in done.stderr
    assert (tmp_path / "work/.ravi/identity.json").exists()


def test_an_identity_that_is_gone_already_counts_as_deleted(
    environ: dict[str, str], local: LocalRavi, tmp_path: Path
) -> None:
    arguments = ("--workspace", str(tmp_path / "work"), "--name", "task-1")
    command(environ, "ravi-init", *arguments)
    local.store.delete(local.store.identities()[0].uuid)

    command(environ, "ravi-release", *arguments, "--delete")

    assert not (tmp_path / "work/.ravi").exists()


@pytest.mark.parametrize(
    ("name", "arguments", "cause"),
    [
        ("ravi-init", ("--wrong",), "unrecognized arguments"),
        ("ravi-release", ("--workspace",), "expected one argument"),
        ("ravi-init", ("--management-key", "k"), "unrecognized arguments"),
    ],
)
def test_a_wrong_command_line_is_usage(
    environ: dict[str, str], name: str, arguments: tuple[str, ...], cause: str
) -> None:
    done = command(environ, name, *arguments, code=64)

    assert cause in done.stderr
    assert f"  fix: {name} -h" in done.stderr
