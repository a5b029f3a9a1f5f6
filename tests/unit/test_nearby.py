"""The entrypoint around an agent on a host, in processes of their own: it loads, and no more."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import MANAGEMENT_KEY
from ravi_agent import contract
from ravi_agent.container.nearby import _nearest_workspace
from ravi_agent.errors import SettingsError
from ravi_agent.identity import Identity
from ravi_agent.local.server import LocalRavi
from ravi_agent.workspace import ledger
from ravi_agent.workspace.claim import Claim

ENTRYPOINT = Path(sys.executable).with_name("ravi-entrypoint")
SHOW = ["python3", "-c", "import json, os; print(json.dumps([os.getcwd(), dict(os.environ)]))"]


def provision(path: Path, name: str = "task-1") -> Path:
    identity = Identity(
        uuid=f"uuid-of-{name}", name=name, email="e@x", phone=None, created_at="", key="k"
    )
    with Claim(str(path)) as claim:
        assert claim.is_free()
        claim.save(identity, api_url=contract.DEFAULT_API_URL)
    return path


def entrypoint(
    directory: Path, *argv: str, stdin: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [ENTRYPOINT, *argv],
        cwd=directory,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(directory.parent / ".home"),
            **variables,
        },
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("below", [".", "src", "src/deep/er"])
def test_the_nearest_workspace_upward_is_loaded_and_the_directory_stays(
    tmp_path: Path, below: str
) -> None:
    workspace = provision(tmp_path / "outer" / "inner", "task-inner")
    provision(tmp_path / "outer", "task-outer")
    directory = workspace / below
    directory.mkdir(parents=True, exist_ok=True)

    ended = entrypoint(directory, "ravi-entrypoint", "--", *SHOW)

    assert ended.returncode == 0, ended.stderr
    cwd, environment = json.loads(ended.stdout)
    assert cwd == str(directory)
    assert environment["RAVI_CONFIG_DIR"] == f"{workspace}/.ravi"
    assert environment["RAVI_IDENTITY_NAME"] == "task-inner"
    assert [entry.name for entry in workspace.iterdir() if entry.name.startswith(".")] == [".ravi"]


def test_the_account_s_key_and_our_other_variables_do_not_reach_the_agent(tmp_path: Path) -> None:
    key_file = tmp_path / "key"
    key_file.write_text(MANAGEMENT_KEY)
    for variables in (
        {"RAVI_MANAGEMENT_KEY": MANAGEMENT_KEY, "RAVI_GRACE": "1"},
        {"RAVI_MANAGEMENT_KEY_FILE": str(key_file)},
        {"RAVI_ACCESS_TOKEN": MANAGEMENT_KEY},
    ):
        ended = entrypoint(provision(tmp_path / "w"), "--", *SHOW, **variables)

        assert ended.returncode == 0, ended.stderr
        assert not variables.keys() & json.loads(ended.stdout)[1].keys()
        assert MANAGEMENT_KEY not in ended.stdout + ended.stderr


def test_standard_input_and_output_are_the_agent_s_alone(tmp_path: Path) -> None:
    ended = entrypoint(provision(tmp_path), "--", "cat", stdin='{"id": 1}\n\0tail')

    assert (ended.returncode, ended.stdout) == (0, '{"id": 1}\n\0tail')


@pytest.mark.parametrize("there", ["nothing", "an empty one", "half of one below a whole one"])
def test_without_a_provisioned_workspace_nothing_starts_even_with_a_key(
    tmp_path: Path, local: LocalRavi, there: str
) -> None:
    directory = tmp_path / "w"
    directory.mkdir()
    if there == "an empty one":
        (directory / ".ravi").mkdir()
    elif there != "nothing":
        provision(tmp_path)
        (provision(directory) / ".ravi/identity.json").unlink()

    ended = entrypoint(
        directory,
        *("--", "echo", "ran"),
        RAVI_MANAGEMENT_KEY=MANAGEMENT_KEY,
        RAVI_API_URL=local.url,
    )

    assert (ended.returncode, ended.stdout) == (78, "")
    assert "no provisioned workspace" in ended.stderr
    assert "\n  fix: ravi-init --workspace" in ended.stderr
    assert MANAGEMENT_KEY not in ended.stderr
    assert not local.requests.entries


def test_a_link_in_place_of_the_directory_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / ".ravi").symlink_to(provision(tmp_path / "other") / ".ravi")

    ended = entrypoint(tmp_path / "w", "--", "echo", "ran")

    assert (ended.returncode, ended.stdout) == (73, "")


def test_another_name_than_the_one_asked_for_is_refused(tmp_path: Path) -> None:
    ended = entrypoint(provision(tmp_path), "--", "echo", "ran", TASK_ID="2")

    assert (ended.returncode, ended.stdout) == (73, "")
    assert "'task-1', this start asks for 'task-2'" in ended.stderr


def test_another_user_s_identity_above_is_not_used(tmp_path: Path) -> None:
    uid = os.geteuid()
    provision(tmp_path)
    if uid == 0:
        os.chown(tmp_path / ".ravi", 12345, 12345)

    with pytest.raises(SettingsError, match="belongs to uid"):
        _nearest_workspace(str(tmp_path), uid if uid == 0 else uid + 1)


def test_ensure_provisions_the_current_directory(tmp_path: Path, local: LocalRavi) -> None:
    provision(tmp_path, "task-outer")
    directory = tmp_path / "w"
    directory.mkdir()
    variables = {"RAVI_MANAGEMENT_KEY": MANAGEMENT_KEY, "RAVI_API_URL": local.url, "TASK_ID": "9"}

    ended = entrypoint(directory, "--ensure", "--", *SHOW, **variables)

    assert ended.returncode == 0, ended.stderr
    cwd, environment = json.loads(ended.stdout)
    assert (cwd, environment["RAVI_IDENTITY_NAME"]) == (str(directory), "task-9")
    assert "RAVI_MANAGEMENT_KEY" not in environment
    assert [one.name for one in local.store.identities()] == ["task-9"]


def test_two_directories_of_one_host_have_two_identities(tmp_path: Path, local: LocalRavi) -> None:
    variables = {"RAVI_MANAGEMENT_KEY": MANAGEMENT_KEY, "RAVI_API_URL": local.url}
    names = set()
    for name in ("a/feat", "b/feat", "a/feat"):
        directory = tmp_path / name
        directory.mkdir(parents=True, exist_ok=True)
        ended = entrypoint(directory, "--ensure", "--", *SHOW, HOME=str(tmp_path), **variables)
        assert ended.returncode == 0, ended.stderr
        names.add(json.loads(ended.stdout)[1]["RAVI_IDENTITY_NAME"])

    assert len(names) == 2
    assert {one.name for one in local.store.identities()} == names
    assert all(name.startswith("task-feat-") for name in names)
    recorded = {entry.path: entry.name for entry in ledger.owned({"HOME": str(tmp_path)})}
    assert recorded.keys() == {f"{tmp_path}/{name}" for name in ("a/feat", "b/feat")}


def test_a_directory_that_was_named_otherwise_keeps_its_identity(tmp_path: Path) -> None:
    ended = entrypoint(provision(tmp_path, "task-old"), "--ensure", "--", *SHOW)

    assert json.loads(ended.stdout)[1]["RAVI_IDENTITY_NAME"] == "task-old"
