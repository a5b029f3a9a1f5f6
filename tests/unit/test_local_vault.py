"""What the local Ravi keeps for identities, and that its file alone gives none of it away."""

import shlex
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from conftest import MANAGEMENT_KEY
from openapi import conformance, hooks
from ravi_agent.errors import SettingsError
from ravi_agent.local.cli import serve
from ravi_agent.local.endpoints import Options
from ravi_agent.local.record import Record
from ravi_agent.local.server import LocalRavi
from ravi_agent.local.store import Store

DEVICE = "/api/auth/device/"


@pytest.fixture
def anna(local: LocalRavi) -> Record:
    return local.store.create(name="anna", email=None, with_phone=True)


@pytest.fixture
def session(local: LocalRavi, anna: Record) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {local.store.mint_key(anna.uuid, 'test')}"}
    with httpx.Client(
        base_url=local.url, headers=headers, event_hooks=hooks(conformance(local.url))
    ) as client:
        yield client


def test_nothing_secret_can_be_read_in_the_files_of_the_database(tmp_path: Path) -> None:
    words = {f"{kind}-PLANTED-4711" for kind in ("password", "notes", "value")}
    made = []
    with (
        LocalRavi(database=str(tmp_path / "ravi.db"), management_key=MANAGEMENT_KEY) as local,
        httpx.Client(
            base_url=local.url, headers={"Authorization": f"Bearer {MANAGEMENT_KEY}"}
        ) as account,
    ):
        whose = {"identity": local.store.create(name="a", email=None, with_phone=False).uuid}
        password, notes, value = (f"{kind}-PLANTED-4711" for kind in ("password", "notes", "value"))
        for path, body in (
            ("/api/passwords/", {"domain": "d", "password": password, "notes": notes}),
            ("/api/secrets/", {"key": "k", "value": value, "notes": notes}),
        ):
            assert account.post(path, params=whose, json=body).status_code == 201
        hook = account.post("/api/webhook-subscriptions/", json={"url": "http://127.0.0.1:9/"})
        words.add(hook.json()["signing_secret"])
        for kind, body in (("management", {}), ("identity", {"identity_uuid": whose["identity"]})):
            words.add(account.post(f"/api/auth/keys/{kind}/", json=body).json()["key"])
        made = account.get("/api/secrets/", params=whose).json()
        stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())

    assert made[0]["value"] == value
    assert len(words) == 6
    assert {word for word in words if word.encode() in stored} == set()


def test_the_key_of_the_database_is_a_file_of_its_own_and_both_are_the_owner_s(
    tmp_path: Path,
) -> None:
    database = tmp_path / "ravi.db"
    store = Store(str(database))
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    store.close()

    beside = ("", ".key", "-wal", "-shm")
    assert modes == {f"ravi.db{suffix}": 0o600 for suffix in beside}
    store = Store(str(database))
    sealed = store.seal.close({"a": "b"})
    store.close()
    store = Store(str(database))
    assert store.seal.open(sealed) == {"a": "b"}
    with pytest.raises(SettingsError, match="another ravi-local is using it"):
        Store(str(database))
    store.close()


def test_a_database_without_its_key_is_not_read_with_another(tmp_path: Path) -> None:
    database = tmp_path / "ravi.db"
    store = Store(str(database))
    sealed = store.seal.close({"a": "b"})
    store.close()
    (tmp_path / "ravi.db.key").unlink()

    store = Store(str(database))
    with pytest.raises(SettingsError, match="not the key of this database"):
        store.seal.open(sealed)
    store.close()


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\xff" * 100])
def test_a_key_file_that_holds_no_key_is_said_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ravi.db.key").write_bytes(content)

    with pytest.raises(SettingsError, match="does not hold a key"):
        Store(str(tmp_path / "ravi.db"))


def test_a_secret_is_found_by_its_key_and_there_is_one_of_a_key(session: httpx.Client) -> None:
    first = session.post("/api/secrets/", json={"key": "A", "value": "1"}).json()
    second = session.post("/api/secrets/", json={"key": "B", "value": "2"}).json()

    assert session.get("/api/secrets/", params={"key": "A"}).json() == [first]
    assert session.get("/api/secrets/", params={"key": "C"}).json() == []
    assert session.post("/api/secrets/", json={"key": "A"}).status_code == 400
    path = f"/api/secrets/{second['uuid']}/"
    assert session.patch(path, json={"key": "A"}).status_code == 400
    assert session.patch(path, json={"key": "B", "value": "3"}).json()["value"] == "3"
    assert session.delete(path).status_code == 204
    assert session.get(path).status_code == 404


@pytest.mark.parametrize(
    ("query", "allowed"),
    [
        ({"length": "40", "special": "false"}, "a-zA-Z0-9"),
        ({"digits": "false", "special": "false"}, "a-zA-Z"),
        ({"uppercase": "false", "lowercase": "false", "special": "false"}, "0-9"),
        ({"exclude_chars": "0O1l", "special": "false"}, "2-9A-NP-Za-km-z"),
    ],
    ids=str,
)
def test_a_generated_password_is_of_the_characters_that_are_wanted(
    session: httpx.Client, query: dict[str, str], allowed: str
) -> None:
    import re

    password = session.get("/api/passwords/generate-password/", params=query).json()["password"]

    assert len(password) == int(query.get("length", 16))
    assert re.fullmatch(f"[{allowed}]+", password)


@pytest.mark.parametrize(
    "query",
    [
        {"length": "3"},
        {"length": "1001"},
        {"length": "x"},
        dict.fromkeys(("uppercase", "lowercase", "digits", "special"), "false"),
    ],
    ids=str,
)
def test_a_password_that_cannot_be_made_is_refused(
    session: httpx.Client, query: dict[str, str]
) -> None:
    answer = session.get("/api/passwords/generate-password/", params=query)
    assert answer.status_code == 400


def test_a_contact_needs_an_address_or_a_number(session: httpx.Client) -> None:
    assert session.post("/api/contacts/", json={"nickname": "x"}).status_code == 400
    assert session.get("/api/contacts/find/").status_code == 400
    assert session.get("/api/contacts/search/").status_code == 400


def test_a_database_is_deleted_when_nobody_uses_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    database = str(tmp_path / "ravi.db")
    store = Store(database)
    with pytest.raises(SettingsError, match="another ravi-local is using it"):
        serve(["reset", "--database", database])
    assert (tmp_path / "ravi.db").exists()
    store.close()

    assert serve(["reset", "--database", database]) == 0
    assert list(tmp_path.iterdir()) == []
    assert serve(["--database", database, "reset"]) == 0
    assert "nothing to delete" in capfd.readouterr().err


def test_a_database_of_another_version_is_refused_with_a_fix_that_works(tmp_path: Path) -> None:
    database = tmp_path / "ravi.db"
    older = sqlite3.connect(database)
    older.execute("CREATE TABLE identities (id INTEGER)")
    older.close()

    with pytest.raises(SettingsError, match="another version") as caught:
        Store(str(database))
    assert caught.value.fix
    program, *words = shlex.split(caught.value.fix)
    assert (program, serve(words)) == ("ravi-local", 0)
    Store(str(database)).close()


def test_a_file_that_is_no_database_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "ravi.db").write_bytes(b"nonsense" * 1000)

    with pytest.raises(SettingsError, match="not a database"):
        Store(str(tmp_path / "ravi.db"))


# --- device login ------------------------------------------------------------------------------


def test_a_device_login_waits_for_approval_and_gives_a_key_once(
    local: LocalRavi, anna: Record
) -> None:
    with httpx.Client(base_url=local.url, event_hooks=hooks(conformance(local.url))) as device:
        started = device.post(DEVICE).json()
        body = {"device_code": started["device_code"]}
        pending = device.post(f"{DEVICE}token/", json=body)
        local.logins.approve(started["user_code"].lower())
        answer = device.post(f"{DEVICE}token/", json={**body, "wait": True})
        again = device.post(f"{DEVICE}token/", json=body)

    assert (pending.status_code, pending.json()["error"]) == (400, "authorization_pending")
    assert answer.status_code == 200
    assert [identity["uuid"] for identity in answer.json()["identities"]] == [anna.uuid]
    assert (again.status_code, again.json()["error"]) == (400, "expired_token")
    headers = {"Authorization": f"Bearer {answer.json()['management_key']}"}
    assert httpx.get(f"{local.url}/api/identities/", headers=headers).status_code == 200


def test_logins_are_approved_at_once_where_the_server_was_started_so() -> None:
    options = Options(approve_logins=True)
    with LocalRavi(database=":memory:", management_key=MANAGEMENT_KEY, options=options) as local:
        code = httpx.post(f"{local.url}{DEVICE}").json()["device_code"]
        answer = httpx.post(f"{local.url}{DEVICE}token/", json={"device_code": code})

    assert answer.json()["management_key"].startswith("ravi_mgmt_")


def test_not_more_logins_wait_than_somebody_could_look_at(local: LocalRavi) -> None:
    answers = [httpx.post(f"{local.url}{DEVICE}") for _ in range(101)]

    assert {answer.status_code for answer in answers[:100]} == {200}
    assert answers[100].status_code == 429
    assert answers[100].headers["retry-after"]


def test_an_sso_token_is_for_one_identity(
    local: LocalRavi, session: httpx.Client, anna: Record
) -> None:
    token: dict[str, Any] = session.post("/api/sso/token/").json()
    account = {"Authorization": f"Bearer {MANAGEMENT_KEY}"}

    assert token["token"].startswith("rvt_")
    assert httpx.post(f"{local.url}/api/sso/token/", headers=account).status_code == 400
