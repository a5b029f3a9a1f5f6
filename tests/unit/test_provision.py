"""Provisioning against a service that fails in every way it can."""

import time

import pytest

from conftest import MANAGEMENT_KEY
from generations import Service
from ravi_agent.credential import Credential
from ravi_agent.errors import (
    AnswerError,
    RaviError,
    RefusedError,
    SettingsError,
    ThrottledError,
    UnreachableError,
)
from ravi_agent.identity import Identity
from ravi_agent.local.app import REFRESH_TOKEN
from ravi_agent.local.faults import Fault
from ravi_agent.local.server import LocalRavi
from ravi_agent.log import Log
from ravi_agent.service.api import RaviApi
from ravi_agent.service.provision import Provisioner

IDENTITIES = "/api/identities/"
KEYS = "/api/auth/keys/"


def provision(
    service: Service,
    log: Log,
    *,
    name: str = "task-1",
    timeout_s: float = 10.0,
    phone_policy: str = "auto",
    key: str = MANAGEMENT_KEY,
    is_fresh: bool = False,
) -> Identity:
    with RaviApi(service.url, Credential(key, "test")) as api:
        provisioner = Provisioner(
            api,
            deadline=time.monotonic() + timeout_s,
            phone_policy=phone_policy,
            log=log,
            settle_s=0.5,
        )
        return provisioner.provision(name, is_fresh=is_fresh)


def names(service: Service) -> list[str]:
    return [record.name for record in service.store.identities()]


def calls(service: Service) -> list[str]:
    return [f"{entry['method']} {entry['path']}" for entry in service.requests.entries]


def test_a_new_name_is_looked_up_created_and_given_a_key(service: Service, log: Log) -> None:
    identity = provision(service, log)

    assert calls(service) == [f"GET {IDENTITIES}", f"POST {IDENTITIES}", f"POST {KEYS}identity/"]
    assert identity.name == "task-1"
    assert identity.email == "task-1@ravi-local.test"
    assert identity.phone
    assert identity.key
    assert service.store.identity_of_key(identity.key)


def test_a_fresh_name_is_not_looked_up(service: Service, log: Log) -> None:
    provision(service, log, is_fresh=True)

    assert calls(service) == [f"POST {IDENTITIES}", f"POST {KEYS}identity/"]


def test_the_one_identity_of_that_name_is_adopted(service: Service, log: Log) -> None:
    first = provision(service, log)
    second = provision(service, log)

    assert second.uuid == first.uuid
    assert second.key != first.key
    assert names(service) == ["task-1"]


def test_two_of_that_name_are_named_and_neither_is_taken(service: Service, log: Log) -> None:
    made = [service.store.create(name="task-1", email=None, with_phone=False) for _ in range(2)]

    with pytest.raises(RefusedError) as caught:
        provision(service, log)

    assert all(record.uuid in str(caught.value) for record in made)
    assert len(names(service)) == 2


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(drop="after", count=1), id="reset after commit"),
        pytest.param(Fault(drop="before", count=1), id="reset before commit"),
        pytest.param(Fault(status=500, count=1), id="500"),
        pytest.param(Fault(status=502, body="<html>Bad Gateway</html>", count=1), id="502 as HTML"),
        pytest.param(Fault(status=503, count=2), id="503 twice"),
        pytest.param(
            Fault(status=429, body={"retry_after_seconds": 0.2}, count=2), id="429 with a body"
        ),
        pytest.param(
            Fault(status=429, headers={"retry-after": "1"}, count=1), id="429 with a header"
        ),
    ],
)
@pytest.mark.parametrize("is_fresh", [True, False], ids=["fresh", "looked up"])
def test_one_identity_comes_of_a_creation_that_fails_for_a_while(
    service: Service, log: Log, fault: Fault, is_fresh: bool
) -> None:
    fault = Fault(**{**vars(fault), "method": "POST", "path": IDENTITIES})  # a count of its own
    service.faults.append(fault)

    identity = provision(service, log, is_fresh=is_fresh)

    assert names(service) == ["task-1"]
    assert identity.uuid == service.store.identities()[0].uuid


@pytest.mark.parametrize("stall", ["before", "after"])
def test_a_creation_that_times_out_is_looked_up_before_it_is_sent_again(
    service: Service, log: Log, monkeypatch: pytest.MonkeyPatch, stall: str
) -> None:
    monkeypatch.setattr("ravi_agent.service.patience.CALL_TIMEOUT_S", 0.5)
    service.faults.append(Fault(method="POST", path=IDENTITIES, stall=stall, count=1))

    provision(service, log, is_fresh=True)

    assert names(service) == ["task-1"]
    posts = [at for at, call in enumerate(calls(service)) if call == f"POST {IDENTITIES}"]
    if len(posts) == 2:
        assert f"GET {IDENTITIES}" in calls(service)[posts[0] : posts[1]]


def test_a_creation_that_was_slow_and_not_lost_is_adopted(
    service: Service, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ravi_agent.service.patience.CALL_TIMEOUT_S", 0.3)
    service.faults.append(Fault(method="POST", path=IDENTITIES, delay_s=0.6, count=1))

    provision(service, log, is_fresh=True)

    assert names(service) == ["task-1"]


@pytest.mark.parametrize(
    ("status", "code"), [(400, 77), (401, 77), (402, 77), (403, 77), (404, 77)]
)
def test_a_refusal_is_final(service: Service, log: Log, status: int, code: int) -> None:
    service.faults.append(Fault(path=IDENTITIES, status=status))

    with pytest.raises(RefusedError) as caught:
        provision(service, log)

    assert caught.value.exit_code == code
    assert len(calls(service)) == 1


@pytest.mark.parametrize("status", [402, 409])
def test_a_refused_phone_is_done_without(service: Service, log: Log, status: int) -> None:
    service.faults.append(Fault(method="POST", path=IDENTITIES, status=status, count=1))

    identity = provision(service, log)

    assert identity.phone is None
    assert names(service) == ["task-1"]


@pytest.mark.parametrize("status", [402, 409])
def test_a_refused_phone_is_final_where_one_is_required(
    service: Service, log: Log, status: int
) -> None:
    service.faults.append(Fault(method="POST", path=IDENTITIES, status=status, count=1))

    with pytest.raises(RefusedError):
        provision(service, log, phone_policy="require")

    assert names(service) == []


def test_no_phone_is_asked_for_where_none_is_wanted(service: Service, log: Log) -> None:
    assert provision(service, log, phone_policy="never").phone is None


def test_an_older_account_has_no_keys_and_goes_on(service: Service, log: Log) -> None:
    service.faults.append(Fault(path=KEYS, status=404))

    assert provision(service, log).key is None


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("<html>welcome</html>", id="not JSON"),
        pytest.param({"uuid": "u"}, id="lacks fields"),
        pytest.param([], id="a list"),
        pytest.param({"uuid": "u", "name": "n", "inbox": 7}, id="wrong type"),
        pytest.param({"uuid": "u", "name": "n", "inbox": "a'b@c"}, id="unquotable"),
        pytest.param({"uuid": "u" * 1_000_000}, id="a megabyte"),
        pytest.param("[" * 100_000, id="deeply nested"),
    ],
)
def test_an_answer_that_makes_no_sense_is_never_followed_by_a_second_creation(
    service: Service, log: Log, body: object
) -> None:
    service.faults.append(Fault(method="POST", path=IDENTITIES, status=201, body=body))

    with pytest.raises(AnswerError) as caught:
        provision(service, log)

    assert caught.value.exit_code == 76
    assert calls(service).count(f"POST {IDENTITIES}") == 1


def test_an_identity_behind_an_answer_that_makes_no_sense_is_adopted(
    service: Service, log: Log
) -> None:
    service.faults.append(
        Fault(method="POST", path=IDENTITIES, commit=True, status=201, body="<html>", count=1)
    )

    provision(service, log, is_fresh=True)

    assert names(service) == ["task-1"]
    assert calls(service).count(f"POST {IDENTITIES}") == 1


def test_a_redirect_is_not_followed(service: Service, log: Log) -> None:
    with LocalRavi(database=":memory:", management_key=MANAGEMENT_KEY) as elsewhere:
        service.faults.append(
            Fault(
                path="/api/", status=307, headers={"location": f"{elsewhere.url}/api/identities/"}
            )
        )

        with pytest.raises(AnswerError, match=r"redirect to '127\.0\.0\.1'"):
            provision(service, log)

        assert list(elsewhere.requests.entries) == []


def test_a_service_that_is_not_there_is_said_so_at_the_deadline(log: Log) -> None:
    with LocalRavi(database=":memory:", management_key=MANAGEMENT_KEY) as local:
        pass  # its port answers nobody any more

    with pytest.raises(UnreachableError, match=r"after \d+ attempts") as caught:
        provision(Service(local, local.url), log, timeout_s=1.0)

    assert caught.value.exit_code == 69


def test_a_name_that_does_not_resolve_is_unreachable(log: Log) -> None:
    with RaviApi("http://no-such-host", Credential(MANAGEMENT_KEY, "test")) as api:
        provisioner = Provisioner(
            api, deadline=time.monotonic() + 0.5, phone_policy="auto", log=log
        )
        with pytest.raises(UnreachableError):
            provisioner.provision("task-1")


def test_throttling_to_the_end_has_a_code_of_its_own(service: Service, log: Log) -> None:
    service.faults.append(Fault(status=429, body={"retry_after_seconds": 30}))

    with pytest.raises(ThrottledError) as caught:
        provision(service, log, timeout_s=1.0)

    assert caught.value.exit_code == 75
    assert len(calls(service)) == 1  # a wait that ends after the deadline is not begun


def test_a_throttled_call_waits_as_it_was_told(service: Service, log: Log) -> None:
    service.faults.append(
        Fault(method="POST", status=429, body={"retry_after_seconds": 1}, count=1)
    )

    provision(service, log)

    times = [float(str(entry["time"])) for entry in service.requests.entries]
    assert times[2] - times[1] >= 0.99


def test_no_error_holds_the_key(
    service: Service, log: Log, capfd: pytest.CaptureFixture[str]
) -> None:
    for fault in (
        Fault(status=401, body={"detail": f"bad token {'x' * 5000}"}, count=1),
        Fault(status=500),
    ):
        service.faults[:] = [fault]
        with pytest.raises(RaviError) as caught:
            provision(service, log, timeout_s=0.5)
        assert MANAGEMENT_KEY not in caught.value.lines("test")
        assert len(caught.value.lines("test")) < 1000

    captured = capfd.readouterr()
    assert MANAGEMENT_KEY not in captured.out + captured.err


def provision_with(service: Service, log: Log, credential: Credential) -> Identity:
    with RaviApi(service.url, credential) as api:
        deadline = time.monotonic() + 5
        provisioner = Provisioner(api, deadline=deadline, phone_policy="auto", log=log)
        return provisioner.provision("task-1")


@pytest.mark.parametrize("expires_at", [1.0, None], ids=["known to have expired", "found out"])
def test_an_expired_access_token_is_renewed_once(
    service: Service, log: Log, expires_at: float | None
) -> None:
    credential = Credential(
        "old.access.token", "auth.json", refresh_token=REFRESH_TOKEN, expires_at=expires_at
    )

    identity = provision_with(service, log, credential)

    assert identity.key is None  # an older account has no identity keys
    assert names(service) == ["task-1"]
    assert calls(service).count("POST /api/auth/token/refresh/") == 1


def test_an_access_token_that_cannot_be_renewed_is_refused(service: Service, log: Log) -> None:
    credential = Credential("old.access.token", "auth.json", refresh_token="stale")

    with pytest.raises(RefusedError, match="401"):
        provision_with(service, log, credential)

    assert len(calls(service)) == 2


@pytest.mark.parametrize("status", [400, 422])
def test_a_name_that_the_service_does_not_take_is_named_with_its_reason(
    service: Service, log: Log, status: int
) -> None:
    body = {
        "error": {
            "code": "validation.failed",
            "message": "Validation failed",
            "details": {"name": ["At most 100 characters."]},
        }
    }
    service.faults.append(Fault(method="POST", path=IDENTITIES, status=status, body=body))

    with pytest.raises(RefusedError) as caught:
        provision(service, log)

    assert "identity name 'task-1' is not taken, and nothing was created" in str(caught.value)
    assert "At most 100 characters." in str(caught.value)
    assert "RAVI_IDENTITY_NAME" in str(caught.value.fix)
    assert calls(service).count(f"POST {IDENTITIES}") == 1


@pytest.mark.parametrize("status", [400, 403, 422])
@pytest.mark.parametrize(
    "error",
    [
        {"code": "validation.failed", "details": {"provision_phone": ["Not in your plan."]}},
        {"code": "validation.failed", "details": {"code": "identity.no_phone"}},
        {"code": "phone.unavailable", "message": "None left."},
    ],
    ids=["field", "code of the details", "code"],
)
def test_a_phone_that_is_refused_by_name_is_done_without(
    service: Service, log: Log, status: int, error: dict[str, object]
) -> None:
    service.faults.append(
        Fault(method="POST", path=IDENTITIES, status=status, body={"error": error}, count=1)
    )

    assert provision(service, log).phone is None
    assert names(service) == ["task-1"]


@pytest.mark.parametrize("name", [" task-1", "task-1 ", "\u00a0task-1"])
def test_a_name_that_would_be_stored_as_another_is_refused_before_anything_is_asked(
    service: Service, log: Log, name: str
) -> None:
    with pytest.raises(SettingsError, match="white space") as caught:
        provision(service, log, name=name)

    assert caught.value.exit_code == 78
    assert calls(service) == []


def test_a_name_that_the_service_has_changed_is_said(
    service: Service, log: Log, capfd: pytest.CaptureFixture[str]
) -> None:
    body = {"uuid": "0a1b", "name": "task-1-2", "inbox": "task-1-2@ravi-local.test"}
    service.faults.append(Fault(method="POST", path=IDENTITIES, status=201, body=body))
    service.faults.append(Fault(method="POST", path=KEYS, status=404))

    assert provision(service, log, phone_policy="never").name == "task-1-2"
    assert "RAVI_IDENTITY_NAME='task-1-2'" in capfd.readouterr().err


def test_a_service_that_says_when_it_is_back_is_asked_then(service: Service, log: Log) -> None:
    service.faults.append(
        Fault(
            method="POST", status=503, headers={"retry-after": "1"}, body={"detail": "x"}, count=1
        )
    )

    provision(service, log, is_fresh=True)

    times = [float(str(entry["time"])) for entry in service.requests.entries]
    assert times[1] - times[0] >= 0.99


def test_a_service_that_says_it_is_back_after_the_deadline_is_asked_before(
    service: Service, log: Log
) -> None:
    service.faults.append(
        Fault(
            method="POST",
            status=503,
            headers={"retry-after": "3600"},
            body={"detail": "x"},
            count=1,
        )
    )

    provision(service, log, is_fresh=True)

    assert names(service) == ["task-1"]
