"""Mail and SMS of the local Ravi: a real SMTP conversation in, the real client out."""

import json
import re
import smtplib
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import pytest

from conftest import MANAGEMENT_KEY
from ravi_agent.command.cli import ravi
from ravi_agent.errors import AbsentError
from ravi_agent.local.record import Record
from ravi_agent.local.server import LocalRavi

Call = Callable[..., Any]
MAIL_FIELDS = {
    *("id", "uuid", "url", "from_email", "from_display_name", "to_email", "cc", "subject"),
    *("text_content", "html_content", "direction", "is_read", "sender_type", "attachments"),
    *("message_id", "thread_id", "created_dt"),
}


@pytest.fixture
def anna(local: LocalRavi) -> Record:
    return local.store.create(name="anna", email=None, with_phone=True)


@pytest.fixture
def bert(local: LocalRavi) -> Record:
    return local.store.create(name="bert", email=None, with_phone=True)


@pytest.fixture
def smtp(local: LocalRavi) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP(local.host, local.smtp_port, timeout=10) as session:
        yield session


@pytest.fixture
def as_(local: LocalRavi, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Call:
    """Run `ravi` as an identity, with its key or with the account's."""

    def as_(who: Record, *words: str, with_key: bool = True) -> Any:
        folder = tmp_path / f"{who.uuid}-{with_key}"
        if not folder.exists():
            key = {"identity_key": local.store.mint_key(who.uuid, "test")} if with_key else {}
            folder.mkdir()
            (folder / "config.json").write_text(json.dumps({"identity_uuid": who.uuid, **key}))
        environ = {
            "RAVI_CONFIG_DIR": str(folder),
            "RAVI_API_URL": local.url,
            "HOME": str(tmp_path),
            **({} if with_key else {"RAVI_MANAGEMENT_KEY": MANAGEMENT_KEY}),
        }
        capfd.readouterr()
        ravi(list(words), environ, str(tmp_path))
        return json.loads(capfd.readouterr().out)

    return as_


def otp(to: Record, **headers: str) -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = "Shop <no-reply@shop.example>"
    mail["To"] = to.email
    mail["Subject"] = "Your code"
    for name, value in headers.items():
        mail[name.replace("_", "-")] = value
    mail.set_content("Your code is 271828.\n")
    return mail


def send_sms(local: LocalRavi, **body: object) -> httpx.Response:
    return httpx.post(f"{local.url}/local/sms/", json=body)


# --- mail in -----------------------------------------------------------------------------------


def test_a_mail_is_in_the_inbox_of_its_recipient_alone(
    smtp: smtplib.SMTP, as_: Call, anna: Record, bert: Record
) -> None:
    mail = otp(anna, Cc="someone@else.example", Message_ID="<1@shop.example>")
    mail.add_alternative("<p>Your code is <b>271828</b>.</p>", subtype="html")

    assert smtp.send_message(mail, to_addrs=[anna.email]) == {}

    (message,) = as_(anna, "message", "email")
    assert set(message) == MAIL_FIELDS
    assert message["from_email"] == "no-reply@shop.example"
    assert message["to_email"] == anna.email
    assert message["cc"] == "someone@else.example"
    assert message["subject"] == "Your code"
    assert message["text_content"] == "Your code is 271828."
    assert message["html_content"] == "<p>Your code is <b>271828</b>.</p>"
    assert (message["direction"], message["is_read"]) == ("incoming", False)
    assert message["message_id"] == "<1@shop.example>"
    assert as_(anna, "message", "email", str(message["id"])) == message
    assert as_(bert, "message", "email") == []
    with pytest.raises(AbsentError, match="404"):
        as_(bert, "message", "email", str(message["id"]))


def test_a_thread_counts_its_mails_and_holds_them(
    smtp: smtplib.SMTP, as_: Call, anna: Record
) -> None:
    smtp.send_message(otp(anna, Message_ID="<1@shop.example>"))
    smtp.send_message(otp(anna, In_Reply_To="<1@shop.example>"))
    smtp.send_message(otp(anna, References="<0@shop.example> <1@shop.example>"))
    smtp.send_message(otp(anna))

    other, thread = as_(anna, "inbox", "email")

    assert (thread["message_count"], other["message_count"]) == (3, 1)
    assert thread["unread_count"] == 3
    assert thread["oldest_message_dt"] < thread["latest_message_dt"]
    assert thread["preview"] == "Your code is 271828."
    assert (thread["inbox"], thread["from_email"]) == (anna.email, "no-reply@shop.example")
    whole = as_(anna, "inbox", "email", thread["thread_id"])
    messages = whole.pop("messages")
    assert whole == thread
    assert [message["id"] for message in messages] == [1, 2, 3]
    assert {message["thread_id"] for message in messages} == {thread["thread_id"]}


def test_a_header_names_the_identity_for_an_account(
    smtp: smtplib.SMTP, as_: Call, anna: Record, bert: Record
) -> None:
    smtp.send_message(otp(anna))

    assert len(as_(anna, "inbox", "email", with_key=False)) == 1
    assert as_(bert, "inbox", "email", with_key=False) == []


def test_an_unknown_recipient_is_refused_and_the_others_get_it(
    smtp: smtplib.SMTP, as_: Call, anna: Record
) -> None:
    refused = smtp.send_message(otp(anna), to_addrs=["nobody@ravi-local.test", anna.email.upper()])

    assert [code for code, _ in refused.values()] == [550]
    assert len(as_(anna, "message", "email")) == 1
    for address in ("nobody@ravi-local.test", "anna@elsewhere.example", anna.phone or ""):
        with pytest.raises(smtplib.SMTPRecipientsRefused) as caught:
            smtp.send_message(otp(anna), to_addrs=[address])
        assert [code for code, _ in caught.value.recipients.values()] == [550]


def test_two_recipients_at_once_each_get_one(
    smtp: smtplib.SMTP, as_: Call, anna: Record, bert: Record
) -> None:
    smtp.send_message(otp(anna), to_addrs=[anna.email, bert.email, anna.email])

    for who in (anna, bert):
        assert [message["to_email"] for message in as_(who, "message", "email")] == [who.email]


@pytest.mark.parametrize(
    ("content", "subject", "text"),
    [
        pytest.param(b"", "", "", id="nothing"),
        pytest.param(b"\xff\xfe\x00", "", "", id="no header line"),
        pytest.param(b"Subject: caf\xe9\r\n\r\nx", "caf\ufffd", "x", id="raw bytes in a header"),
        pytest.param(
            b"Subject: =?utf-8?q?caf=C3=A9?=\r\n\r\nx", "caf\xe9", "x", id="an encoded header"
        ),
        pytest.param(
            b"Content-Type: text/plain; charset=klingon\r\n\r\nx\xff",
            "",
            "x\ufffd",
            id="a charset that nobody knows",
        ),
        pytest.param(
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx", "", "x", id="cut off"
        ),
    ],
)
def test_a_mail_of_any_form_arrives(
    smtp: smtplib.SMTP, as_: Call, anna: Record, content: bytes, subject: str, text: str
) -> None:
    assert smtp.sendmail("me@shop.example", [anna.email], content) == {}

    (message,) = as_(anna, "message", "email")
    assert (message["subject"], message["from_email"]) == (subject, "me@shop.example")
    if content != b"\xff\xfe\x00":
        assert message["text_content"] == text


# --- mail out ----------------------------------------------------------------------------------


def test_a_composed_mail_arrives_where_it_can_and_is_kept_as_sent(
    as_: Call, local: LocalRavi, anna: Record, bert: Record
) -> None:
    third = local.store.create(name="carl", email=None, with_phone=False)
    sent = as_(
        anna,
        *("message", "email", "--to", bert.email, "--subject", "Hello"),
        *("--body", "<p>1 &lt; 2</p>", "--cc", "x@else.example", "--bcc", f"{third.email}, "),
    )

    assert set(sent) == MAIL_FIELDS
    assert (sent["from_email"], sent["to_email"]) == (anna.email, bert.email)
    assert (sent["direction"], sent["is_read"]) == ("outgoing", True)
    assert (sent["html_content"], sent["text_content"]) == ("<p>1 &lt; 2</p>", "1 < 2")
    for who in (bert, third):
        (message,) = as_(who, "message", "email")
        assert message["from_email"] == anna.email
        assert message["direction"] == "incoming"
        assert message["cc"] == "x@else.example"  # and no word of the blind copy
    assert as_(anna, "message", "email") == [sent]
    assert as_(anna, "message", "email", "--unread") == []
    assert as_(anna, "inbox", "email", "--unread") == []
    assert len(as_(bert, "inbox", "email", "--unread")) == 1


def test_email_compose_is_the_same(as_: Call, anna: Record, bert: Record) -> None:
    as_(anna, "email", "compose", "--to", bert.email, "--subject", "s", "--body", "b")

    assert [message["subject"] for message in as_(bert, "message", "email")] == ["s"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"to_email": "bert", "content": "x"},
        {"to_email": ["bert@ravi-local.test", "anna@ravi-local.test"], "content": "x"},
        {"to_email": "bert@ravi-local.test"},
        {"to_email": "bert@ravi-local.test", "content": 7},
        {"to_email": "bert@ravi-local.test", "content": "\ud800"},
        {"to_email": "bert@ravi-local.test", "content": "x", "cc": ["no address"]},
        {"to_email": "bert@ravi-local.test", "content": "x", "subject": "a\nb"},
        {"to_email": "bert@ravi-local.test", "content": "x", "attachment_uuids": ["u"]},
    ],
    ids=json.dumps,
)
def test_a_mail_that_makes_no_sense_is_refused_and_goes_nowhere(
    local: LocalRavi, anna: Record, bert: Record, body: dict[str, object]
) -> None:
    headers = {
        "Authorization": f"Bearer {MANAGEMENT_KEY}",
        "X-Ravi-Identity": anna.uuid,
        "Content-Type": "application/json",
    }

    answer = httpx.post(
        f"{local.url}/api/email-messages/compose/", content=json.dumps(body), headers=headers
    )

    assert (answer.status_code, list(answer.json())) == (400, ["detail"])
    assert local.store.mailbox.mails(anna) == local.store.mailbox.mails(bert) == []


# --- SMS ---------------------------------------------------------------------------------------


def test_an_sms_is_in_the_conversation_with_its_sender(
    local: LocalRavi, as_: Call, anna: Record, bert: Record
) -> None:
    for number, text in (("+15550001", "one"), ("+15550002", "two"), ("+15550001", "three")):
        answer = send_sms(local, to_number=anna.phone, from_number=number, body=text)
        assert answer.status_code == 201

    first, second = as_(anna, "inbox", "sms")

    assert first["conversation_id"] == f"{anna.id}_+15550001"
    assert (first["preview"], first["message_count"], first["unread_count"]) == ("three", 2, 2)
    assert (first["phone_number"], first["from_number"]) == (anna.phone, "+15550001")
    assert (second["preview"], second["message_count"]) == ("two", 1)
    whole = as_(anna, "inbox", "sms", first["conversation_id"])
    assert [message["body"] for message in whole["messages"]] == ["one", "three"]
    assert as_(anna, "inbox", "sms", "--unread") == [first, second]
    assert as_(bert, "inbox", "sms") == []


def test_one_sms_has_the_fields_of_the_real_one(local: LocalRavi, as_: Call, anna: Record) -> None:
    send_sms(local, to_number=anna.phone, from_number="SHOP", body="Your code is 31415.\n")

    (message,) = as_(anna, "message", "sms")

    assert set(message) == {
        *("id", "url", "from_number", "to_number", "body", "message_sid", "phone"),
        *("direction", "is_read", "created_dt"),
    }
    assert message["url"] == f"{local.url}/api/messages/{message['id']}/"
    assert message["body"] == "Your code is 31415.\n"
    assert (message["from_number"], message["to_number"]) == ("SHOP", anna.phone)
    assert as_(anna, "message", "sms", str(message["id"])) == message
    assert as_(anna, "inbox", "list")["sms"][0]["preview"] == message["body"]
    assert as_(anna, "inbox", "list")["email"] == []


def test_the_request_of_the_page_has_an_sms_arrive(local: LocalRavi, as_: Call) -> None:
    page = (Path(__file__).parents[2] / "docs/local.md").read_text(encoding="utf-8")
    found = re.search(r"^curl --json '(.*)' http://127\.0\.0\.1:8787(\S+)$", page, re.MULTILINE)
    assert found
    first = local.store.create(name="anna", email=None, with_phone=True)

    headers = {"Content-Type": "application/json"}  # what `curl --json` sends
    answer = httpx.post(local.url + found[2], content=found[1], headers=headers)
    assert answer.status_code == 201
    assert "271828" in as_(first, "inbox", "sms")[0]["preview"]


@pytest.mark.parametrize("number", ["+15559999", "", "anna@ravi-local.test", None], ids=repr)
def test_an_sms_to_no_number_of_ours_is_not_kept(
    local: LocalRavi, anna: Record, number: str | None
) -> None:
    answer = send_sms(local, to_number=number, from_number="+1555", body="x")

    assert answer.status_code == 404
    assert local.store.phones.all_sms(anna) == []


@pytest.mark.parametrize(
    "changed", [{"from_number": "a/b"}, {"from_number": 7}, {"body": None}], ids=json.dumps
)
def test_an_sms_that_makes_no_sense_is_refused(
    local: LocalRavi, anna: Record, changed: dict[str, object]
) -> None:
    body = {"to_number": anna.phone, "from_number": "+1555", "body": "x", **changed}

    assert send_sms(local, **body).status_code == 400


# --- whose -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["email-inbox", "email-messages", "sms-inbox", "messages"])
def test_messages_are_for_their_owner_alone(local: LocalRavi, anna: Record, path: str) -> None:
    url = f"{local.url}/api/{path}/"
    account = {"Authorization": f"Bearer {MANAGEMENT_KEY}"}

    assert httpx.get(url).status_code == 401
    assert httpx.get(url, headers=account).status_code == 400  # whose?
    for one in ("nonsense", "7", "9" * 40, "%2e%2e", "1_+1555"):
        whose = {**account, "X-Ravi-Identity": anna.uuid}
        assert httpx.get(f"{url}{one}/", headers=whose).status_code == 404


def test_a_deleted_identity_takes_its_messages_along(
    local: LocalRavi, smtp: smtplib.SMTP, anna: Record
) -> None:
    smtp.send_message(otp(anna))
    send_sms(local, to_number=anna.phone, from_number="+1555", body="x")

    local.store.delete(anna.uuid)

    assert local.store.mailbox.mails(anna) == local.store.phones.all_sms(anna) == []
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        smtp.send_message(otp(anna))
