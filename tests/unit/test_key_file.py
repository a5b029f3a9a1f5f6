"""RAVI_REMOVE_KEY_FILE: the account's key is there for one start, and then for nobody."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import MANAGEMENT_KEY
from ravi_agent.local.faults import Fault
from ravi_agent.local.server import LocalRavi

BIN = Path(sys.executable).parent
Start = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "secrets/key"
    path.parent.mkdir()
    path.write_text(MANAGEMENT_KEY)
    return path


@pytest.fixture
def start(local: LocalRavi, tmp_path: Path, key: Path) -> Start:
    (tmp_path / "workspace").mkdir()

    def start(*words: str, code: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [BIN / words[0], *words[1:]],
            cwd=tmp_path / "workspace",
            env={
                "PATH": f"{BIN}:{os.environ['PATH']}",
                "HOME": str(tmp_path),
                "RAVI_API_URL": local.url,
                "RAVI_MANAGEMENT_KEY_FILE": str(key),
                "RAVI_WORKSPACE": str(tmp_path / "workspace"),
                "RAVI_AGENT_USER": "0",
                **variables,
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done

    return start


AGENT = ("ravi-entrypoint", "--", "sh", "-c", "ls $KEY 2>/dev/null; ravi get email")


@pytest.mark.parametrize("words", [AGENT, ("ravi-init",)], ids=["entrypoint", "init"])
def test_the_key_s_file_is_gone_once_the_identity_is_there(
    start: Start, key: Path, local: LocalRavi, words: tuple[str, ...]
) -> None:
    said = start(*words, RAVI_REMOVE_KEY_FILE="1", KEY=str(key))

    assert not key.exists()
    assert str(key) not in said.stdout  # before the agent's first instruction
    assert len(local.store.identities()) == 1
    start(*AGENT, RAVI_REMOVE_KEY_FILE="1")  # and no start misses it


def test_a_secret_of_kubernetes_is_a_link_and_goes_whole(start: Start, key: Path) -> None:
    data = key.parent / "..data"
    data.mkdir()
    key.rename(data / "key")
    key.symlink_to("..data/key")

    start("ravi-init", RAVI_REMOVE_KEY_FILE="1")

    assert not os.path.lexists(key)
    assert not (data / "key").exists()


def test_without_the_setting_it_stays(start: Start, key: Path) -> None:
    start(*AGENT)

    assert key.exists()


def test_where_no_identity_comes_of_it_the_key_stays(
    start: Start, key: Path, local: LocalRavi
) -> None:
    local.faults.append(Fault(drop="before"))

    start(*AGENT, RAVI_REMOVE_KEY_FILE="1", RAVI_PROVISION_TIMEOUT="1", code=69)

    assert key.exists()


def test_a_key_that_is_needed_at_the_exit_is_not_removed_and_nothing_is_paid_for(
    start: Start, key: Path, local: LocalRavi
) -> None:
    said = start(*AGENT, RAVI_REMOVE_KEY_FILE="1", RAVI_ON_EXIT="delete", code=78).stderr

    assert "RAVI_ON_EXIT=delete reads the key's file again" in said
    assert key.exists()
    assert not local.requests.entries


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")
def test_a_file_that_is_mounted_by_itself_stays_with_a_warning(start: Start, key: Path) -> None:
    mount = f"mount --bind {key} {key} && exec {BIN}/ravi-init"
    said = start_in_namespace(start, mount)

    assert f"RAVI_REMOVE_KEY_FILE=1: {key} stays: it is mounted by itself" in said
    assert key.exists()


def start_in_namespace(start: Start, script: str) -> str:
    """Standard error of a shell in a mount namespace of its own."""
    unshare = "/usr/bin/unshare"
    words = (os.path.relpath(unshare, BIN), "--mount", "sh", "-ec", script)
    return start(*words, RAVI_REMOVE_KEY_FILE="1").stderr
