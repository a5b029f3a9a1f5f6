"""`ravi` against a real local Ravi: whom it asks as, what it prints, what it refuses."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from conftest import MANAGEMENT_KEY
from ravi_agent.command.cli import as_text, ravi
from ravi_agent.command.session import Session
from ravi_agent.errors import (
    AbsentError,
    OutcomeUnknownError,
    RaviError,
    RefusedError,
    SettingsError,
    ThrottledError,
    UsageError,
    WorkspaceError,
)
from ravi_agent.identity import Identity
from ravi_agent.local.faults import Fault
from ravi_agent.local.record import Record
from ravi_agent.local.server import LocalRavi
from ravi_agent.workspace.claim import Claim

RAVI = str(Path(sys.executable).with_name("ravi"))
Call = Callable[..., Any]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "home"
    path.mkdir()
    return path


@pytest.fixture
def environ(local: LocalRavi, home: Path) -> dict[str, str]:
    return {"HOME": str(home), "RAVI_API_URL": local.url, "RAVI_MANAGEMENT_KEY": MANAGEMENT_KEY}


@pytest.fixture
def call(environ: dict[str, str], home: Path, capfd: pytest.CaptureFixture[str]) -> Call:
    """Run `ravi` with these words; what it printed, as JSON. A failure prints nothing."""

    def call(*words: str, directory: Path = home, **variables: str | None) -> Any:
        merged = {**environ, **variables}
        given = {name: value for name, value in merged.items() if value is not None}
        try:
            code = ravi(list(words), given, str(directory))
        except RaviError as exc:
            printed = capfd.readouterr().out
            if printed or MANAGEMENT_KEY in f"{exc}{exc.fix}":
                pytest.fail(f"{exc}, and standard output has {printed!r}")
            raise
        assert code == 0
        return json.loads(capfd.readouterr().out)

    return call


def write_config(workspace: Path, **config: str) -> Path:
    folder = workspace / ".ravi"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def provision(workspace: Path, local: LocalRavi, name: str) -> Record:
    """A workspace as `ravi-init` leaves it."""
    record = local.store.create(name=name, email=None, with_phone=True)
    identity = Identity(
        uuid=record.uuid,
        name=record.name,
        email=record.email,
        phone=record.phone,
        created_at=record.created_dt,
        key=local.store.mint_key(record.uuid, "test"),
    )
    with Claim(str(workspace)) as claim:
        assert claim.is_free()
        claim.save(identity, api_url=local.url)
    return record


# --- identities --------------------------------------------------------------------------------


def test_an_identity_is_created_and_listed_as_the_service_has_it(call: Call) -> None:
    created = call("identity", "create", "--name", "task-1", "--email", "anna", "--provision-phone")

    assert set(created) == {"uuid", "name", "inbox", "phone", "created_dt", "updated_dt"}
    assert (created["name"], created["inbox"]) == ("task-1", "anna@ravi-local.test")
    assert created["phone"].startswith("+1555")
    assert call("identity", "list") == [created]


def test_no_phone_is_bought_unasked(call: Call) -> None:
    assert call("identity", "create", "--name", "task-1")["phone"] == ""


@pytest.mark.parametrize(
    "fault",
    [
        Fault(method="POST", status=503),
        Fault(method="POST", status=503, commit=True),
        Fault(method="POST", drop="after"),
        Fault(method="POST", status=201, body="no JSON"),
    ],
    ids=["5xx", "5xx after commit", "dropped after commit", "no JSON"],
)
def test_a_creation_of_unclear_outcome_is_one_request_and_says_so(
    call: Call, local: LocalRavi, fault: Fault
) -> None:
    local.faults.append(fault)

    with pytest.raises(RaviError, match="'task-1' may have been created") as caught:
        call("identity", "create", "--name", "task-1")

    assert "ravi identity list" in str(caught.value.fix)
    assert [entry["method"] for entry in local.requests.entries] == ["POST"]


def test_a_throttled_creation_is_one_request(call: Call, local: LocalRavi) -> None:
    local.faults.append(Fault(status=429, headers={"retry-after": "1"}))

    with pytest.raises(ThrottledError) as caught:
        call("identity", "create", "--name", "task-1")

    assert "not created" in str(caught.value.fix)
    assert len(local.requests.entries) == 1


def test_a_phone_that_is_refused_says_how_to_go_without(call: Call, local: LocalRavi) -> None:
    local.faults.append(Fault(status=402, body={"detail": "Subscription needed."}))

    with pytest.raises(RefusedError, match=r"Subscription needed\.") as caught:
        call("identity", "create", "--name", "task-1", "--provision-phone")

    assert "leave out --provision-phone" in str(caught.value.fix)


def test_use_is_refused_with_what_to_do_instead(call: Call, local: LocalRavi, home: Path) -> None:
    with pytest.raises(UsageError, match="one file for all agents") as caught:
        call("identity", "use", "some-uuid")

    assert "RAVI_CONFIG_DIR=" in str(caught.value.fix)
    assert not local.requests.entries
    assert list(home.iterdir()) == []


# --- what one identity has ---------------------------------------------------------------------


def test_a_provisioned_workspace_needs_no_account(
    call: Call, local: LocalRavi, tmp_path: Path
) -> None:
    own = provision(tmp_path / "a", local, "task-a")
    provision(tmp_path / "b", local, "task-b")
    alone: dict[str, Any] = {
        "RAVI_MANAGEMENT_KEY": None,
        "RAVI_API_URL": None,
        "RAVI_CONFIG_DIR": str(tmp_path / "a/.ravi"),
    }

    assert call("get", "email", **alone)["email"] == own.email
    assert call("get", "phone", **alone)["phone_number"] == own.phone
    assert set(call("get", "owner", **alone)) == {"first_name", "last_name"}


def test_a_config_written_by_hand_borrows_the_account(
    call: Call, local: LocalRavi, tmp_path: Path
) -> None:
    created = call("identity", "create", "--name", "task-1")
    call("identity", "create", "--name", "task-2")
    folder = write_config(tmp_path / "w", identity_uuid=created["uuid"])

    email = call("get", "email", "--json", RAVI_CONFIG_DIR=str(folder))

    assert email["email"] == created["inbox"]
    assert set(email) == {"id", "email", "created_dt"}
    assert [path.name for path in folder.iterdir()] == ["config.json"]


@pytest.mark.parametrize("kept", ["config.json", "auth.json"])
def test_the_account_is_that_of_the_home(call: Call, home: Path, tmp_path: Path, kept: str) -> None:
    created = call("identity", "create", "--name", "task-1")
    folder = write_config(tmp_path / "w", identity_uuid=created["uuid"])
    (home / ".ravi").mkdir()
    field = "management_key" if kept == "config.json" else "access_token"
    (home / ".ravi" / kept).write_text(json.dumps({field: MANAGEMENT_KEY}))

    email = call("get", "email", RAVI_CONFIG_DIR=str(folder), RAVI_MANAGEMENT_KEY=None)

    assert email["email"] == created["inbox"]


def test_an_identity_without_a_phone_is_1_and_says_so(call: Call, tmp_path: Path) -> None:
    created = call("identity", "create", "--name", "task-1")
    folder = write_config(tmp_path / "w", identity_uuid=created["uuid"])

    with pytest.raises(AbsentError, match="no phone number") as caught:
        call("get", "phone", RAVI_CONFIG_DIR=str(folder))

    assert caught.value.exit_code == 1


def test_a_key_that_no_longer_opens_says_how_to_get_another(
    call: Call, local: LocalRavi, tmp_path: Path
) -> None:
    folder = write_config(tmp_path / "w", identity_uuid="u", identity_key="ravi_id_old")

    with pytest.raises(RefusedError, match="401") as caught:
        call("get", "email", RAVI_CONFIG_DIR=str(folder))

    assert "ravi-init" in str(caught.value.fix)
    assert "ravi_id_old" not in f"{caught.value}{caught.value.fix}"


# --- which configuration -----------------------------------------------------------------------


def test_the_nearest_configuration_upwards_is_used(
    call: Call, local: LocalRavi, tmp_path: Path
) -> None:
    outer = provision(tmp_path / "w", local, "outer")
    inner = provision(tmp_path / "w/project/inner", local, "inner")
    (tmp_path / "w/project/.ravi").mkdir()  # without a config.json
    deep = tmp_path / "w/project/inner/src/deep"
    deep.mkdir(parents=True)
    alone: dict[str, Any] = {"RAVI_MANAGEMENT_KEY": None}

    assert call("get", "email", directory=deep, **alone)["email"] == inner.email
    assert call("get", "email", directory=deep.parents[2], **alone)["email"] == outer.email


def test_the_variable_wins_over_the_directory_and_the_home(
    call: Call, local: LocalRavi, home: Path, tmp_path: Path
) -> None:
    chosen = provision(tmp_path / "chosen", local, "chosen")
    provision(tmp_path / "here", local, "here")
    at_home = provision(home, local, "home")

    variable = {"RAVI_CONFIG_DIR": str(tmp_path / "chosen/.ravi")}
    assert call("get", "email", directory=tmp_path / "here", **variable)["email"] == chosen.email
    assert call("get", "email", directory=tmp_path)["email"] == at_home.email


def test_the_variable_may_be_relative_to_the_directory(
    call: Call, local: LocalRavi, tmp_path: Path
) -> None:
    own = provision(tmp_path / "w", local, "own")

    email = call("get", "email", directory=tmp_path, RAVI_CONFIG_DIR="w/../w/.ravi")

    assert email["email"] == own.email


def test_a_directory_that_was_removed_is_no_obstacle(
    environ: dict[str, str], tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()

    ended = subprocess.run(
        ["sh", "-c", f'rmdir "$PWD" && exec {RAVI} identity list'],
        cwd=gone,
        env={**environ, "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "[]\n", "")


def test_the_accounts_key_does_not_go_where_a_file_says(
    call: Call, local: LocalRavi, tmp_path: Path
) -> None:
    folder = write_config(tmp_path / "w", identity_uuid="u")
    (folder / "identity.json").write_text(json.dumps({"api_url": local.url}))
    found: dict[str, Any] = {"directory": tmp_path / "w", "RAVI_API_URL": None}
    named: dict[str, Any] = {"RAVI_CONFIG_DIR": str(folder), "RAVI_API_URL": None}

    for words in (["identity", "list"], ["get", "email"]):
        for given in (found, named):
            with pytest.raises(SettingsError, match="sent to a service that nobody here has named"):
                call(*words, **given)
    assert not local.requests.entries
    assert call("identity", "list", RAVI_CONFIG_DIR=str(folder)) == []


def test_a_directory_that_came_with_a_repository_is_not_used(
    call: Call, local: LocalRavi, tmp_path: Path
) -> None:
    provision(tmp_path, local, "planted")
    for words in (["init", "-q"], ["add", "-f", ".ravi"]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    (tmp_path / "src").mkdir()

    with pytest.raises(WorkspaceError, match="git tracks it"):
        call("get", "email", directory=tmp_path / "src")
    assert call("get", "email", RAVI_CONFIG_DIR=str(tmp_path / ".ravi"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
@pytest.mark.parametrize(
    ("given_away", "why"), [(".ravi", "belongs to uid 4711"), (".git", "Permission denied")]
)
def test_a_directory_that_may_be_somebody_elses_is_not_used(
    environ: dict[str, str], given_away: str, why: str
) -> None:
    with TemporaryDirectory() as top:
        Path(top).chmod(0o755)
        folder = write_config(Path(top), identity_uuid="u")
        subprocess.run(["git", "-C", top, "init", "-q"], check=True)
        (Path(top) / ".git/index").touch(0o600)
        os.chown(folder, 4711 if given_away == ".ravi" else 65534, -1)
        os.seteuid(65534)
        try:
            with pytest.raises(WorkspaceError, match=why):
                Session(environ, top)
        finally:
            os.seteuid(0)
        assert Session(environ, top).identity_uuid == "u"  # root may


def test_without_an_identity_it_says_where_it_looked(call: Call, home: Path) -> None:
    with pytest.raises(SettingsError, match=f"{home}/.ravi/config.json names none"):
        call("get", "email")


def test_without_a_key_it_says_how_to_give_one(call: Call) -> None:
    with pytest.raises(SettingsError, match="no management key"):
        call("identity", "list", RAVI_MANAGEMENT_KEY=None)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("[]", "not a JSON object"),
        ("{", "not a JSON object"),
        ("[" * 100_000, "not a JSON object"),
        ('{"identity_uuid": "../identities"}', "not a UUID"),
        ('{"identity_uuid": "ä"}', "not a UUID"),
        ('{"identity_key": "a b"}', "look like a key"),
    ],
    ids=["a list", "half an object", "deep", "a path", "not ASCII", "a key with a space"],
)
def test_a_config_that_makes_no_sense_is_refused(
    call: Call, local: LocalRavi, tmp_path: Path, content: str, why: str
) -> None:
    folder = write_config(tmp_path / "w")
    (folder / "config.json").write_text(content)

    with pytest.raises(SettingsError, match=why):
        call("get", "email", RAVI_CONFIG_DIR=str(folder))
    assert not local.requests.entries


def test_a_service_that_is_public_gets_no_key_over_http(call: Call) -> None:
    with pytest.raises(SettingsError, match="show the key on the way"):
        call("identity", "list", RAVI_API_URL="http://ravi.id")


def test_the_status_names_the_source_and_never_the_key(
    call: Call, local: LocalRavi, tmp_path: Path
) -> None:
    own = provision(tmp_path / "w", local, "task-1")

    status = call("auth", "status", directory=tmp_path / "w")

    assert status == {
        "authenticated": True,
        "config_dir": str(tmp_path / "w/.ravi"),
        "identity": "task-1",
        "identity_uuid": own.uuid,
        "source": str(tmp_path / "w/.ravi/config.json"),
        "api_url": local.url,
    }
    assert call("auth", "status", RAVI_MANAGEMENT_KEY=None)["authenticated"] is False
    assert not local.requests.entries


# --- the command line --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ["--json", "identity", "list"],
        ["identity", "--json", "list"],
        ["identity", "list", "--json"],
        ["--json", "identity", "list", "--json"],
    ],
    ids=" ".join,
)
def test_json_may_be_asked_for_anywhere(call: Call, words: list[str]) -> None:
    assert call(*words) == []


@pytest.mark.parametrize("before", [True, False], ids=["before", "behind"])
def test_people_get_text(
    call: Call,
    environ: dict[str, str],
    home: Path,
    capfd: pytest.CaptureFixture[str],
    before: bool,
) -> None:
    call("identity", "create", "--name", "task-1")
    words = ["identity", "list"]

    ravi(["--human", *words] if before else [*words, "--human"], environ, str(home))

    lines = capfd.readouterr().out.splitlines()
    assert "name: task-1" in lines
    assert "inbox: task-1@ravi-local.test" in lines
    assert "phone: " in lines


def test_a_mail_cannot_steer_the_terminal() -> None:
    assert as_text([{"subject": "a\x1b[2Jb\x9bc", "body": "one\ntwo"}]) == (
        "subject: a\ufffd[2Jb\ufffdc\nbody: \n  one\n  two"
    )


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["get", "passport"],
        ["get", "email", "--nonsense"],
        ["get", "email", "one too many"],
        ["--nonsense"],
        ["identity", "--unread"],
        ["email", "compose", "--to"],
        ["inbox", "list", "--unread=perhaps"],
        ["identity", "create", "--name", " "],
        ["identity", "create", "--name", "a\nb"],
        ["identity", "create", "--nam", "abbreviated"],
        ["inbox", "email", ".."],
        ["message", "email", ""],
        ["message", "email", "--to", "a@b", "--subject", "s"],
        ["message", "email", "7", "--to", "a@b", "--subject", "s", "--body", "b"],
        ["message", "email", "--cc", "a@b"],
        ["email", "compose", "--to", "a@b"],
    ],
    ids=" ".join,
)
def test_a_command_line_that_makes_no_sense_asks_nobody(
    call: Call, local: LocalRavi, words: list[str]
) -> None:
    with pytest.raises(UsageError):
        call(*words)
    assert not local.requests.entries


def test_an_id_is_one_part_of_the_path(call: Call, local: LocalRavi, tmp_path: Path) -> None:
    folder = write_config(tmp_path / "w", identity_uuid=provision(tmp_path, local, "one").uuid)

    with pytest.raises(AbsentError, match="404") as caught:
        call("message", "sms", "7?is_read=false", RAVI_CONFIG_DIR=str(folder))

    assert caught.value.exit_code == 1
    assert local.requests.entries[-1]["path"] == "/api/messages/7?is_read=false/"
    assert "without an id" in str(caught.value.fix)


def test_a_failure_is_on_standard_error_alone(environ: dict[str, str], local: LocalRavi) -> None:
    local.faults.append(Fault(status=500))

    ended = subprocess.run(
        [RAVI, "identity", "list"], env=environ, capture_output=True, text=True, check=False
    )

    assert ended.returncode == OutcomeUnknownError.exit_code
    assert ended.stdout == ""
    assert ended.stderr.startswith("ravi: error: GET ")
    assert "Traceback" not in ended.stderr


def test_whoever_stops_reading_ends_it_quietly(environ: dict[str, str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)

    ended = subprocess.run(
        [RAVI, "identity", "list"],
        env=environ,
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writing)

    assert (ended.returncode, ended.stderr) == (-signal.SIGPIPE, b"")


def test_an_answer_that_cannot_be_written_is_said(environ: dict[str, str]) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [RAVI, "identity", "list"],
            env=environ,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert ended.returncode == WorkspaceError.exit_code
    assert "the call itself was made" in ended.stderr


def test_an_argument_that_is_no_text_is_a_mistake_and_sends_nothing(
    environ: dict[str, str], local: LocalRavi
) -> None:
    ended = subprocess.run(
        [RAVI, "email", "compose", "--to", "a@b.example", "--subject", "s", "--body", b"\xe9"],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 64, ended.stderr
    assert "is no UTF-8 text" in ended.stderr
    assert list(local.requests.entries) == []
