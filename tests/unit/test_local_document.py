"""The OpenAPI document of the local Ravi: fuzzed, and walked with the key of one identity."""

import itertools
import json
import re
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import httpx
import jsonschema
import pytest
import schemathesis
import websocket
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from conftest import MANAGEMENT_KEY
from openapi import conformance, hooks
from ravi_agent.local.mailbox import Mail, Upload
from ravi_agent.local.openapi import SCHEMA_PATH
from ravi_agent.local.record import Record
from ravi_agent.local.server import LocalRavi

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
# Planted in everything that the other identity has.
SECRET = "planted-4711-of-bert"
# What any of the bodies needs; none of it reaches the other identity by being sent there.
BODY = {
    "name": "changed",
    "label": "x",
    "to_email": "x@else.example",
    "subject": "x",
    "content": "x",
    "to_number": "+15557770000",
    "from_number": "+15557770001",
    "body": "x",
    "is_read": True,
    "filename": "x",
    "size": 1,
    "domain": "x",
    "password": "x",
    "key": "x",
    "value": "x",
    "email": "x@else.example",
    "url": "http://127.0.0.1:9/",
    "enabled": False,
    "response_url": "http://127.0.0.1:9/",
    "refresh": "x",
    "device_code": "x",
    "provision_phone": True,
}
# An endless stream; test_local_generations has its scope.
STREAM = "/api/events/stream/"
# Both ways in which a client names an identity, neither and both at once.
WAYS = ("plain", "query", "header", "both")
# What the document does not have for every path, and a server might answer all the same.
ODD_METHODS = ("head", "options", "get", "put", "delete")
OWNED = (
    *("mails", "attachments", "sms", "calls", "events", "passwords", "secrets", "contacts"),
    *("webhooks", "voice_agents", "keys"),
)


@pytest.fixture(scope="module")
def service() -> Iterator[LocalRavi]:
    with LocalRavi(database=":memory:", management_key=MANAGEMENT_KEY) as server:
        yield server


@pytest.fixture(scope="module")
def document(service: LocalRavi) -> dict[str, Any]:
    stated = httpx.get(f"{service.url}{SCHEMA_PATH}").json()
    assert isinstance(stated, dict)
    return stated


def test_the_document_is_a_valid_one(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    schemathesis.openapi.from_dict(document).validate()
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_no_request_that_the_document_allows_makes_the_server_fail(
    service: LocalRavi, document: dict[str, Any]
) -> None:
    """schemathesis: few examples an operation, because all operations are of one table."""
    owner = service.store.create(name="fuzzed", email=None, with_phone=True)
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=service.url)
    headers = {
        "Authorization": f"Bearer {MANAGEMENT_KEY}",
        "X-Ravi-Identity": owner.uuid,
    }
    operations = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    assert len(operations) > 70
    for operation in operations:
        if operation.path == STREAM:
            continue

        @settings(
            max_examples=8,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def fuzz(case: schemathesis.Case[Any]) -> None:
            case.query = {
                name: value for name, value in (case.query or {}).items() if name != "identity"
            }
            case.call_and_validate(headers=headers, checks=CHECKS)

        fuzz()


# --- one identity among others -----------------------------------------------------------------


def furnish(local: LocalRavi, owner: Record) -> dict[str, list[str]]:
    """Give an identity one of everything; returns what each kind of thing is called in paths."""
    headers = {"Authorization": f"Bearer {MANAGEMENT_KEY}"}
    mail = Mail(
        from_email=f"{SECRET}@shop.example",
        to_email=owner.email,
        subject=SECRET,
        text_content=SECRET,
        html_content=SECRET,
        message_id=f"<{uuid.uuid4()}@shop.example>",
        files=(Upload(filename=SECRET, content_type="text/plain", content=SECRET.encode()),),
    )
    received = local.store.mailbox.add_mail(owner, mail)
    sms = local.store.phones.add_sms(owner, peer="+15557770009", body=SECRET)
    call = local.store.phones.call(owner, "+15557770009")
    local.store.mint_key(owner.uuid, SECRET)
    with httpx.Client(base_url=local.url, headers=headers, params={"identity": owner.uuid}) as http:
        made = [
            http.post("/api/passwords/", json={"domain": SECRET, "password": SECRET}),
            http.post("/api/secrets/", json={"key": SECRET, "value": SECRET}),
            http.post("/api/contacts/", json={"email": f"{SECRET}@shop.example"}),
            http.post(
                "/api/webhook-subscriptions/",
                json={"url": f"http://127.0.0.1:9/{SECRET}", "identity_uuid": owner.uuid},
            ),
        ]
        http.put(
            f"/api/identities/{owner.uuid}/voice-agent/",
            json={"response_url": f"http://127.0.0.1:9/{SECRET}"},
        )
        keys = http.get("/api/auth/keys/identity/").json()
    assert {answer.status_code for answer in made} == {201}
    local.store.mailbox.add_mail(owner, mail)  # one more event, for the webhook
    numbers = ["1", str(received["id"]), str(sms["id"]), str(call["id"]), str(owner.id)]
    numbers.append(str(made[3].json()["id"]))
    uuids = [owner.uuid, *(answer.json()["uuid"] for answer in made)]
    uuids += [key["uuid"] for key in keys]
    attachments = received["attachments"]
    assert isinstance(attachments, list)
    return {
        "uuid": [*uuids, *(file["uuid"] for file in attachments)],
        "id": [*numbers, str(received["thread_id"]), f"{owner.id}_+15557770009"],
    }


def scoping(other: Record, way: str) -> dict[str, dict[str, str]]:
    """How a request names an identity that is not its caller's."""
    named: dict[str, dict[str, str]] = {}
    if way in {"query", "both"}:
        named["params"] = {"identity": other.uuid}
    if way in {"header", "both"}:
        named["headers"] = {"X-Ravi-Identity": other.uuid}
    return named


def rows_of(local: LocalRavi, owner: Record) -> dict[str, list[tuple[object, ...]]]:
    """Everything that is stored of an identity; when a key was last used is none of it."""
    rows: dict[str, list[tuple[object, ...]]] = {}
    for table in OWNED:
        found = local.store.db.all(
            f"SELECT * FROM {table} WHERE identity_uuid = ?",  # noqa: S608
            (owner.uuid,),
        )
        rows[table] = [tuple(row) for row in found]
    rows["identities"] = [
        tuple(row)
        for row in local.store.db.all("SELECT * FROM identities WHERE uuid = ?", (owner.uuid,))
    ]
    return rows


@pytest.fixture
def pair(local: LocalRavi) -> tuple[Record, Record]:
    first, second = (
        local.store.create(name=name, email=None, with_phone=True) for name in ("anna", "bert")
    )
    return first, second


def test_the_key_of_one_identity_reads_and_changes_nothing_of_another(
    local: LocalRavi, pair: tuple[Record, Record], document: dict[str, Any]
) -> None:
    anna, bert = pair
    names = furnish(local, bert)
    before = rows_of(local, bert)
    assert all(before.values()), "the other identity has one of everything"
    headers = {"Authorization": f"Bearer {local.store.mint_key(anna.uuid, 'test')}"}
    asked, leaks = 0, []

    with (
        httpx.Client(
            base_url=local.url, headers=headers, event_hooks=hooks(conformance(local.url))
        ) as checked,
        httpx.Client(base_url=local.url, headers=headers) as unchecked,
    ):
        for path, methods in document["paths"].items():
            variables = re.findall(r"\{(\w+)\}", path)
            for values in itertools.product(*(names[variable] for variable in variables)):
                url = path
                for variable, value in zip(variables, values, strict=True):
                    url = url.replace(f"{{{variable}}}", value.replace("+", "%2B"))
                for method, way in itertools.product({*methods, *ODD_METHODS}, WAYS):
                    if path == STREAM:
                        continue
                    http = checked if method in methods else unchecked
                    answer = http.request(
                        method,
                        url,
                        params=scoping(bert, way).get("params"),
                        headers=scoping(bert, way).get("headers"),
                        json={
                            **BODY,
                            "identity_uuid": bert.uuid,
                            "attachment_uuids": names["uuid"][-1:] if way == "plain" else [],
                        },
                    )
                    asked += 1
                    if SECRET in answer.text or bert.email in answer.text:
                        leaks.append((method, url, way))

    assert leaks == []
    assert asked > 4_000
    assert rows_of(local, bert) == before


@pytest.mark.parametrize("way", WAYS)
def test_no_stream_sends_the_key_of_one_identity_what_another_gets(
    local: LocalRavi, pair: tuple[Record, Record], way: str
) -> None:
    anna, bert = pair
    furnish(local, bert)
    local.store.phones.add_sms(anna, peer="+15557770000", body="own")
    scoped = scoping(bert, way)
    key = f"Bearer {local.store.mint_key(anna.uuid, 'test')}"
    headers = {"Authorization": key, "Last-Event-ID": "0", **scoped.get("headers", {})}

    with httpx.stream(
        "GET", local.url + STREAM, headers=headers, params=scoped.get("params")
    ) as stream:
        if stream.status_code == 200:
            for line in stream.iter_lines():
                assert SECRET not in line
                if '"body": "own"' in line:
                    break
        else:
            assert stream.status_code in {403, 404}
            assert SECRET not in stream.read().decode()

    query = {"since": "0", **scoped.get("params", {})}
    names = [f"{name}: {value}" for name, value in scoped.get("headers", {}).items()]
    try:
        socket = websocket.create_connection(
            f"ws://{local.host}:{local.port}/ws/events/?{urlencode(query)}",
            header=[f"Authorization: {key}", *names],
            suppress_origin=True,
            timeout=10,
        )
    except websocket.WebSocketBadStatusException:
        return  # it is not even opened
    assert json.loads(socket.recv())["data"]["body"] == "own"
    socket.close()


def test_the_account_s_key_finds_what_the_walk_looks_for(
    local: LocalRavi, pair: tuple[Record, Record], document: dict[str, Any]
) -> None:
    """Else the walk could not fail."""
    _, bert = pair
    names = furnish(local, bert)
    headers = {"Authorization": f"Bearer {MANAGEMENT_KEY}"}
    found = set()

    with httpx.Client(base_url=local.url, headers=headers, params={"identity": bert.uuid}) as http:
        for path, methods in document["paths"].items():
            if "get" not in methods or path == STREAM:
                continue
            for value in names["uuid"] + names["id"] if "{" in path else [""]:
                url = re.sub(r"\{\w+\}", value.replace("+", "%2B"), path)
                if SECRET in http.get(url).text:
                    found.add(path)

    assert found >= {
        *("/api/email-inbox/", "/api/email-inbox/{id}/", "/api/email-messages/"),
        *("/api/email-messages/{id}/", "/api/sms-inbox/", "/api/sms-inbox/{id}/"),
        *("/api/messages/", "/api/messages/{id}/", "/api/events/", "/api/passwords/"),
        *("/api/passwords/{uuid}/", "/api/secrets/", "/api/contacts/", "/api/contacts/{uuid}/"),
        *("/api/webhook-subscriptions/", "/api/webhook-subscriptions/{id}/"),
        *("/api/webhook-deliveries/", "/api/auth/keys/identity/"),
        "/api/identities/{uuid}/voice-agent/",
    }
