"""What is sent for a call, and what a refusal says, in each generation's form."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from conftest import MANAGEMENT_KEY
from ravi_agent.credential import Credential
from ravi_agent.errors import OutcomeUnknownError, RaviError, RefusedError, ThrottledError
from ravi_agent.service.api import RaviApi
from ravi_agent.service.creation import creation_body
from ravi_agent.service.status import Reason, check_status

UUID = "0a1b2c3d-0000-4000-8000-000000000000"


class _Mirror(BaseHTTPRequestHandler):
    """Answers with what it was asked, or with `status` and `body`."""

    status = 200
    body: bytes | None = None

    def _answer(self) -> None:
        sent = self.rfile.read(int(self.headers.get("content-length", 0)))
        record = {
            "method": self.command,
            "path": self.path,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "body": sent.decode(),
        }
        content = json.dumps(record).encode() if self.body is None else self.body
        self.send_response(self.status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def mirror() -> Iterator[tuple[str, type[_Mirror]]]:
    """Its URL, and the class whose `status` and `body` it answers with."""
    handler = type("Handler", (_Mirror,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, args=[0.02])
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", handler
    server.shutdown()
    thread.join()
    server.server_close()


def api_of(url: str, **options: Any) -> RaviApi:
    return RaviApi(url, Credential(MANAGEMENT_KEY, "test"), **options)


def test_a_call_about_an_identity_names_it_for_every_generation(
    mirror: tuple[str, type[_Mirror]],
) -> None:
    with api_of(mirror[0], identity_uuid=UUID) as api:
        asked: Any = api.ask("GET", "email/")
        also: Any = api.ask("PATCH", "messages/7/?x=1", {"is_read": True}, params={"a": None})

    assert asked["path"] == f"/api/email/?identity={UUID}"
    assert asked["headers"]["x-ravi-identity"] == UUID
    assert also["method"] == "PATCH"
    assert also["path"] == f"/api/messages/7/?x=1&identity={UUID}"
    assert json.loads(also["body"]) == {"is_read": True}


def test_a_call_about_the_account_names_no_identity(mirror: tuple[str, type[_Mirror]]) -> None:
    with api_of(mirror[0]) as api:
        asked: Any = api.ask("GET", "events/", params={"since": 3, "unread": True, "to": "+1 5"})

    assert asked["path"] == "/api/events/?since=3&unread=true&to=%2B1+5"
    assert "x-ravi-identity" not in asked["headers"]
    assert asked["headers"]["authorization"] == f"Bearer {MANAGEMENT_KEY}"
    assert asked["headers"]["accept-encoding"] == "identity"


def test_no_content_is_no_answer_and_no_error(mirror: tuple[str, type[_Mirror]]) -> None:
    url, handler = mirror
    handler.status, handler.body = 204, b""

    with api_of(url) as api:
        assert api.ask("DELETE", "passwords/u/") is None


@pytest.mark.parametrize("status", [200, 201, 202, 203, 207, 299])
def test_any_success_is_a_success(mirror: tuple[str, type[_Mirror]], status: int) -> None:
    url, handler = mirror
    handler.status, handler.body = status, b'{"a": 1, "b": null}'

    with api_of(url) as api:
        assert api.ask("GET", "master/") == {"a": 1, "b": None}


@pytest.mark.parametrize(
    ("email", "expected"),
    [
        (None, {"name": "n"}),
        ("shop", {"name": "n", "email": "shop", "email_identifier": "shop"}),
        (
            "shop@own.example",
            {
                "name": "n",
                "email": "shop@own.example",
                "email_identifier": "shop",
                "domain": "own.example",
            },
        ),
    ],
    ids=["none", "local part", "whole address"],
)
def test_an_address_is_asked_for_in_the_words_of_each_generation(
    email: str | None, expected: dict[str, object]
) -> None:
    assert creation_body("n", email=email) == expected
    assert creation_body("n", email=email, with_phone=True) == {**expected, "provision_phone": True}
    assert creation_body(None) == {}


@pytest.mark.parametrize(
    ("body", "shown", "code", "fields"),
    [
        ({"detail": "No such thing."}, "No such thing.", "", ()),
        ({"error": "No such thing."}, "No such thing.", "", ()),
        (
            {"error": {"code": "auth.forbidden", "message": "No.", "details": None}},
            "auth.forbidden: No.",
            "auth.forbidden",
            (),
        ),
        (
            {
                "error": {
                    "code": "validation.failed",
                    "message": "Validation failed",
                    "details": {"name": ["At most 100 characters.", "x"]},
                }
            },
            "validation.failed: Validation failed: name: At most 100 characters.",
            "validation.failed",
            ("name",),
        ),
        (
            {"error": {"code": "validation.failed", "details": {"code": "identity.no_phone"}}},
            "identity.no_phone",
            "identity.no_phone",
            (),
        ),
        ({"name": ["At most 100 characters."]}, "name: At most 100 characters.", "", ("name",)),
        ({"error": {}}, "", "", ()),
        ({"error": {"code": 7, "message": ["x"], "details": [1]}}, "", "", ()),
        ({"detail": "a\x1b[2J\nb"}, "a [2J b", "", ()),
        ([], "", "", ()),
        ("no", "", "", ()),
        (None, "", "", ()),
    ],
)
def test_a_reason_is_read_from_every_envelope(
    body: object, shown: str, code: str, fields: tuple[str, ...]
) -> None:
    reason = Reason.from_body(body)

    assert (str(reason), reason.code, reason.fields) == (shown, code, fields)


def refusal(status: int, body: object, headers: dict[str, str] | None = None) -> RaviError:
    with pytest.raises(RaviError) as caught:
        check_status(status, headers or {}, json.dumps(body).encode(), "GET x", [MANAGEMENT_KEY])
    return caught.value


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 409, 418, 422, 451, 499])
def test_what_the_service_refuses_is_final_and_carries_its_code(status: int) -> None:
    body = {"error": {"code": "some.code", "message": "No.", "details": {}}}
    exc = refusal(status, body)

    assert isinstance(exc, RefusedError)
    assert (exc.status, exc.code) == (status, "some.code")
    assert f"status {status} (some.code: No.)" in str(exc)


@pytest.mark.parametrize("status", [408, 425, 500, 501, 502, 503, 504, 520, 599, 999])
def test_what_may_have_been_carried_out_is_not_final(status: int) -> None:
    assert isinstance(refusal(status, {"error": "x"}), OutcomeUnknownError)


@pytest.mark.parametrize(
    "body",
    [
        {"detail": f"bad token {MANAGEMENT_KEY}"},
        {"error": f"{'x' * 190}{MANAGEMENT_KEY}"},
        {"error": {"code": MANAGEMENT_KEY, "message": MANAGEMENT_KEY, "details": {}}},
        {MANAGEMENT_KEY: [MANAGEMENT_KEY]},
    ],
    ids=["detail", "cut off", "code", "fields"],
)
def test_a_key_that_the_service_sends_back_is_not_shown(body: object) -> None:
    exc = refusal(400, body)

    assert isinstance(exc, RefusedError)
    assert MANAGEMENT_KEY[:10] not in f"{exc.lines('test')}{exc.code}{exc.fields}"


@pytest.mark.parametrize(
    ("body", "headers", "wait_s"),
    [
        ({"retry_after_seconds": 7}, {}, 7.0),
        ({"retry_after_seconds": "7.5"}, {}, 7.5),
        ({"error": {"code": "x", "details": {"retry_after_seconds": 3}}}, {}, 3.0),
        ({"error": {"retry_after_seconds": 3}}, {}, 3.0),
        ({}, {"retry-after": "9"}, 9.0),
        ({}, {"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0.0),
        ({}, {"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, 86400.0),
        ({"retry_after_seconds": 10**400}, {}, 86400.0),
        ({"retry_after_seconds": -(10**400)}, {}, 0.0),
        ({"retry_after_seconds": "9" * 400}, {}, 86400.0),
        ({"retry_after_seconds": 1e308}, {}, 86400.0),
        ({"retry_after_seconds": float("inf")}, {}, 86400.0),
        ({"retry_after_seconds": float("nan")}, {}, None),
        ({"retry_after_seconds": -5}, {}, 0.0),
        ({"retry_after_seconds": None}, {"retry-after": "4"}, 4.0),
        ({"retry_after_seconds": True}, {"retry-after": "4"}, 4.0),
        ({"retry_after_seconds": ["4"]}, {}, None),
        ({}, {"retry-after": "9" * 400}, 86400.0),
        ({}, {"retry-after": "soon"}, None),
        ({}, {"retry-after": "\x00"}, None),
        ({}, {"retry-after": "Mon, 99 Foo 99999 99:99:99 GMT"}, None),
        ([], {}, None),
    ],
)
def test_a_wait_is_between_none_and_a_day_or_not_said(
    body: object, headers: dict[str, str], wait_s: float | None
) -> None:
    exc = refusal(429, body, headers)

    assert isinstance(exc, ThrottledError)
    assert exc.retry_after_s == wait_s
    later = refusal(503, body, headers)
    assert isinstance(later, OutcomeUnknownError)
    assert later.retry_after_s == wait_s
