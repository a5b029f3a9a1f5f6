"""`ravi-init` where nobody names a workspace."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import MANAGEMENT_KEY
from ravi_agent import contract
from ravi_agent.local.server import LocalRavi


@pytest.mark.skipif(os.path.isdir(contract.DEFAULT_WORKSPACE), reason="a dev container has it")
def test_the_workspace_of_the_image_is_not_made_on_a_host(local: LocalRavi, tmp_path: Path) -> None:
    ended = subprocess.run(
        [str(Path(sys.executable).with_name("ravi-init"))],
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "RAVI_API_URL": local.url,
            "RAVI_MANAGEMENT_KEY": MANAGEMENT_KEY,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 64, ended.stderr
    assert 'fix: ravi-init --workspace "$PWD"' in ended.stderr
    assert not os.path.exists(contract.DEFAULT_WORKSPACE)
    assert local.store.identities() == []


@pytest.mark.parametrize("name", ["ravi-init", "ravi-release"])
def test_a_current_directory_that_is_gone_is_said_and_no_bug(
    local: LocalRavi, tmp_path: Path, name: str
) -> None:
    (tmp_path / "gone").mkdir()
    program = str(Path(sys.executable).with_name(name))

    ended = subprocess.run(
        ["bash", "-c", 'cd gone && rmdir ../gone && exec "$1" --workspace .', "bash", program],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "RAVI_API_URL": local.url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 78, ended.stderr
    assert f"{name}: error: no workspace: the current directory has been removed" in ended.stderr
