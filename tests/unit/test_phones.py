"""A phone number for an adopted identity: it is paid for, so nobody asks twice in the dark."""

import time

import pytest

from conftest import MANAGEMENT_KEY
from generations import Service
from ravi_agent.credential import Credential
from ravi_agent.errors import RaviError, RefusedError
from ravi_agent.identity import Identity
from ravi_agent.local.faults import Fault
from ravi_agent.log import Log
from ravi_agent.service.api import RaviApi
from ravi_agent.service.provision import Provisioner


def adopt(service: Service, log: Log, *, policy: str = "auto", timeout_s: float = 10.0) -> Identity:
    with RaviApi(service.url, Credential(MANAGEMENT_KEY, "test")) as api:
        provisioner = Provisioner(
            api,
            deadline=time.monotonic() + timeout_s,
            phone_policy=policy,
            log=log,
            settle_s=0.3,
        )
        return provisioner.provision("task-1")


@pytest.fixture
def path(service: Service) -> str:
    """Where a number is bought for the one identity that there is, which has none."""
    made = service.store.create(name="task-1", email=None, with_phone=False)
    return f"/api/identities/{made.uuid}/provision-phone/"


def calls(service: Service) -> list[str]:
    return [f"{entry['method']} {entry['path']}" for entry in service.requests.entries]


def phones(service: Service) -> list[str | None]:
    return [record.phone for record in service.store.identities()]


@pytest.mark.parametrize("policy", ["auto", "require"])
def test_an_adopted_identity_without_a_number_gets_one(
    service: Service, path: str, log: Log, policy: str
) -> None:
    identity = adopt(service, log, policy=policy)

    assert identity.phone
    assert phones(service) == [identity.phone]
    assert calls(service).count(f"POST {path}") == 1


def test_one_with_a_number_gets_no_other(service: Service, path: str, log: Log) -> None:
    first = adopt(service, log)
    second = adopt(service, log, policy="require")

    assert second.phone == first.phone
    assert calls(service).count(f"POST {path}") == 1


def test_none_is_asked_for_where_none_is_wanted(service: Service, path: str, log: Log) -> None:
    assert adopt(service, log, policy="never").phone is None
    assert f"POST {path}" not in calls(service)


@pytest.mark.parametrize("status", [400, 402, 404, 405, 409, 422])
def test_a_refused_number_is_done_without(
    service: Service, path: str, log: Log, status: int, capfd: pytest.CaptureFixture[str]
) -> None:
    service.faults.append(Fault(path=path, status=status))

    identity = adopt(service, log)

    assert identity.phone is None
    assert identity.key
    assert "warning: identity task-1 has no phone number, and goes on without" in (
        capfd.readouterr().err
    )
    assert calls(service).count(f"POST {path}") == 1


@pytest.mark.parametrize("status", [400, 402, 404, 405, 409, 422])
def test_a_refused_number_is_final_where_one_is_required(
    service: Service, path: str, log: Log, status: int
) -> None:
    service.faults.append(Fault(path=path, status=status))

    with pytest.raises(RefusedError, match="identity task-1 has no phone number") as caught:
        adopt(service, log, policy="require")

    assert caught.value.status == status
    assert calls(service).count(f"POST {path}") == 1


def test_a_key_that_may_buy_no_number_is_done_with_all_the_same(
    service: Service, path: str, log: Log
) -> None:
    error = {"error": {"code": "phone.forbidden", "message": "Not in your plan."}}
    service.faults.append(Fault(path=path, status=403, body=error))

    assert adopt(service, log).phone is None


@pytest.mark.parametrize("policy", ["auto", "require"])
@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_may_not_is_final(
    service: Service, path: str, log: Log, status: int, policy: str
) -> None:
    service.faults.append(Fault(path=path, status=status))

    with pytest.raises(RefusedError):
        adopt(service, log, policy=policy)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(drop="after", count=1), id="reset after commit"),
        pytest.param(Fault(commit=True, status=500, count=1), id="500 after commit"),
        pytest.param(Fault(commit=True, status=200, body="<html>", count=1), id="no JSON"),
        pytest.param(Fault(commit=True, status=204, body="", count=1), id="no body"),
        pytest.param(Fault(commit=True, status=200, body={"uuid": "u"}, count=1), id="no identity"),
    ],
)
def test_a_number_that_was_bought_after_all_is_not_bought_again(
    service: Service, path: str, log: Log, fault: Fault
) -> None:
    service.faults.append(Fault(**{**vars(fault), "method": "POST", "path": path}))

    identity = adopt(service, log, policy="require")

    assert identity.phone
    assert phones(service) == [identity.phone]
    assert calls(service).count(f"POST {path}") == 1


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(drop="before", count=1), id="reset before commit"),
        pytest.param(Fault(status=503, count=1), id="503"),
        pytest.param(Fault(status=429, body={"retry_after_seconds": 0.2}, count=1), id="429"),
    ],
)
def test_a_number_that_was_not_bought_is_asked_for_again_after_a_look(
    service: Service, path: str, log: Log, fault: Fault
) -> None:
    service.faults.append(Fault(**{**vars(fault), "method": "POST", "path": path}))

    identity = adopt(service, log, policy="require")

    assert phones(service) == [identity.phone]
    if fault.status != 429:  # which says by itself that nothing was done
        look = f"GET {path.removesuffix('provision-phone/')}"
        made = [call for call in calls(service) if call in {look, f"POST {path}"}]
        assert made == [f"POST {path}", look, f"POST {path}"]


def test_a_service_out_of_order_does_not_keep_an_agent_that_can_do_without(
    service: Service, path: str, log: Log
) -> None:
    service.faults.append(Fault(path=path, status=502))

    assert adopt(service, log).phone is None
    with pytest.raises(RaviError):
        adopt(service, log, policy="require", timeout_s=2.0)
