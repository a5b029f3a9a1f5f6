"""The commands of `ravi` about what an identity has and does, against a local Ravi."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ravi_agent
from conftest import MANAGEMENT_KEY
from ravi_agent.command.cli import ravi
from ravi_agent.command.session import Session
from ravi_agent.command.table import TABLE
from ravi_agent.errors import (
    AbsentError,
    OutcomeUnknownError,
    RaviError,
    RefusedError,
    UsageError,
)
from ravi_agent.local.faults import Fault
from ravi_agent.local.record import Record
from ravi_agent.local.server import LocalRavi

RAVI = str(Path(sys.executable).with_name("ravi"))
Call = Callable[..., Any]


@pytest.fixture
def own(local: LocalRavi) -> Record:
    return local.store.create(name="agent", email=None, with_phone=True)


@pytest.fixture
def other(local: LocalRavi) -> Record:
    return local.store.create(name="other", email=None, with_phone=True)


@pytest.fixture
def environ(local: LocalRavi, own: Record, tmp_path: Path) -> dict[str, str]:
    """An agent with the key of its own identity, and no other."""
    key = local.store.mint_key(own.uuid, "test")
    config = {"identity_uuid": own.uuid, "identity_name": "agent", "identity_key": key}
    folder = tmp_path / ".ravi"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    return {"HOME": str(tmp_path), "RAVI_API_URL": local.url, "RAVI_CONFIG_DIR": str(folder)}


@pytest.fixture
def call(environ: dict[str, str], capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Call:
    def call(*words: str, **variables: str) -> Any:
        capfd.readouterr()
        try:
            assert ravi(list(words), {**environ, **variables}, str(tmp_path)) == 0
        except RaviError:
            assert capfd.readouterr().out == ""
            raise
        return json.loads(capfd.readouterr().out)

    return call


def posts(local: LocalRavi) -> list[str]:
    return [str(one["path"]) for one in local.requests.entries if one["method"] == "POST"]


# --- credentials and contacts ------------------------------------------------------------------


@pytest.mark.parametrize("word", ["update", "edit"])
def test_passwords(call: Call, word: str) -> None:
    made = call("passwords", "create", "shop.example", "--length", "20", "--no-special")
    assert (made["domain"], len(made["password"]), made["notes"]) == ("shop.example", 20, "")
    assert made["password"].isalnum()
    assert call("passwords", "get", made["uuid"])["password"] == made["password"]
    assert [one["uuid"] for one in call("passwords", "list")] == [made["uuid"]]

    changed = call("passwords", word, made["uuid"], "--username", "ada", "--notes", "")
    assert (changed["username"], changed["password"]) == ("ada", made["password"])
    assert call("passwords", "delete", made["uuid"]) == {"status": "deleted"}
    assert call("passwords", "list") == []
    with pytest.raises(AbsentError) as caught:
        call("passwords", "get", made["uuid"])
    assert caught.value.exit_code == 1


def test_a_password_that_is_given_is_kept(call: Call, local: LocalRavi) -> None:
    kept = call("passwords", "create", "shop.example", "--password=-x=1", "--username", "ada")

    assert (kept["password"], kept["username"]) == ("-x=1", "ada")
    assert len(call("passwords", "generate")["password"]) == 16
    assert posts(local) == ["/api/passwords/"]


@pytest.mark.parametrize("topic", ["secrets", "vault"])
def test_secrets_by_either_name(call: Call, topic: str) -> None:
    made = call(topic, "set", "API_KEY", "one")
    changed = call(topic, "set", "API_KEY", "two")
    call(topic, "set", "API_KEY_2", "three")

    assert (changed["uuid"], changed["value"]) == (made["uuid"], "two")
    assert call(topic, "get", "API_KEY")["value"] == "two"
    assert {one["key"] for one in call(topic, "list")} == {"API_KEY", "API_KEY_2"}
    with pytest.raises(AbsentError, match="'API_K'"):
        call(topic, "get", "API_K")
    assert call(topic, "delete", made["uuid"]) == {"status": "deleted"}


def test_contacts(call: Call) -> None:
    made = call("contacts", "create", "--email", "ada@example.com", "--display-name", "Ada L.")
    call("contacts", "create", "--phone", "+15551230000", "--trusted")
    uuid = made["uuid"]

    assert (made["display_name"], made["is_trusted"], made["phone_number"]) == ("Ada L.", False, "")
    assert call("contacts", "update", uuid, "--trusted")["is_trusted"] is True
    assert call("contacts", "update", uuid, "--trusted=false")["is_trusted"] is False
    assert call("contacts", "find", "--email", "ada@example.com")["uuid"] == uuid
    assert [one["uuid"] for one in call("contacts", "search", "ada")] == [uuid]
    assert call("contacts", "get", uuid)["email"] == "ada@example.com"
    assert len(call("contacts", "list")) == 2
    assert call("contacts", "delete", uuid) == {"status": "deleted"}
    with pytest.raises(AbsentError):
        call("contacts", "find", "--email", "ada@example.com")


def test_domains_and_a_token_for_a_third_party(call: Call) -> None:
    assert call("domains")[0]["domain"] == "ravi-local.test"
    assert call("sso", "token")["token"].startswith("rvt_")


# --- sending -----------------------------------------------------------------------------------


def test_a_mail_is_answered_and_passed_on_with_attachments(
    call: Call, own: Record, other: Record, tmp_path: Path
) -> None:
    for name in ("a.txt", "b,c.txt"):
        (tmp_path / name).write_text(name)
    files = [f"--attach={tmp_path}/a.txt", f"--attach={tmp_path}/b,c.txt"]
    first = call(
        *("email", "compose", "--to", other.email, "--subject", "Hi", "--body", "<b>1</b>"),
        *("--cc", f"{own.email}, x@example.com", *files),
    )
    assert [one["filename"] for one in first["attachments"]] == ["a.txt", "b,c.txt"]
    received = next(one for one in call("message", "email") if one["direction"] == "incoming")

    answer = call("email", "reply", str(received["id"]), "--body", "2", "--subject", "Re: Hi")
    everyone = call("email", "reply-all", str(received["id"]), "--body", "3")
    passed = call("email", "forward", str(received["id"]), "--to", other.email, "--body", "4")

    assert {answer["direction"], everyone["direction"]} == {"outgoing"}
    assert {answer["subject"], everyone["subject"]} == {"Re: Hi"}
    assert (passed["to_email"], passed["direction"]) == (other.email, "outgoing")


def test_the_older_form_of_sending_a_mail(call: Call, other: Record) -> None:
    sent = call("message", "email", "--to", other.email, "--subject", "s", "--body", "-b", "--json")

    assert (sent["to_email"], sent["text_content"]) == (other.email, "-b")


@pytest.mark.parametrize("topic", ["message", "sms"])
def test_an_sms_is_sent(call: Call, other: Record, topic: str) -> None:
    sent = call(topic, "send", "--to", other.phone, "--body", "May I go on?")

    assert (sent["to_number"], sent["body"]) == (other.phone, "May I go on?")


def test_feedback_is_a_mail_to_the_team(call: Call) -> None:
    sent = call("feedback", "a < b", "--subject", "Praise")

    assert (sent["to_email"], sent["subject"]) == ("feedback@ravi.id", "Praise")
    assert sent["text_content"] == "a < b"


@pytest.mark.parametrize(
    "words",
    [
        ("email", "compose", "--to", "a@b.example", "--subject", "s", "--body", "b"),
        ("email", "reply", "1", "--body", "b"),
        ("message", "send", "--to", "+15551234567", "--body", "b"),
    ],
    ids=["compose", "reply", "sms"],
)
def test_what_may_have_been_sent_is_not_sent_again(
    call: Call, local: LocalRavi, words: tuple[str, ...]
) -> None:
    local.faults.append(Fault(method="POST", drop="after"))

    with pytest.raises(OutcomeUnknownError, match="may have been sent") as caught:
        call(*words)

    assert "only if it is not there" in str(caught.value.fix)
    assert len(posts(local)) == 1


def test_attachments_are_all_checked_before_anything_is_sent(
    call: Call, local: LocalRavi, tmp_path: Path
) -> None:
    (tmp_path / "good").write_text("good")
    (tmp_path / "big").write_bytes(b"x" * (10 * 1024 * 1024 + 1))
    compose = ("email", "compose", "--to", "a@b.example", "--subject", "s", "--body", "b")

    for bad, why in (
        ("missing", "No such file"),
        ("big", "10485761 bytes"),
        (".ravi", "not a file"),
    ):
        with pytest.raises(UsageError, match=why):
            call(*compose, f"--attach={tmp_path}/good", f"--attach={tmp_path}/{bad}")
    assert posts(local) == []


@pytest.mark.parametrize(
    ("upload_url", "why"),
    [("file:///etc/passwd", "takes no upload"), ("http://[bad", "upload to ")],
)
def test_an_attachment_goes_to_no_file_and_to_no_url_that_makes_no_sense(
    call: Call, local: LocalRavi, tmp_path: Path, upload_url: str, why: str
) -> None:
    (tmp_path / "a.txt").write_text("a")
    place: dict[str, object] = {"uuid": "u", "upload_url": upload_url}
    local.faults.append(Fault(path="/api/email-attachments/presign/", status=200, body=place))

    with pytest.raises(RaviError, match=why):
        call(
            *("email", "compose", "--to", "a@b.example", "--subject", "s", "--body", "b"),
            f"--attach={tmp_path}/a.txt",
        )
    assert posts(local) == ["/api/email-attachments/presign/"]


def test_an_inbox_of_another_shape_does_not_keep_a_mail_from_being_sent(
    call: Call, local: LocalRavi, other: Record
) -> None:
    local.faults.append(Fault(path="/api/email/", status=200, body=[None]))

    call("email", "compose", "--to", other.email, "--subject", "s", "--body", "b")

    assert len(posts(local)) == 1


# --- identities --------------------------------------------------------------------------------


def test_an_agent_sees_itself_and_nobody_else(call: Call, own: Record, other: Record) -> None:
    shown = call("identity", "show")

    assert (shown["uuid"], shown["name"], shown["inbox"]) == (own.uuid, "agent", own.email)
    assert [one["uuid"] for one in call("identity", "list")] == [own.uuid]


def test_the_account_shows_and_deletes_by_name(
    call: Call, local: LocalRavi, own: Record, other: Record
) -> None:
    account = {"RAVI_MANAGEMENT_KEY": MANAGEMENT_KEY}

    assert call("identity", "show", "--name", "other", **account)["uuid"] == other.uuid
    deleted = call("identity", "delete", "--name", "other", "--yes", **account)

    assert deleted == {"status": "deleted", "uuid": other.uuid, "name": "other"}
    assert [one.uuid for one in local.store.identities()] == [own.uuid]
    with pytest.raises(AbsentError, match="'other'"):
        call("identity", "delete", "--name", "other", "--yes", **account)


def test_nothing_is_deleted_unasked_or_for_two_of_a_name(
    call: Call, local: LocalRavi, own: Record
) -> None:
    twin = local.store.create(name="agent", email=None, with_phone=False)
    account = {"RAVI_MANAGEMENT_KEY": MANAGEMENT_KEY}

    with pytest.raises(UsageError, match=twin.uuid):
        call("identity", "delete", "--name", "agent", "--yes", **account)
    with pytest.raises(UsageError, match="give --name or --uuid"):
        call("identity", "delete", "--yes", **account)
    ended = subprocess.run(
        [RAVI, "identity", "delete", "--uuid", own.uuid],
        env={**os.environ, "RAVI_API_URL": local.url, **account},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 64
    assert "not a terminal" in ended.stderr
    assert len(local.store.identities()) == 2


@pytest.mark.parametrize(("typed", "left"), [(b"n\n", 1), (b"\n", 1), (b"yes\n", 0)])
def test_a_person_is_asked(
    environ: dict[str, str], local: LocalRavi, own: Record, typed: bytes, left: int
) -> None:
    leader, follower = pty.openpty()
    os.write(leader, typed)

    ended = subprocess.run(
        [RAVI, "identity", "delete", "--uuid", own.uuid],
        env={**os.environ, **environ, "RAVI_MANAGEMENT_KEY": MANAGEMENT_KEY},
        stdin=follower,
        capture_output=True,
        text=True,
        check=False,
    )
    os.close(leader)
    os.close(follower)

    assert f"Delete identity 'agent' ({own.uuid}, {own.email})?" in ended.stderr
    assert "cannot be undone" in ended.stderr
    assert len(local.store.identities()) == left
    assert ended.returncode == (64 if left else 0)


@pytest.mark.parametrize("status", [403, 405])
def test_a_service_that_keeps_identities_is_said(
    call: Call, local: LocalRavi, own: Record, status: int
) -> None:
    local.faults.append(Fault(method="DELETE", status=status))

    with pytest.raises(RefusedError, match="'agent' was not deleted") as caught:
        call("identity", "delete", "--name", "agent", "--yes", RAVI_MANAGEMENT_KEY=MANAGEMENT_KEY)

    assert "nothing was deleted" in str(caught.value.fix)


def test_an_identity_may_be_created_without_a_name(call: Call) -> None:
    made = call("identity", "create", RAVI_MANAGEMENT_KEY=MANAGEMENT_KEY)

    assert made["name"]
    assert made["phone"] == ""


def test_a_list_in_pages_is_one_list(call: Call, local: LocalRavi) -> None:
    page = {"count": 2, "previous": None, "next": f"{local.url}/api/contacts/?page=2"}
    local.faults.append(
        Fault(path="/api/contacts/", status=200, count=1, body={**page, "results": [{"uuid": "1"}]})
    )
    local.faults.append(
        Fault(
            path="/api/contacts/",
            status=200,
            body={**page, "next": None, "results": [{"uuid": "2"}]},
        )
    )

    assert [one["uuid"] for one in call("contacts", "list")] == ["1", "2"]


def test_the_pages_of_a_list_share_one_deadline(
    local: LocalRavi, environ: dict[str, str], tmp_path: Path
) -> None:
    """`ravi inbox wait --timeout 1s` is over after a second, however the service cuts its lists."""
    following = f"{local.url}/api/contacts/?page="
    for number in range(2, 40):
        body = {
            "count": 40,
            "previous": None,
            "next": f"{following}{number}",
            "results": [{"uuid": str(number)}],
        }
        local.faults.append(
            Fault(path="/api/contacts/", status=200, count=1, delay_s=0.3, body=body)
        )

    with Session(environ, str(tmp_path)) as session, pytest.raises(OutcomeUnknownError):
        session.ask_identity("GET", "contacts/", timeout_s=1)

    assert len(local.requests.entries) < 10


# --- refused, help and mistakes ----------------------------------------------------------------


@pytest.mark.parametrize("words", ["auth login", "auth logout", "identity use some-uuid"])
def test_what_would_harm_other_agents_is_refused_with_the_reason(
    call: Call, local: LocalRavi, words: str
) -> None:
    with pytest.raises(UsageError) as caught:
        call(*words.split())
    assert caught.value.fix
    assert not local.requests.entries


@pytest.mark.parametrize(
    ("words", "hint", "fix"),
    [
        ("idenity list", "did you mean 'identity'", "ravi identity --help"),
        ("inbox wiat", "did you mean 'wait'", "ravi inbox wait --help"),
        ("inbox wait --form x", "did you mean --from", "ravi inbox wait --help"),
        ("email compose --too x", "did you mean --to", "ravi email compose --help"),
        ("versoin", "did you mean 'version'", "ravi version --help"),
        ("xyzzy", "unknown command 'xyzzy'", "ravi --help"),
        ("secrets set KEY", "VALUE is missing", "ravi secrets set --help"),
        ("vault gte", "did you mean 'get'", "ravi secrets get --help"),
    ],
)
def test_a_mistake_is_answered_with_what_to_type(
    call: Call, words: str, hint: str, fix: str
) -> None:
    with pytest.raises(UsageError, match=hint) as caught:
        call(*words.split())

    assert caught.value.fix == fix
    assert isinstance(TABLE.parse(fix.split()[1:]), str)


def test_every_command_has_help_that_names_its_flags(capfd: pytest.CaptureFixture[str]) -> None:
    for command in TABLE.commands:
        for words in (["help", *command.words.split()], [*command.words.split(), "-h"]):
            assert ravi(words, {}, "/") == 0
            text = capfd.readouterr().out
            assert text.startswith(f"usage: ravi {command.words}")
            assert all(field.name in text for field in command.fields())


@pytest.mark.parametrize("words", ["", "help", "--help", "identity", "identity --help"])
def test_help_lists_the_commands(words: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert ravi(words.split(), {}, "/") == 0

    assert "identity create" in capfd.readouterr().out


def test_the_version_is_that_of_the_package(call: Call) -> None:
    assert call("version") == {
        "message": f"ravi version {ravi_agent.__version__} (ravi-agent-base)"
    }


def test_text_of_other_scripts_is_printed_as_it_is(
    environ: dict[str, str], call: Call, capfd: pytest.CaptureFixture[str]
) -> None:
    call("secrets", "set", "K", "日本語 \x9b[2J\x1b[2J")
    ravi(["secrets", "get", "K"], environ, "/")

    printed = capfd.readouterr().out
    assert "日本語 \\u009b[2J\\u001b[2J" in printed
    assert json.loads(printed)["value"] == "日本語 \x9b[2J\x1b[2J"
