"""`ravi-init` and `ravi-release` as a harness calls them: processes on a host, any directory."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import MANAGEMENT_KEY
from ravi_agent.local.faults import Fault
from ravi_agent.local.server import LocalRavi
from ravi_agent.workspace import ledger

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


@pytest.mark.parametrize("status", [404, 410])
def test_an_identity_that_is_gone_already_counts_as_deleted(
    environ: dict[str, str], local: LocalRavi, tmp_path: Path, status: int
) -> None:
    arguments = ("--workspace", str(tmp_path / "work"), "--name", "task-1")
    command(environ, "ravi-init", *arguments)
    uuid = local.store.identities()[0].uuid
    if status == 404:  # as the service itself says it
        local.store.delete(uuid)
    else:
        path = f"/api/identities/{uuid}/"
        local.faults.append(Fault(path=path, status=status, body={"detail": "Gone."}))

    command(environ, "ravi-release", *arguments, "--delete")

    assert not (tmp_path / "work/.ravi").exists()


def test_nothing_is_deleted_where_the_service_shows_another_identity(
    environ: dict[str, str], local: LocalRavi, tmp_path: Path
) -> None:
    arguments = ("--workspace", str(tmp_path / "work"), "--name", "task-1")
    command(environ, "ravi-init", *arguments)
    own = local.store.identities()[0]
    other = local.store.create(name="task-2", email=None, with_phone=False)
    shown = {"uuid": other.uuid, "name": "task-1", "inbox": own.email}
    path = f"/api/identities/{own.uuid}/"
    local.faults.append(Fault(method="GET", path=path, status=200, body=shown))

    done = command(environ, "ravi-release", *arguments, "--delete", code=76)

    assert f"{own.uuid} was asked for, {other.uuid} came" in done.stderr
    assert len(local.store.identities()) == 2


def test_a_refused_deletion_is_not_told_to_take_another_name(
    environ: dict[str, str], local: LocalRavi, tmp_path: Path
) -> None:
    arguments = ("--workspace", str(tmp_path / "work"), "--name", "task-1")
    command(environ, "ravi-init", *arguments)
    local.faults.append(Fault(method="DELETE", status=409))

    done = command(environ, "ravi-release", *arguments, "--delete", code=77)

    assert "RAVI_IDENTITY_NAME" not in done.stderr


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


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("ENG-12", "task-ENG-12"),
        ("a.b_c-d", "task-a.b_c-d"),
        ("feature/x", "task-feature_x--217d2bf51f16e9dc"),
        ("feature_x", "task-feature_x"),
        ("k" * 200, "task-" + "k" * 160 + "--"),
        ("it's $HOME\n", "task-it_s__HOME_--"),
    ],
)
def test_a_key_makes_the_name_and_two_keys_never_one(
    environ: dict[str, str], local: LocalRavi, tmp_path: Path, key: str, name: str
) -> None:
    arguments = ("--workspace", str(tmp_path / "work"), "--key", key)
    environ["TASK_ID"] = "of the harness"
    command(environ, "ravi-init", *arguments)
    command(environ, "ravi-init", *arguments)

    (identity,) = local.store.identities()
    assert identity.name.startswith(name)
    assert len(identity.name) - len(name) in {0, 16}
    command(environ, "ravi-release", *arguments, "--delete")
    assert local.store.identities() == []


@pytest.mark.parametrize("name", ["ravi-init", "ravi-release"])
@pytest.mark.parametrize(
    ("arguments", "cause"),
    [(("--key", ""), "would be the same"), (("--key", "k", "--name", "n"), "both --name")],
)
def test_a_key_that_says_nothing_or_too_much_is_usage(
    environ: dict[str, str], name: str, arguments: tuple[str, ...], cause: str
) -> None:
    assert cause in command(environ, name, *arguments, code=64).stderr


def test_release_lists_delete_among_its_flags(environ: dict[str, str]) -> None:
    done = subprocess.run(
        [BIN / "ravi-release", "-h"], env=environ, capture_output=True, text=True, check=True
    )

    assert "\n  --delete  " in done.stdout


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.com", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    ).stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit, which has a WORKFLOW.md."""
    top = tmp_path / "repository"
    top.mkdir()
    git(top, "init", "--quiet", "--initial-branch=main")
    (top / "WORKFLOW.md").write_text("---\ntracker: x\n---\nPrompt\n")
    git(top, "add", "--all")
    git(top, "commit", "--quiet", "--message", "one")
    return top


FILES = ("--credential-files", "lalph,sub dir/[x].env:dotenv,NEW.md:yaml-front-matter")


@pytest.mark.parametrize("kind", ["clone", "worktree"])
@pytest.mark.parametrize("options", [(), FILES], ids=["alone", "with files"])
def test_nothing_of_ours_is_for_git_to_add(
    environ: dict[str, str], repository: Path, tmp_path: Path, kind: str, options: tuple[str, ...]
) -> None:
    work = tmp_path / "work"
    if kind == "clone":
        git(tmp_path, "clone", "--quiet", str(repository), str(work))
    else:
        git(repository, "worktree", "add", "--quiet", "-b", "branch", str(work))
    before = sorted(work.iterdir())

    command(environ, "ravi-init", "--workspace", str(work), "--key", "k", *options)

    assert (work / ".lalph/ravi.json").exists() == bool(options)
    git(work, "add", "--all")
    assert git(work, "status", "--porcelain") == ""
    assert (work / ".ravi/identity.json").exists()
    command(environ, "ravi-release", "--workspace", str(work), *options)
    assert sorted(work.iterdir()) == before


def test_a_tracked_workflow_gets_its_key_and_loses_it_again(
    environ: dict[str, str], repository: Path
) -> None:
    arguments = ("--workspace", str(repository))
    option = ("--credential-files", "WORKFLOW.md:yaml-front-matter")

    command(environ, "ravi-init", *arguments, "--key", "k", *option)
    assert git(repository, "status", "--porcelain") == " M WORKFLOW.md\n"
    assert "WORKFLOW" not in (repository / ".git/info/exclude").read_text()

    command(environ, "ravi-release", *arguments, *option)
    assert git(repository, "status", "--porcelain") == ""


def test_a_credential_file_that_cannot_be_is_refused_before_an_identity_is_made(
    environ: dict[str, str], local: LocalRavi, repository: Path
) -> None:
    arguments = ("--workspace", str(repository), "--key", "k")

    done = command(
        environ, "ravi-init", *arguments, "--credential-files", "WORKFLOW.md:json", code=73
    )

    assert "git tracks it" in done.stderr
    assert local.store.identities() == []


def test_a_credential_file_is_made_again_offline(
    environ: dict[str, str], local: LocalRavi, tmp_path: Path
) -> None:
    arguments = ("--workspace", str(tmp_path / "w"), "--key", "k", "--credential-files", "lalph")
    command(environ, "ravi-init", *arguments)
    path = tmp_path / "w/.lalph/ravi.json"
    text = path.read_text()
    calls = len(local.requests.entries)

    path.unlink()
    command(environ, "ravi-init", *arguments)
    assert path.read_text() == text

    path.unlink()
    subprocess.run(
        [BIN / "ravi-entrypoint", "--", "test", "-f", ".lalph/ravi.json"],
        cwd=tmp_path / "w",
        env={**environ, "RAVI_CREDENTIAL_FILES": "lalph"},
        check=True,
        timeout=60,
    )
    assert len(local.requests.entries) == calls


# --- what an agent in the workspace may not bring about ------------------------------------------


def forge(workspace: Path, **fields: str) -> None:
    """Rewrite identity.json and config.json as the agent can."""
    for file, names in (("identity.json", ("uuid", "name")), ("config.json", ())):
        path = workspace / ".ravi" / file
        record = json.loads(path.read_text())
        record |= {name: fields[name] for name in names if name in fields}
        if file == "config.json":
            record |= {f"identity_{name}": value for name, value in fields.items()}
        path.write_text(json.dumps(record))


@pytest.mark.parametrize("is_named", [True, False], ids=["by the caller", "by its host name"])
@pytest.mark.parametrize("fields", [("uuid",), ("uuid", "name")], ids=" and ".join)
def test_a_forged_identity_of_another_agent_is_not_deleted(
    environ: dict[str, str],
    local: LocalRavi,
    tmp_path: Path,
    fields: tuple[str, ...],
    is_named: bool,
) -> None:
    victim = local.store.create(name="task-victim", email=None, with_phone=False)
    workspace = tmp_path / "work"
    arguments = ["--workspace", str(workspace), *(("--name", "task-1") if is_named else ())]
    command(environ, "ravi-init", *arguments)
    forge(workspace, **{name: str(getattr(victim, name)) for name in fields})

    done = subprocess.run(
        [BIN / "ravi-release", *arguments, "--delete"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode in {73, 77}, done.stderr
    assert victim.uuid in {one.uuid for one in local.store.identities()}


def test_a_workspace_that_this_host_has_made_is_deleted_without_a_name(
    environ: dict[str, str], local: LocalRavi, tmp_path: Path
) -> None:
    arguments = ("--workspace", str(tmp_path / "work"))
    command(environ, "ravi-init", *arguments, "--name", "task-1")

    command(environ, "ravi-release", *arguments, "--delete")

    assert local.store.identities() == []
    actions = [entry.action for entry in ledger.read(environ)]
    assert actions == ["create", "key", "delete"]


def test_a_workspace_that_nobody_here_has_made_is_deleted_by_its_name_alone(
    environ: dict[str, str], local: LocalRavi, tmp_path: Path
) -> None:
    arguments = ("--workspace", str(tmp_path / "work"))
    command(environ, "ravi-init", *arguments, "--name", "task-1")
    Path(ledger.ledger_path(environ)).unlink()

    done = command(environ, "ravi-release", *arguments, "--delete", code=77)
    fix = done.stderr.partition("  fix: ")[2].split()
    assert len(local.store.identities()) == 1

    command(environ, "ravi-release", *arguments, *[word.strip("'") for word in fix[1:]])
    assert local.store.identities() == []


def test_two_identities_of_one_name_are_not_guessed_at(
    environ: dict[str, str], local: LocalRavi, tmp_path: Path
) -> None:
    for _ in range(2):
        local.store.create(name="task-1", email=None, with_phone=False)

    done = command(
        environ,
        "ravi-release",
        "--workspace",
        str(tmp_path),
        "--name",
        "task-1",
        "--delete",
        code=77,
    )

    assert "2 identities are called task-1" in done.stderr
    assert len(local.store.identities()) == 2


# --- keys end with their use ---------------------------------------------------------------------


def keys(local: LocalRavi) -> list[str]:
    """The labels of the identity keys that are active."""
    return [str(key["label"]) for key in local.store.keys(of_identities=True).rows()]


def test_a_release_revokes_the_key_that_was_made_for_the_workspace(
    environ: dict[str, str], local: LocalRavi, tmp_path: Path
) -> None:
    arguments = ("--workspace", str(tmp_path / "work"), "--name", "task-1")
    command(environ, "ravi-init", *arguments)
    own = local.store.identities()[0]
    other = local.store.create(name="task-2", email=None, with_phone=False)
    local.store.new_key(own.uuid, "somebody's own")
    local.store.new_key(other.uuid, "task-1")

    command(environ, "ravi-release", *arguments)

    assert sorted(keys(local)) == ["somebody's own", "task-1"]
    assert [entry.action for entry in ledger.read(environ)] == ["create", "key", "revoke"]


def test_a_forged_workspace_does_not_cost_another_agent_its_key(
    environ: dict[str, str], local: LocalRavi, tmp_path: Path
) -> None:
    victim = local.store.create(name="task-victim", email=None, with_phone=False)
    local.store.new_key(victim.uuid, "task-victim")
    arguments = ("--workspace", str(tmp_path / "work"))
    command(environ, "ravi-init", *arguments, "--name", "task-1")
    forge(tmp_path / "work", uuid=victim.uuid, name="task-victim")

    command(environ, "ravi-release", *arguments)

    assert "task-victim" in keys(local)
    assert not (tmp_path / "work/.ravi").exists()


@pytest.mark.parametrize(
    "fault",
    [Fault(status=401), Fault(status=503), Fault(drop="before")],
    ids=["401", "5xx", "drop"],
)
def test_a_key_that_cannot_be_revoked_is_said_and_the_files_go(
    environ: dict[str, str], local: LocalRavi, tmp_path: Path, fault: Fault
) -> None:
    arguments = ("--workspace", str(tmp_path / "work"), "--name", "task-1")
    command(environ, "ravi-init", *arguments)
    local.faults.append(fault)

    done = command(environ, "ravi-release", *arguments)

    assert "the key of identity task-1 is not revoked" in done.stderr
    assert not (tmp_path / "work/.ravi").exists()


def test_a_release_without_a_key_of_the_account_works_offline(
    environ: dict[str, str], local: LocalRavi, tmp_path: Path
) -> None:
    arguments = ("--workspace", str(tmp_path / "work"), "--name", "task-1")
    command(environ, "ravi-init", *arguments)
    calls = len(local.requests.entries)
    del environ["RAVI_MANAGEMENT_KEY_FILE"]

    command(environ, "ravi-release", *arguments)

    assert len(local.requests.entries) == calls
    assert not (tmp_path / "work/.ravi").exists()


def names(local: LocalRavi) -> list[str]:
    return sorted(one.name for one in local.store.identities())


def test_a_key_made_of_the_workspace_ends_with_it_also_when_the_directory_is_gone(
    environ: dict[str, str], local: LocalRavi, tmp_path: Path
) -> None:
    """A harness removes the directory first, and with it what git said of the repository."""
    for path in ("a/feat", "b/feat", "c/feat"):
        (tmp_path / path / ".git").mkdir(parents=True)
        (tmp_path / path / ".git/HEAD").write_text("ref: refs/heads/main\n")
        command(environ, "ravi-init", "--workspace", str(tmp_path / path), "--key", "auto")
    assert len(names(local)) == 3

    shutil.rmtree(tmp_path / "a")
    shutil.rmtree(tmp_path / "b/feat/.ravi")
    for path in ("a/feat", "b/feat"):
        arguments = ("--workspace", str(tmp_path / path), "--key", "auto", "--delete")
        for _ in range(2):  # again changes nothing
            command(environ, "ravi-release", *arguments)

    (left,) = names(local)
    assert json.loads((tmp_path / "c/feat/.ravi/identity.json").read_text())["name"] == left


def test_without_a_ledger_the_workspace_s_own_key_still_ends_it(
    environ: dict[str, str], local: LocalRavi, tmp_path: Path
) -> None:
    arguments = ("--workspace", str(tmp_path / "w"), "--key", "auto")
    command(environ, "ravi-init", *arguments)
    shutil.rmtree(tmp_path / ".local")
    shutil.rmtree(tmp_path / "w/.ravi")

    command(environ, "ravi-release", *arguments, "--delete")

    assert names(local) == []


def test_a_workspace_named_before_keeps_its_identity_and_gives_it_back(
    environ: dict[str, str], local: LocalRavi, tmp_path: Path
) -> None:
    workspace = ("--workspace", str(tmp_path / "feat-b"))
    command(environ, "ravi-init", *workspace, "--key", "feat-b")

    command(environ, "ravi-init", *workspace, "--key", "auto")
    assert names(local) == ["task-feat-b"]

    command(environ, "ravi-release", *workspace, "--key", "auto", "--delete")
    assert names(local) == []


def test_an_identity_that_an_agent_forged_is_not_deleted_under_a_key_of_the_workspace(
    environ: dict[str, str], local: LocalRavi, tmp_path: Path
) -> None:
    victim = local.store.create(name="task-victim", email=None, with_phone=False)
    workspace = ("--workspace", str(tmp_path / "w"), "--key", "auto")
    command(environ, "ravi-init", *workspace)
    file = tmp_path / "w/.ravi/identity.json"
    record = {**json.loads(file.read_text()), "uuid": victim.uuid, "name": victim.name}
    file.write_text(json.dumps(record))

    command(environ, "ravi-release", *workspace, "--delete", code=77)

    assert "task-victim" in names(local)


def test_a_key_of_the_workspace_wins_over_names_in_the_environment(
    environ: dict[str, str], local: LocalRavi, tmp_path: Path
) -> None:
    given = {**environ, "TASK_ID": "7", "RAVI_IDENTITY_NAME": "mine", "RAVI_NAME_PREFIX": "p-"}
    command(given, "ravi-init", "--workspace", str(tmp_path / "w"), "--key", "auto")

    assert names(local)[0].startswith("p-w-")


def test_a_release_leaves_no_status_file_of_a_start_that_has_ended(
    environ: dict[str, str], tmp_path: Path
) -> None:
    workspace = tmp_path / "work"
    workspace.mkdir()
    subprocess.run(
        [str(BIN / "ravi-entrypoint"), "--ensure", "--", "true"],
        cwd=workspace,
        env=environ,
        check=True,
        timeout=60,
    )
    assert (workspace / ".ravi-status.json").exists()

    command(environ, "ravi-release", "--workspace", str(workspace))

    assert list(workspace.iterdir()) == []


def test_a_ledger_that_cannot_be_written_is_a_warning_and_the_workspace_goes(
    environ: dict[str, str], local: LocalRavi, tmp_path: Path
) -> None:
    workspace = tmp_path / "work"
    arguments = ("--workspace", str(workspace), "--name", "task-1")
    command(environ, "ravi-init", *arguments)
    (tmp_path / "state").touch()

    done = command(
        {**environ, "XDG_STATE_HOME": str(tmp_path / "state")}, "ravi-release", *arguments
    )

    assert "warning: the ledger cannot be written" in done.stderr
    assert not (workspace / ".ravi").exists()
    assert len(local.store.identities()) == 1
