"""The local Ravi in each generation's form: keys, pages, errors, scopes, events."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import websocket

from conftest import MANAGEMENT_KEY
from ravi_agent.local.endpoints import Options
from ravi_agent.local.mailbox import Mail
from ravi_agent.local.record import Record
from ravi_agent.local.refusals import Errors
from ravi_agent.local.server import LocalRavi

IDENTITIES = "/api/identities/"
IDENTITY_KEYS = "/api/auth/keys/identity/"
MANAGEMENT_KEYS = "/api/auth/keys/management/"
SDK = {"User-Agent": "ravi-python/0.3.0"}


@contextmanager
def client(local: LocalRavi, token: str = MANAGEMENT_KEY, **headers: str) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {token}", **headers}
    with httpx.Client(base_url=local.url, headers=headers, timeout=30) as session:
        yield session


@pytest.fixture
def account(local: LocalRavi) -> Iterator[httpx.Client]:
    with client(local) as session:
        yield session


@pytest.fixture
def anna(local: LocalRavi) -> Record:
    return local.store.create(name="anna", email=None, with_phone=True)


@pytest.fixture
def bert(local: LocalRavi) -> Record:
    return local.store.create(name="bert", email=None, with_phone=True)


def receive(local: LocalRavi, owner: Record, subject: str, sender: str = "a@shop.example") -> Any:
    mail = Mail(
        from_email=sender,
        to_email=owner.email,
        subject=subject,
        text_content="",
        html_content="",
        message_id=f"<{uuid.uuid4()}@shop.example>",
    )
    return local.store.mailbox.add_mail(owner, mail)


# --- identities --------------------------------------------------------------------------------


def test_a_number_can_be_had_later_and_once(account: httpx.Client, local: LocalRavi) -> None:
    record = local.store.create(name="x", email=None, with_phone=False)
    path = f"{IDENTITIES}{record.uuid}/provision-phone/"

    answer = account.post(path)

    assert answer.status_code == 200
    assert answer.json()["phone"].startswith("+1555")
    assert account.get(f"{IDENTITIES}{record.uuid}/").json() == answer.json()
    assert account.post(path).status_code == 409
    assert account.post(f"{IDENTITIES}{uuid.uuid4()}/provision-phone/").status_code == 404


def test_patch_renames_as_put_does(account: httpx.Client, anna: Record) -> None:
    path = f"{IDENTITIES}{anna.uuid}/"

    assert account.patch(path, json={"name": "new"}).json()["name"] == "new"
    assert account.patch(path, json={}).json()["name"] == "new"
    assert account.get(path).json()["name"] == "new"


@pytest.mark.parametrize(
    ("body", "inbox"),
    [
        ({"email_identifier": "shop"}, "shop@ravi-local.test"),
        ({"email_identifier": "shop", "domain": "ravi-local.test"}, "shop@ravi-local.test"),
        ({"email": "shop@ravi-local.test"}, "shop@ravi-local.test"),
    ],
    ids=json.dumps,
)
def test_an_address_is_asked_for_as_each_generation_does(
    account: httpx.Client, body: dict[str, str], inbox: str
) -> None:
    assert account.post(IDENTITIES, json=body).json()["inbox"] == inbox
    assert account.post(IDENTITIES, json=body).status_code == 400
    assert account.post(IDENTITIES, json=body, headers=SDK).status_code == 409


@pytest.mark.parametrize(
    "body",
    [
        {"domain": "ravi-local.test"},
        {"email_identifier": "a@ravi-local.test"},
        {"email_identifier": "a", "domain": "elsewhere.example"},
        {"email_identifier": "a", "email": "b"},
    ],
    ids=json.dumps,
)
def test_an_address_that_no_generation_would_give_is_refused(
    account: httpx.Client, local: LocalRavi, body: dict[str, str]
) -> None:
    assert account.post(IDENTITIES, json=body, headers=SDK).status_code == 422
    assert local.store.identities() == []


# --- keys --------------------------------------------------------------------------------------


def test_a_revoked_identity_key_opens_nothing_and_the_others_go_on(
    local: LocalRavi, account: httpx.Client, anna: Record, bert: Record
) -> None:
    first, second, other = (
        account.post(IDENTITY_KEYS, json={"identity_uuid": who.uuid, "label": label}).json()
        for who, label in ((anna, "one"), (anna, "two"), (bert, "three"))
    )

    listed = account.get(IDENTITY_KEYS).json()
    assert [key["uuid"] for key in listed] == [first["uuid"], second["uuid"], other["uuid"]]
    assert [key["label"] for key in listed] == ["one", "two", "three"]
    assert not {key["key"] for key in (first, second, other)} & {key["key"] for key in listed}

    assert account.delete(f"{IDENTITY_KEYS}{first['uuid']}/").status_code == 204
    for key, status in ((first, 401), (second, 200), (other, 200)):
        with client(local, key["key"]) as session:
            assert session.get(IDENTITIES).status_code == status
    assert account.delete(f"{IDENTITY_KEYS}{first['uuid']}/").status_code == 404
    assert len(account.get(IDENTITY_KEYS).json()) == 2


def test_a_key_says_when_it_was_last_used(
    local: LocalRavi, account: httpx.Client, anna: Record
) -> None:
    made = account.post(IDENTITY_KEYS, json={"identity_uuid": anna.uuid}).json()
    assert made["last_used_at"] is None

    with client(local, made["key"]) as session:
        session.get(IDENTITIES)

    assert account.get(IDENTITY_KEYS).json()[0]["last_used_at"]


def test_the_account_can_have_more_keys_and_revoke_them(
    local: LocalRavi, account: httpx.Client
) -> None:
    made = account.post(MANAGEMENT_KEYS, json={"label": "laptop"}).json()
    assert made["key"].startswith("ravi_mgmt_")

    with client(local, made["key"]) as second:
        assert second.post(IDENTITIES, json={"name": "x"}).status_code == 201
        assert [key["label"] for key in second.get(MANAGEMENT_KEYS).json()] == ["laptop"]
        assert second.delete(f"{MANAGEMENT_KEYS}{made['uuid']}/").status_code == 204
        assert second.get(IDENTITIES).status_code == 401
    assert account.get(MANAGEMENT_KEYS).json() == []


@pytest.mark.parametrize("path", [IDENTITY_KEYS, MANAGEMENT_KEYS])
def test_an_identity_key_neither_lists_nor_makes_nor_revokes_keys(
    local: LocalRavi, account: httpx.Client, anna: Record, path: str
) -> None:
    own = account.post(IDENTITY_KEYS, json={"identity_uuid": anna.uuid}).json()

    with client(local, own["key"]) as session:
        assert session.get(path).status_code == 403
        assert session.post(path, json={"identity_uuid": anna.uuid}).status_code == 403
        assert session.delete(f"{path}{own['uuid']}/").status_code == 403


def test_one_kind_of_key_is_not_revoked_as_the_other(account: httpx.Client, anna: Record) -> None:
    identity_key = account.post(IDENTITY_KEYS, json={"identity_uuid": anna.uuid}).json()
    management_key = account.post(MANAGEMENT_KEYS, json={}).json()

    assert account.delete(f"{IDENTITY_KEYS}{management_key['uuid']}/").status_code == 404
    assert account.delete(f"{MANAGEMENT_KEYS}{identity_key['uuid']}/").status_code == 404


# --- pages -------------------------------------------------------------------------------------


def test_a_list_comes_in_pages_where_one_is_asked_for(
    local: LocalRavi, account: httpx.Client, anna: Record
) -> None:
    assert [entry["uuid"] for entry in account.get(IDENTITIES).json()] == [anna.uuid]

    page = account.get(IDENTITIES, params={"page": 1}).json()

    assert (page["count"], page["next"], page["previous"]) == (1, None, None)
    assert [entry["uuid"] for entry in page["results"]] == [anna.uuid]
    for wrong in ("0", "2", "-1", "x", "", "9" * 40):
        assert account.get(IDENTITIES, params={"page": wrong}).status_code == 404


def test_every_list_comes_in_pages_where_the_server_was_started_so() -> None:
    with (
        LocalRavi(
            database=":memory:", management_key=MANAGEMENT_KEY, options=Options(page_size=2)
        ) as local,
        client(local) as account,
    ):
        made = [local.store.create(name=f"n{i}", email=None, with_phone=False) for i in range(5)]
        for number in range(3):
            receive(local, made[0], f"mail {number}")
        seen, pages, path = [], 0, IDENTITIES
        while path:
            page = account.get(path).json()
            seen += [entry["uuid"] for entry in page["results"]]
            path, pages = page["next"], pages + 1
            assert page["count"] == 5
        second = account.get(IDENTITIES, params={"page": 2}).json()
        mails = account.get(
            "/api/email-messages/", params={"identity": made[0].uuid, "is_read": False}
        ).json()
        rest = account.get(mails["next"]).json()

    assert (seen, pages) == ([record.uuid for record in made], 3)
    assert second["previous"].endswith("page=1")
    assert [mail["subject"] for mail in mails["results"] + rest["results"]] == [
        *("mail 2", "mail 1", "mail 0"),
    ]
    assert f"identity={made[0].uuid}" in mails["next"]
    assert "is_read=" in mails["next"]


# --- errors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("errors", "headers", "query", "is_newest"),
    [
        (Errors.AUTO, {}, "", False),
        (Errors.AUTO, SDK, "", True),
        (Errors.AUTO, {}, "?identity=x", True),
        (Errors.DETAIL, SDK, "?identity=x", False),
        (Errors.ERROR, {}, "", True),
    ],
    ids=["older", "by its client", "by its parameter", "always older", "always newest"],
)
def test_an_error_comes_in_the_form_of_the_caller_s_generation(
    errors: Errors, headers: dict[str, str], query: str, is_newest: bool
) -> None:
    with (
        LocalRavi(
            database=":memory:", management_key=MANAGEMENT_KEY, options=Options(errors=errors)
        ) as local,
        client(local, "wrong", **headers) as stranger,
        client(local, **headers) as account,
    ):
        unknown = stranger.get(f"{IDENTITIES}{query}")
        invalid = account.post(f"{IDENTITIES}{query}", json={"name": 7})
        absent = account.get(f"/api/nothing/{query}")

    assert [answer.status_code for answer in (unknown, absent)] == [401, 404]
    assert invalid.status_code == (422 if is_newest else 400)
    for answer in (unknown, invalid, absent):
        assert list(answer.json()) == (["error"] if is_newest else ["detail"])
    if is_newest:
        assert unknown.json()["error"]["code"] == "auth.unauthenticated"
        assert set(invalid.json()["error"]) == {"code", "message", "details"}


# --- scopes ------------------------------------------------------------------------------------


def test_an_identity_is_named_in_each_generation_s_way(
    local: LocalRavi, account: httpx.Client, anna: Record, bert: Record
) -> None:
    key = local.store.mint_key(anna.uuid, "test")
    with client(local, key) as session:
        by_key = session.get("/api/email/")
        by_both = session.get("/api/email/", params={"identity": anna.uuid})
        wrong = session.get("/api/email/", params={"identity": bert.uuid})
    by_parameter = account.get("/api/email/", params={"identity": anna.uuid})
    by_header = account.get("/api/email/", headers={"X-Ravi-Identity": anna.uuid})

    for answer in (by_key, by_both, by_parameter, by_header):
        assert [entry["email"] for entry in answer.json()] == [anna.email]
    assert wrong.status_code == 403
    assert wrong.json()["error"]["code"] == "auth.forbidden"
    assert account.get("/api/email/", params={"identity": "not-there"}).status_code == 404


# --- filters and read state --------------------------------------------------------------------


def test_mails_are_filtered_by_what_the_newest_clients_send(
    local: LocalRavi, account: httpx.Client, anna: Record
) -> None:
    first = receive(local, anna, "one")
    receive(local, anna, "two", sender="b@shop.example")
    whose = {"identity": anna.uuid}
    account.post(
        "/api/email-messages/compose/",
        params=whose,
        json={"to_email": "x@else.example", "subject": "three", "content": "x"},
    )
    account.patch(
        f"/api/email-messages/{first['id']}/", params=whose, json={"is_read": True}
    ).raise_for_status()

    def subjects(**query: object) -> list[str]:
        answer = account.get("/api/email-messages/", params={**whose, **query})  # type: ignore[dict-item]
        return [mail["subject"] for mail in answer.json()]

    assert subjects() == ["three", "two", "one"]
    assert subjects(is_read=False) == ["two"]
    assert subjects(is_read="True") == ["three", "one"]
    assert subjects(direction="incoming") == ["two", "one"]
    assert subjects(direction="outgoing") == ["three"]
    assert subjects(thread_id=first["thread_id"]) == ["one"]
    assert subjects(from_email="b@shop.example") == ["two"]
    assert subjects(from_email="b@shop.example", is_read=True) == []
    threads = account.get("/api/email-inbox/", params={**whose, "has_unread": True}).json()
    assert [thread["subject"] for thread in threads] == ["two"]


@pytest.mark.parametrize(
    "query", [{"is_read": "maybe"}, {"direction": "up"}, {"page": 7}], ids=json.dumps
)
def test_a_filter_that_makes_no_sense_is_refused(
    account: httpx.Client, anna: Record, query: dict[str, str]
) -> None:
    answer = account.get("/api/email-messages/", params={"identity": anna.uuid, **query})
    assert answer.status_code in {404, 422}


def test_an_sms_can_be_marked_as_read_and_unread(
    local: LocalRavi, account: httpx.Client, anna: Record
) -> None:
    sms = local.store.phones.add_sms(anna, peer="+15550009999", body="x")
    path = f"/api/messages/{sms['id']}/"
    whose = {"identity": anna.uuid}

    for wanted in (True, False):
        assert (
            account.patch(path, params=whose, json={"is_read": wanted}).json()["is_read"] is wanted
        )
        unread = account.get("/api/sms-inbox/", params={**whose, "has_unread": True}).json()
        assert len(unread) == (not wanted)


# --- events ------------------------------------------------------------------------------------


def test_events_are_replayed_after_a_place_in_the_log(
    local: LocalRavi, account: httpx.Client, anna: Record, bert: Record
) -> None:
    mail = receive(local, anna, "one")
    local.store.phones.add_sms(anna, peer="+15550009999", body="code")
    receive(local, bert, "two")

    def events(**query: object) -> list[dict[str, Any]]:
        answer = account.get("/api/events/", params=query)  # type: ignore[arg-type]
        assert answer.status_code == 200, answer.text
        found = answer.json()["events"]
        assert isinstance(found, list)
        return found

    everything = events()
    assert [event["type"] for event in everything] == [
        "email.message.received",
        "sms.message.received",
        "email.message.received",
    ]
    assert [event["seq"] for event in everything] == sorted(event["seq"] for event in everything)
    assert len({event["id"] for event in everything}) == 3
    assert everything[0]["data"] == {
        "message_id": mail["id"],
        "inbox_id": anna.id,
        "from_email": "a@shop.example",
        "to_email": anna.email,
        "subject": "one",
    }
    assert everything[1]["data"]["body"] == "code"
    assert events(since=everything[0]["seq"]) == everything[1:]
    assert events(limit=1) == everything[:1]
    assert events(identity=anna.uuid) == everything[:2]
    assert events(event_types="sms.message.received,call.ended") == everything[1:2]
    with client(local, local.store.mint_key(bert.uuid, "test")) as session:
        assert session.get("/api/events/").json()["events"] == everything[2:]


@pytest.mark.parametrize(
    "query", [{"since": "x"}, {"limit": "0"}, {"limit": "1001"}, {"event_types": "y"}], ids=str
)
def test_a_replay_that_makes_no_sense_is_refused(
    account: httpx.Client, query: dict[str, str]
) -> None:
    assert account.get("/api/events/", params=query).status_code == 400


def socket(local: LocalRavi, token: str, query: str = "") -> websocket.WebSocket:
    return websocket.create_connection(
        f"ws://{local.host}:{local.port}/ws/events/{query}",
        header=[f"Authorization: Bearer {token}"],
        suppress_origin=True,
        timeout=10,
    )


def test_a_websocket_sends_events_as_they_happen_and_no_others(
    local: LocalRavi, anna: Record, bert: Record
) -> None:
    receive(local, anna, "before")
    own = socket(local, local.store.mint_key(anna.uuid, "test"))
    whole = socket(local, MANAGEMENT_KEY, "?since=0")

    receive(local, bert, "other")
    receive(local, anna, "after")

    assert json.loads(own.recv())["data"]["subject"] == "after"
    subjects = [json.loads(whole.recv())["data"]["subject"] for _ in range(3)]
    assert subjects == ["before", "other", "after"]
    own.close()
    whole.close()


def test_a_websocket_needs_a_key_of_the_identity_it_names(
    local: LocalRavi, anna: Record, bert: Record
) -> None:
    for token, query in (
        ("wrong", ""),
        (local.store.mint_key(anna.uuid, "test"), f"?identity={bert.uuid}"),
        (MANAGEMENT_KEY, "?identity=not-there"),
    ):
        with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
            socket(local, token, query)


def test_a_stream_sends_mail_and_sms_and_goes_on_where_it_was_left(
    local: LocalRavi, anna: Record, bert: Record
) -> None:
    key = local.store.mint_key(anna.uuid, "test")
    with client(local, key) as session, session.stream("GET", "/api/events/stream/") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.iter_lines()
        assert next(lines).startswith(":")
        receive(local, bert, "other")
        receive(local, anna, "one")
        name, place, data = _next_event(lines)
        assert (name, json.loads(data)["subject"]) == ("email", "one")

    local.store.phones.add_sms(anna, peer="SHOP", body="while away")
    headers = {"Last-Event-ID": place}
    with (
        client(local, key) as session,
        session.stream("GET", "/api/events/stream/", headers=headers) as stream,
    ):
        name, _, data = _next_event(stream.iter_lines())
    assert (name, json.loads(data)["body"]) == ("sms", "while away")


def _next_event(lines: Iterator[str]) -> tuple[str, str, str]:
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if name in {"event", "id", "data"}:
            fields[name] = value
        if not line and len(fields) == 3:
            break
    return fields["event"], fields["id"], fields["data"]
