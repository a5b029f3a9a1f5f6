"""Identity keys: minted with a label of this project, revoked by it, and tried."""

import time
from typing import Any

import pytest

from conftest import MANAGEMENT_KEY
from generations import Service
from ravi_agent.credential import Credential
from ravi_agent.errors import RaviError, RefusedError
from ravi_agent.identity import Identity
from ravi_agent.local.faults import Fault
from ravi_agent.log import Log
from ravi_agent.service.api import RaviApi
from ravi_agent.service.keys import is_key_accepted, key_label
from ravi_agent.service.provision import Provisioner
from ravi_agent.service.revocation import revoke_keys

KEYS = "/api/auth/keys/identity/"


def account(service: Service) -> RaviApi:
    return RaviApi(service.url, Credential(MANAGEMENT_KEY, "test"))


def provision(service: Service, log: Log, name: str = "task-1") -> Identity:
    with account(service) as api:
        provisioner = Provisioner(
            api, deadline=time.monotonic() + 10, phone_policy="never", log=log, settle_s=0.3
        )
        return provisioner.provision(name)


def revoke(service: Service, log: Log, identity: Identity, timeout_s: float = 5.0) -> int:
    with account(service) as api:
        return revoke_keys(api, identity, timeout_s=timeout_s)


def accepted(service: Service, identity: Identity) -> bool | None:
    return is_key_accepted(service.url, identity, timeout_s=5)


def test_a_key_has_a_uuid_where_the_service_gives_one(service: Service, log: Log) -> None:
    identity = provision(service, log)

    with account(service) as api:
        (listed,) = api.read_list("auth/keys/identity/")
    assert identity.key_uuid == listed["uuid"]
    assert listed["label"] == key_label("task-1")


def test_a_revoked_key_opens_nothing(service: Service, log: Log) -> None:
    identity = provision(service, log)
    assert accepted(service, identity) is True

    assert revoke(service, log, identity) == 1

    assert accepted(service, identity) is False


def test_keys_of_other_identities_and_by_other_hands_stay(service: Service, log: Log) -> None:
    first = provision(service, log)
    second = provision(service, log)  # the same identity, with another key
    other = provision(service, log, "task-2")
    with account(service) as api:
        by_hand, _ = api.mint_key(first.uuid, label="laptop")
    mine = first.with_key(by_hand)

    assert revoke(service, log, first) == 1
    assert [accepted(service, one) for one in (first, second, mine, other)] == [
        False,
        True,
        True,
        True,
    ]

    # Without the UUID of a key, all of them that this project has minted for the identity.
    assert revoke(service, log, first.with_key(None)) == 1
    assert [accepted(service, one) for one in (second, mine, other)] == [False, True, True]
    assert revoke(service, log, first.with_key(None)) == 0


def test_the_uuid_of_another_identitys_key_revokes_nothing(service: Service, log: Log) -> None:
    mine, other = provision(service, log), provision(service, log, "task-2")

    with account(service) as api:
        key, _ = api.mint_key(other.uuid, label=key_label("task-1"))

    assert revoke(service, log, mine.with_key(None, other.key_uuid)) == 0
    assert revoke(service, log, mine.with_key(None)) == 1
    assert accepted(service, other) is True
    assert accepted(service, other.with_key(key)) is True


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"method": "DELETE", "drop": "after"}, id="reset after commit"),
        pytest.param({"method": "DELETE", "drop": "before"}, id="reset before commit"),
        pytest.param({"method": "DELETE", "status": 503}, id="503"),
        pytest.param({"method": "GET", "status": 503}, id="503 for the list"),
    ],
)
def test_a_key_is_revoked_by_a_service_that_fails_for_a_while(
    service: Service, log: Log, fault: dict[str, Any]
) -> None:
    identity = provision(service, log)
    service.faults.append(Fault(path=KEYS, count=1, **fault))

    assert revoke(service, log, identity) == 1

    service.faults.clear()
    assert accepted(service, identity) is False


@pytest.mark.parametrize("status", [404, 405])
def test_a_service_without_keys_has_none_to_revoke(service: Service, log: Log, status: int) -> None:
    identity = provision(service, log)
    service.faults.append(Fault(path=KEYS, status=status))

    assert revoke(service, log, identity) == 0


def test_a_service_that_will_not_revoke_says_so(service: Service, log: Log) -> None:
    identity = provision(service, log)
    service.faults.append(Fault(method="DELETE", path=KEYS, status=403))

    with pytest.raises(RefusedError, match="403"):
        revoke(service, log, identity)


def test_revoking_ends_at_the_deadline(service: Service, log: Log) -> None:
    identity = provision(service, log)
    service.faults.append(Fault(path=KEYS, stall="before"))

    with pytest.raises(RaviError):
        revoke(service, log, identity, timeout_s=0.5)


@pytest.mark.parametrize(
    "key", [{"uuid": 7}, {"uuid": None}, {"identity": ["x"], "uuid": "u"}, {"label": {}}, 7, None]
)
def test_keys_of_any_shape_in_the_list_are_no_error(
    service: Service, log: Log, key: object
) -> None:
    identity = provision(service, log)
    service.faults.append(Fault(method="GET", path=KEYS, status=200, body=[key]))

    assert revoke(service, log, identity) == 0


@pytest.mark.parametrize(("status", "said"), [(403, True), (404, True), (500, None), (429, None)])
def test_only_a_service_that_does_not_know_a_key_says_that_it_was_revoked(
    service: Service, log: Log, status: int, said: bool | None
) -> None:
    identity = provision(service, log)
    body = {"error": {"code": "x.y", "message": "m"}}
    service.faults.append(Fault(method="GET", status=status, body=body))

    assert accepted(service, identity) is said
    assert accepted(service, identity.with_key(None)) is None


def test_a_code_says_that_a_key_is_not_known_whatever_the_status(
    service: Service, log: Log
) -> None:
    identity = provision(service, log)
    body = {"error": {"code": "auth.unauthenticated", "message": "m"}}
    service.faults.append(Fault(method="GET", status=403, body=body))

    assert accepted(service, identity) is False


def test_a_label_is_short_enough_for_any_service() -> None:
    assert len(key_label("n" * 500)) == 100
