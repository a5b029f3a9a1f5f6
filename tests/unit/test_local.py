"""The local Ravi over HTTP: the paths, shapes and refusals of the real one."""

import json
import re
import signal
import smtplib
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest

from conftest import MANAGEMENT_KEY
from ravi_agent.errors import SettingsError, UsageError
from ravi_agent.local.app import REFRESH_TOKEN
from ravi_agent.local.cli import serve
from ravi_agent.local.faults import Fault, parse_faults
from ravi_agent.local.server import LocalRavi

IDENTITIES = "/api/identities/"
KEYS = "/api/auth/keys/identity/"
REFRESH = "/api/auth/token/refresh/"
IDENTITY_FIELDS = {"uuid", "name", "inbox", "phone", "created_dt", "updated_dt"}


def client(local: LocalRavi, token: str | None = MANAGEMENT_KEY, **headers: str) -> httpx.Client:
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    return httpx.Client(base_url=local.url, headers=headers, timeout=30)


@pytest.fixture
def account(local: LocalRavi) -> Iterator[httpx.Client]:
    """Whoever holds the management key."""
    with client(local) as session:
        yield session


def create(account: httpx.Client, **body: object) -> dict[str, Any]:
    answer = account.post(IDENTITIES, json=body)
    assert answer.status_code == 201, answer.text
    created = answer.json()
    assert isinstance(created, dict)
    return created


def mint(account: httpx.Client, identity: dict[str, Any], label: str = "test") -> str:
    answer = account.post(KEYS, json={"identity_uuid": identity["uuid"], "label": label})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["key"])


def assert_refused(answer: httpx.Response, status: int) -> None:
    assert answer.status_code == status
    body = answer.json()
    assert list(body) == ["detail"]
    assert isinstance(body["detail"], str)
    assert body["detail"]


@contextmanager
def as_identity(
    local: LocalRavi, account: httpx.Client, **body: object
) -> Iterator[tuple[dict[str, Any], httpx.Client]]:
    """A new identity, and a client that holds its key."""
    identity = create(account, **body)
    with client(local, mint(account, identity)) as session:
        yield identity, session


# --- identities --------------------------------------------------------------------------------


def test_an_identity_has_the_fields_of_the_real_one(account: httpx.Client) -> None:
    identity = create(account, name="task-1", provision_phone=True)

    assert set(identity) == IDENTITY_FIELDS
    assert str(uuid.UUID(identity["uuid"])) == identity["uuid"]
    assert identity["name"] == "task-1"
    assert identity["inbox"] == "task-1@ravi-local.test"
    assert re.fullmatch(r"\+1555\d{7}", identity["phone"])
    for field in ("created_dt", "updated_dt"):
        assert datetime.fromisoformat(identity[field]).tzinfo


@pytest.mark.parametrize("body", [{}, {"provision_phone": None}, {"provision_phone": False}])
def test_no_phone_comes_unless_one_is_asked_for(
    account: httpx.Client, body: dict[str, object]
) -> None:
    assert not create(account, name="task-1", **body)["phone"]


def test_an_identity_without_a_name_gets_one(account: httpx.Client) -> None:
    answers = [account.post(IDENTITIES), account.post(IDENTITIES, json={"name": None})]

    names = [answer.json()["name"] for answer in answers]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert all(names)
    assert len(set(names)) == 2


def test_names_are_not_unique_but_addresses_and_numbers_are(account: httpx.Client) -> None:
    made = [create(account, name="task-1", provision_phone=True) for _ in range(3)]

    assert {identity["name"] for identity in made} == {"task-1"}
    for field in ("uuid", "inbox", "phone"):
        assert len({identity[field] for identity in made}) == 3


@pytest.mark.parametrize(
    ("name", "local_part"),
    [
        ("Anna Berg", "anna-berg"),
        ("task/1?", "task-1"),
        ("..dots..", "dots"),
        ("漢字", "agent"),
        ("x" * 300, "x" * 48),
    ],
    ids=["spaces", "punctuation", "dots", "beyond ASCII", "long"],
)
def test_an_address_is_made_of_any_name(account: httpx.Client, name: str, local_part: str) -> None:
    identity = create(account, name=name)

    assert identity["name"] == name
    assert identity["inbox"] == f"{local_part}@ravi-local.test"


@pytest.mark.parametrize("email", ["anna", "anna@ravi-local.test"])
def test_an_address_may_be_asked_for(account: httpx.Client, email: str) -> None:
    assert create(account, name="x", email=email)["inbox"] == "anna@ravi-local.test"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"{", id="half an object"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b'"x"', id="a string"),
        pytest.param(b"\xff", id="no UTF-8"),
        pytest.param(b'{"name": 7}', id="a name that is a number"),
        pytest.param(b'{"email": ["a"]}', id="an address that is a list"),
        pytest.param(b'{"provision_phone": "true"}', id="a wish for a phone that is a string"),
        pytest.param(b'{"provision_phone": 1}', id="a wish for a phone that is a number"),
        pytest.param(b'{"email": "a@elsewhere.example"}', id="an address of a foreign domain"),
        pytest.param(b'{"email": "a b"}', id="an address with a space"),
        pytest.param(b'{"email": "taken"}', id="an address that is taken"),
    ],
)
def test_a_creation_that_makes_no_sense_is_refused_and_makes_nothing(
    account: httpx.Client, body: bytes
) -> None:
    create(account, name="first", email="taken")

    assert_refused(account.post(IDENTITIES, content=body), 400)
    assert len(account.get(IDENTITIES).json()) == 1


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"name": "\\ud800"}'], ids=["deeply nested", "a lone surrogate"]
)
def test_an_odd_body_is_refused_like_any_other(account: httpx.Client, body: bytes) -> None:
    assert_refused(account.post(IDENTITIES, content=body), 400)


def test_the_list_holds_every_identity_in_the_order_of_creation(account: httpx.Client) -> None:
    assert account.get(IDENTITIES).json() == []

    made = [create(account, name=name) for name in ("b", "a", "c")]

    answer = account.get(IDENTITIES)
    assert answer.status_code == 200
    assert answer.json() == made


def test_one_identity_can_be_read_renamed_and_deleted(account: httpx.Client) -> None:
    identity = create(account, name="before", provision_phone=True)
    path = f"{IDENTITIES}{identity['uuid']}/"
    assert account.get(path).json() == identity

    renamed = account.put(path, json={"name": "after"})
    assert renamed.status_code == 200
    assert renamed.json()["name"] == "after"
    unchanged = IDENTITY_FIELDS - {"name", "updated_dt"}
    assert {field: renamed.json()[field] for field in unchanged} == {
        field: identity[field] for field in unchanged
    }
    assert account.get(path).json() == renamed.json()

    deleted = account.delete(path)
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert account.get(IDENTITIES).json() == []
    for answer in (account.get(path), account.delete(path), account.put(path, json={})):
        assert_refused(answer, 404)


def test_a_name_that_is_no_text_is_no_new_name(account: httpx.Client) -> None:
    identity = create(account, name="before")
    path = f"{IDENTITIES}{identity['uuid']}/"

    assert_refused(account.put(path, json={"name": 7}), 400)
    assert account.put(path, json={}).json()["name"] == "before"
    assert account.get(path).json()["name"] == "before"


# --- keys --------------------------------------------------------------------------------------


def test_a_key_is_minted_for_one_identity(account: httpx.Client) -> None:
    identity = create(account, name="task-1")

    answer = account.post(KEYS, json={"identity_uuid": identity["uuid"], "label": "laptop"})

    made = answer.json()
    assert re.fullmatch(r"ravi_id_[\w-]{20,}", made["key"])
    assert (made["identity"], made["identity_uuid"]) == (identity["uuid"], identity["uuid"])
    assert (made["label"], made["is_active"], made["last_used_at"]) == ("laptop", True, None)
    assert mint(account, identity) != made["key"]


@pytest.mark.parametrize(
    "body",
    [{}, {"identity_uuid": "not-there"}, {"identity_uuid": 7}, {"identity_uuid": None}],
    ids=repr,
)
def test_a_key_for_nobody_is_refused(account: httpx.Client, body: dict[str, object]) -> None:
    assert_refused(account.post(KEYS, json=body), 400)


def test_no_key_is_kept_in_the_database(tmp_path: Path) -> None:
    database = tmp_path / "ravi.db"
    with (
        LocalRavi(database=str(database), management_key=MANAGEMENT_KEY) as local,
        client(local) as account,
    ):
        key = mint(account, create(account, name="task-1"))

    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"task-1" in stored
    assert key.encode() not in stored
    assert MANAGEMENT_KEY.encode() not in stored


def test_the_keys_of_an_identity_go_with_it(local: LocalRavi, account: httpx.Client) -> None:
    with as_identity(local, account, name="task-1") as (identity, session):
        assert session.get(IDENTITIES).status_code == 200
        account.delete(f"{IDENTITIES}{identity['uuid']}/")
        assert_refused(session.get(IDENTITIES), 401)


# --- older accounts ----------------------------------------------------------------------------


def test_an_older_account_gets_an_access_token_that_does_everything_but_mint_keys(
    local: LocalRavi, account: httpx.Client
) -> None:
    with client(local, token=None) as stranger:
        answer = stranger.post(REFRESH, json={"refresh": REFRESH_TOKEN})
    assert answer.status_code == 200
    with client(local, answer.json()["access"]) as older:
        identity = create(older, name="task-1")
        headers = {"X-Ravi-Identity": identity["uuid"]}
        emails = older.get("/api/email/", headers=headers).json()

        assert [entry["email"] for entry in emails] == [identity["inbox"]]
        assert_refused(older.post(KEYS, json={"identity_uuid": identity["uuid"]}), 404)
    assert account.get(IDENTITIES).json() == [identity]


@pytest.mark.parametrize(
    "body",
    [{}, {"refresh": "wrong"}, {"refresh": None}, {"refresh": MANAGEMENT_KEY}],
    ids=["none", "wrong", "null", "a management key"],
)
def test_only_its_refresh_token_renews_an_access_token(
    local: LocalRavi, body: dict[str, object]
) -> None:
    with client(local, token=None) as stranger:
        assert_refused(stranger.post(REFRESH, json=body), 401)


@pytest.mark.parametrize("body", [b"{", b"[]"], ids=["half an object", "a list"])
def test_a_renewal_that_makes_no_sense_is_refused(local: LocalRavi, body: bytes) -> None:
    with client(local, token=None) as stranger:
        json_type = {"Content-Type": "application/json"}
        assert_refused(stranger.post(REFRESH, content=body, headers=json_type), 400)


# --- who may do what ---------------------------------------------------------------------------

CALLS = [
    ("GET", IDENTITIES),
    ("POST", IDENTITIES),
    ("GET", f"{IDENTITIES}not-there/"),
    ("PUT", f"{IDENTITIES}not-there/"),
    ("DELETE", f"{IDENTITIES}not-there/"),
    ("POST", KEYS),
    ("GET", "/api/email/"),
    ("GET", "/api/phone/"),
    ("GET", "/api/master/"),
    ("GET", "/api/domains/"),
]


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(None, id="none"),
        pytest.param("", id="empty"),
        pytest.param("Bearer", id="no token"),
        pytest.param("Bearer ravi_mgmt_wrong", id="a wrong token"),
        pytest.param(f"Bearer {MANAGEMENT_KEY}x", id="a longer token"),
        pytest.param(f"Bearer {MANAGEMENT_KEY[:-1]}", id="a shorter token"),
        pytest.param(f"Basic {MANAGEMENT_KEY}", id="another scheme"),
        pytest.param(MANAGEMENT_KEY, id="no scheme"),
    ],
)
def test_every_call_needs_a_valid_token(local: LocalRavi, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}

    with client(local, token=None) as stranger:
        for method, path in CALLS:
            assert_refused(stranger.request(method, path, headers=headers), 401)
    assert local.store.identities() == []


def test_the_scheme_is_read_in_any_case(local: LocalRavi) -> None:
    with client(local, token=None, Authorization=f"bearer {MANAGEMENT_KEY}") as account:
        assert account.get(IDENTITIES).status_code == 200


def test_an_identity_key_sees_its_own_identity_alone(
    local: LocalRavi, account: httpx.Client
) -> None:
    other = create(account, name="other", provision_phone=True)
    with as_identity(local, account, name="own", provision_phone=True) as (own, session):
        assert session.get(IDENTITIES).json() == [own]
        assert session.get(f"{IDENTITIES}{own['uuid']}/").json() == own
        assert_refused(session.get(f"{IDENTITIES}{other['uuid']}/"), 404)
        assert [entry["email"] for entry in session.get("/api/email/").json()] == [own["inbox"]]
        numbers = [entry["phone_number"] for entry in session.get("/api/phone/").json()]
        assert numbers == [own["phone"]]


def test_an_identity_key_does_not_see_another_by_its_header(
    local: LocalRavi, account: httpx.Client
) -> None:
    other = create(account, name="other", provision_phone=True)
    headers = {"X-Ravi-Identity": other["uuid"]}
    with as_identity(local, account, name="own") as (own, session):
        emails = session.get("/api/email/", headers=headers).json()
        assert [entry["email"] for entry in emails] == [own["inbox"]]
        assert session.get("/api/phone/", headers=headers).json() == []


def test_an_identity_key_may_change_nothing(local: LocalRavi, account: httpx.Client) -> None:
    other = create(account, name="other")
    with as_identity(local, account, name="own") as (own, session):
        mine, theirs = (f"{IDENTITIES}{identity['uuid']}/" for identity in (own, other))
        assert_refused(session.post(IDENTITIES, json={"name": "third"}), 403)
        assert_refused(session.post(KEYS, json={"identity_uuid": own["uuid"]}), 403)
        assert_refused(session.post(KEYS, json={"identity_uuid": other["uuid"]}), 403)
        assert_refused(session.put(mine, json={"name": "changed"}), 403)
        assert_refused(session.delete(mine), 403)
        assert_refused(session.put(theirs, json={"name": "changed"}), 404)
        assert_refused(session.delete(theirs), 404)

    assert account.get(IDENTITIES).json() == [other, own]


# --- what belongs to an identity ---------------------------------------------------------------


def test_email_and_phone_are_lists_in_the_shape_of_the_real_ones(
    local: LocalRavi, account: httpx.Client
) -> None:
    with as_identity(local, account, name="own", provision_phone=True) as (own, session):
        (email,) = session.get("/api/email/").json()
        (phone,) = session.get("/api/phone/").json()

    assert set(email) == {"id", "email", "created_dt"}
    assert set(phone) == {"id", "phone_number", "provider", "created_dt"}
    assert phone["phone_number"] == own["phone"]


def test_an_identity_without_a_phone_has_an_empty_list(
    local: LocalRavi, account: httpx.Client
) -> None:
    with as_identity(local, account, name="own") as (_, session):
        assert session.get("/api/phone/").json() == []


def test_the_account_names_the_identity_in_a_header(account: httpx.Client) -> None:
    create(account, name="other")
    identity = create(account, name="task-1", provision_phone=True)
    headers = {"X-Ravi-Identity": identity["uuid"]}

    assert account.get("/api/email/", headers=headers).json()[0]["email"] == identity["inbox"]
    phones = account.get("/api/phone/", headers=headers).json()
    assert phones[0]["phone_number"] == identity["phone"]


@pytest.mark.parametrize("path", ["/api/email/", "/api/phone/"])
@pytest.mark.parametrize("headers", [{}, {"X-Ravi-Identity": "not-there"}], ids=["no", "wrong"])
def test_the_account_itself_has_no_address(
    account: httpx.Client, path: str, headers: dict[str, str]
) -> None:
    assert_refused(account.get(path, headers=headers), 400)


def test_the_owner_and_the_domains_are_in_the_shape_of_the_real_ones(
    account: httpx.Client,
) -> None:
    (domain,) = account.get("/api/domains/").json()

    assert set(account.get("/api/master/").json()) == {"first_name", "last_name"}
    assert set(domain) == {"uuid", "domain", "is_platform", "is_verified", "created_dt"}
    assert domain["domain"] == "ravi-local.test"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/", 404),
        ("GET", "/api/nothing/", 404),
        ("PATCH", IDENTITIES, 405),
        ("PUT", KEYS, 405),
        ("POST", "/api/email/", 405),
    ],
)
def test_what_is_not_there_is_refused_in_the_service_s_own_form(
    account: httpx.Client, method: str, path: str, status: int
) -> None:
    assert_refused(account.request(method, path), status)


# --- it lasts ----------------------------------------------------------------------------------


def test_data_survive_a_restart(tmp_path: Path) -> None:
    database = str(tmp_path / "ravi.db")
    with (
        LocalRavi(database=database, management_key=MANAGEMENT_KEY) as local,
        client(local) as account,
    ):
        kept = create(account, name="kept", provision_phone=True)
        gone = create(account, name="gone", provision_phone=True)
        key = mint(account, kept)
        account.delete(f"{IDENTITIES}{gone['uuid']}/")

    with LocalRavi(database=database, management_key=MANAGEMENT_KEY) as local:
        with client(local, key) as session:
            assert session.get(IDENTITIES).json() == [kept]
        with client(local) as account:
            assert account.get(IDENTITIES).json() == [kept]
            again = create(account, name="again", provision_phone=True)
    assert again["phone"] not in {kept["phone"], gone["phone"]}  # a number is never given twice


def test_the_command_serves_until_it_is_told_to_stop(tmp_path: Path) -> None:
    faults = tmp_path / "faults.json"
    faults.write_text(json.dumps([{"path": "/api/master/", "status": 503}]))
    program = "from ravi_agent.local.cli import main; main()"
    arguments = [
        "--port",
        "0",
        "--smtp-port",
        "0",
        "--management-key",
        MANAGEMENT_KEY,
        "--faults",
        str(faults),
    ]
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", program, *arguments],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stderr
        assert process.stdout
        listening, mail, warning = (process.stderr.readline() for _ in range(3))
        url = re.search(r"listening on (http://127\.0\.0\.1:\d+), data in", listening)
        assert url
        headers = {"Authorization": f"Bearer {MANAGEMENT_KEY}"}
        created = httpx.post(url[1] + IDENTITIES, json={"name": "task-1"}, headers=headers)
        with smtplib.SMTP("127.0.0.1", int(mail.rpartition(" ")[2]), timeout=10) as smtp:
            accepted = smtp.sendmail("a@b.example", [created.json()["inbox"]], "Subject: x\n\nx")
        refused = httpx.get(url[1] + "/api/master/", headers=headers)
        process.send_signal(signal.SIGTERM)
        requests, rest = process.communicate(timeout=30)

    assert "identities are not real" in warning
    assert accepted == {}
    assert (created.status_code, refused.status_code) == (201, 503)
    assert process.returncode in {0, -signal.SIGTERM}
    records = [json.loads(line) for line in requests.splitlines()]
    assert [(record["method"], record["status"]) for record in records] == [
        ("POST", 201),
        ("GET", 503),
    ]
    assert MANAGEMENT_KEY not in listening + warning + requests + rest
    assert (tmp_path / "ravi-local.db").exists()


@pytest.mark.parametrize(
    ("argv", "what"),
    [
        (["--port", "99999"], "--port 99999"),
        (["--port", "http"], "invalid int value"),
        (["--smtp-port", "99999"], "--smtp-port 99999"),
        (["--faults", "/not/there"], "--faults /not/there"),
        (["--no-such-option"], "--no-such-option"),
        (["--database", "/not/there/ravi.db"], "/not/there"),
        (["--management-key", " "], "--management-key"),
        (["--key", " "], "--management-key"),  # what it was called before
        (["--page-size", "0"], "--page-size 0"),
        (["--errors", "new"], "--errors"),
        (["--host", "203.0.113.1", "--port", "1"], "cannot listen on 203.0.113.1:1"),
    ],
    ids=" ".join,
)
def test_a_command_line_that_cannot_be_served_is_refused_before_it_listens(
    argv: list[str], what: str, tmp_path: Path
) -> None:
    database = [] if "--database" in argv else ["--database", str(tmp_path / "ravi.db")]

    with pytest.raises((UsageError, SettingsError)) as caught:
        serve([*database, *argv])

    assert what in str(caught.value)


def test_a_port_that_is_taken_is_said_so(local: LocalRavi) -> None:
    for taken in (local.port, local.smtp_port):
        ports = (taken, 0) if taken == local.port else (0, taken)
        with pytest.raises(UsageError, match=f"cannot listen on 127.0.0.1:{taken}"):
            LocalRavi(database=":memory:", management_key="x", port=ports[0], smtp_port=ports[1])


def test_requests_are_remembered_without_the_token() -> None:
    out = StringIO()
    with (
        LocalRavi(database=":memory:", management_key=MANAGEMENT_KEY, out=out) as local,
        client(local) as account,
    ):
        account.get(IDENTITIES)
        account.get("/nothing/", params={"key": MANAGEMENT_KEY})

    entries = list(local.requests.entries)
    assert [(entry["path"], entry["status"]) for entry in entries] == [
        (IDENTITIES, 200),
        ("/nothing/", 404),
    ]
    assert [json.loads(line) for line in out.getvalue().splitlines()] == entries
    assert MANAGEMENT_KEY not in out.getvalue()


# --- misbehaving -------------------------------------------------------------------------------


def test_a_fault_concerns_its_method_and_path_alone(
    local: LocalRavi, account: httpx.Client
) -> None:
    local.faults.append(Fault(method="POST", path=IDENTITIES, status=503))

    assert account.get(IDENTITIES).status_code == 200
    assert account.get("/api/master/").status_code == 200
    assert_refused(account.post(IDENTITIES, json={}), 503)
    assert local.store.identities() == []


def test_a_fault_may_skip_some_requests_and_end_after_some(
    local: LocalRavi, account: httpx.Client
) -> None:
    local.faults.append(Fault(path="/api/master/", status=500, skip=1, count=2))

    statuses = [account.get("/api/master/").status_code for _ in range(5)]
    assert statuses == [200, 500, 500, 200, 200]


def test_a_fault_may_say_anything(local: LocalRavi, account: httpx.Client) -> None:
    local.faults.append(Fault(status=502, body="<html>", headers={"retry-after": "7"}))

    answer = account.get(IDENTITIES)
    assert (answer.status_code, answer.text) == (502, "<html>")
    assert answer.headers["content-type"] == "text/html"
    assert answer.headers["retry-after"] == "7"


@pytest.mark.parametrize("is_committed", [False, True], ids=["before", "after commit"])
def test_a_status_may_be_answered_before_or_after_the_request_is_handled(
    local: LocalRavi, account: httpx.Client, is_committed: bool
) -> None:
    local.faults.append(Fault(status=500, commit=is_committed))

    assert_refused(account.post(IDENTITIES, json={"name": "task-1"}), 500)
    assert len(local.store.identities()) == is_committed


@pytest.mark.parametrize(
    ("fault", "error", "is_committed"),
    [
        (Fault(drop="before"), httpx.NetworkError | httpx.RemoteProtocolError, False),
        (Fault(drop="after"), httpx.NetworkError | httpx.RemoteProtocolError, True),
        (Fault(stall="before"), httpx.ReadTimeout, False),
        (Fault(stall="after"), httpx.ReadTimeout, True),
    ],
    ids=["drop before", "drop after", "stall before", "stall after"],
)
def test_no_answer_may_come_before_or_after_the_request_is_handled(
    local: LocalRavi, fault: Fault, error: type[Exception], is_committed: bool
) -> None:
    local.faults.append(fault)

    with client(local) as account, pytest.raises(httpx.TransportError) as caught:
        account.post(IDENTITIES, json={"name": "task-1"}, timeout=0.5)

    assert isinstance(caught.value, error)
    assert len(local.store.identities()) == is_committed


def test_a_delay_delays_and_changes_nothing_else(local: LocalRavi, account: httpx.Client) -> None:
    local.faults.append(Fault(delay_s=0.3))

    answer = account.post(IDENTITIES, json={"name": "task-1"})

    assert answer.status_code == 201
    assert answer.elapsed.total_seconds() >= 0.3


def test_above_a_rate_requests_are_throttled_and_told_how_long(
    local: LocalRavi, account: httpx.Client
) -> None:
    local.faults.append(Fault(rate_per_s=3))

    answers = [account.get(IDENTITIES) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert 0 < answers[-1].json()["retry_after_seconds"] <= 1


def test_a_request_may_bring_a_fault_of_its_own(local: LocalRavi, account: httpx.Client) -> None:
    headers = {"X-Ravi-Local-Fault": json.dumps({"status": 402})}

    assert_refused(account.get(IDENTITIES, headers=headers), 402)
    assert account.get(IDENTITIES).status_code == 200


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{}", "JSON array"),
        ("[1]", "JSON array"),
        ('[{"stauts": 500}]', "'stauts'"),
        ('[{"_matched": 5}]', "'_matched'"),
        ("[", "Expecting"),
    ],
)
def test_faults_that_make_no_sense_are_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_faults(text)


def test_faults_are_read_from_json() -> None:
    assert parse_faults('[{"status": 503, "count": 2}, {}]') == [
        Fault(status=503, count=2),
        Fault(),
    ]
