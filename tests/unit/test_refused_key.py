"""A key that was revoked elsewhere: the agent's `ravi` says so, and the next start replaces it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import MANAGEMENT_KEY
from ravi_agent.credential import Credential
from ravi_agent.local.faults import Fault
from ravi_agent.local.server import LocalRavi
from ravi_agent.service.api import RaviApi
from ravi_agent.service.revocation import revoke_keys

BIN = Path(sys.executable).parent
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    path = tmp_path / "workspace"
    path.mkdir()
    return path


@pytest.fixture
def run(local: LocalRavi, workspace: Path, tmp_path: Path) -> Run:
    def run(*words: str, code: int = 0, with_key: bool = True) -> subprocess.CompletedProcess[str]:
        environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "RAVI_API_URL": local.url}
        if with_key:
            environ["RAVI_MANAGEMENT_KEY"] = MANAGEMENT_KEY
        done = subprocess.run(
            [BIN / words[0], *words[1:]],
            cwd=workspace,
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done

    return run


INIT = ("ravi-init", "--workspace", ".", "--name", "task-1")


@pytest.fixture
def revoked(local: LocalRavi, workspace: Path, run: Run) -> str:
    """A provisioned workspace whose key has been revoked elsewhere; returns that key."""
    run(*INIT)
    (identity,) = local.store.identities()
    with RaviApi(local.url, Credential(MANAGEMENT_KEY, "test")) as api:
        (found,) = api.find_identities(identity.name, timeout_s=30)
        assert revoke_keys(api, found, timeout_s=30) == 1
    return key_in(workspace)


def key_in(workspace: Path) -> str:
    return str(json.loads((workspace / ".ravi/config.json").read_text())["identity_key"])


def test_the_agents_ravi_says_so_and_the_next_start_gets_a_new_one(
    local: LocalRavi, workspace: Path, run: Run, revoked: str
) -> None:
    said = run("ravi", "get", "email", code=77, with_key=False).stderr
    assert "this identity's key has been revoked, or has run out" in said
    assert "  fix: restart the container, or run ravi-init again, with a management key" in said

    again = run(*INIT)

    assert "getting a new one" in again.stderr
    assert key_in(workspace) != revoked
    run("ravi", "get", "email", with_key=False)
    assert len(local.store.identities()) == 1
    calls = len(local.requests.entries)
    run(*INIT, with_key=False)  # and the start after that asks nobody
    assert len(local.requests.entries) == calls


def test_without_a_management_key_the_next_start_says_what_to_do(
    workspace: Path, run: Run, revoked: str
) -> None:
    run("ravi", "get", "email", code=77, with_key=False)

    said = run(*INIT, with_key=False).stderr

    assert "has been revoked, or has run out\n  fix: mount a management key" in said
    assert key_in(workspace) == revoked


def test_a_mark_that_an_agent_forges_costs_one_question(
    local: LocalRavi, workspace: Path, run: Run
) -> None:
    run(*INIT)
    key = key_in(workspace)
    calls = len(local.requests.entries)
    (workspace / ".ravi/key-refused").touch()

    run(*INIT)
    run(*INIT)

    assert key_in(workspace) == key
    assert len(local.requests.entries) == calls + 1


def test_a_mark_while_the_service_is_away_changes_nothing(
    local: LocalRavi, workspace: Path, run: Run, revoked: str
) -> None:
    (workspace / ".ravi/key-refused").touch()
    local.faults.append(Fault(drop="before"))

    run(*INIT)

    assert key_in(workspace) == revoked
