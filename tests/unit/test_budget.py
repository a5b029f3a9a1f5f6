"""What a run costs is known before anything is started, or said not to be."""

import pytest

from conftest import MANAGEMENT_KEY
from ravi_agent.credential import Credential
from ravi_agent.errors import UsageError
from ravi_agent.identity import Identity
from ravi_agent.launcher.model.budget import Budget, make_budget
from ravi_agent.launcher.planning.plan import Plan, make_plan
from ravi_agent.launcher.planning.spec import RunSpec
from ravi_agent.local.faults import Fault
from ravi_agent.local.server import LocalRavi

CREDENTIAL = Credential(MANAGEMENT_KEY, "test")


def plan_of(count: int, *, is_fresh: bool = False) -> Plan:
    spec = RunSpec(image="my-agent:1", count=count, api_url="https://ravi.example")
    return make_plan("nightly", spec, is_fresh=is_fresh)


def budget_of(count: int, *indexes: int) -> Budget:
    """The budget of a run of which these identities are there already."""
    names = [f"task-nightly-{index:04d}" for index in indexes]
    there = {
        name: Identity(uuid="u", name=name, email="e@x", phone=None, created_at="")
        for name in names
    }
    return Budget(plan=plan_of(count), identities=there)


UNKNOWN = Budget(plan=plan_of(3), identities=None, why_unknown="no answer")


def test_what_is_there_is_adopted_and_the_rest_is_created() -> None:
    budget = budget_of(5, 0, 3, 7)

    assert (budget.adopted, budget.created) == (2, 3)
    assert budget.action("task-nightly-0003") == "adopt"
    assert budget.action("task-nightly-0001") == "create"
    assert budget.line() == "run nightly: 5 agents; 3 identities to create, 2 to adopt"


def test_where_nobody_knows_it_is_said_why() -> None:
    assert UNKNOWN.action("task-nightly-0000") == "unknown"
    assert UNKNOWN.line() == (
        "run nightly: 3 agents; identities are adopted or created (no answer)"
    )


@pytest.mark.parametrize("limit", [None, 3, 4])
def test_a_run_within_its_limit_goes_on(limit: int | None) -> None:
    budget_of(5, 0, 3).check(limit)


@pytest.mark.parametrize("limit", [0, 2])
def test_a_run_over_its_limit_is_refused(limit: int) -> None:
    with pytest.raises(UsageError) as caught:
        budget_of(5, 0, 3).check(limit)

    assert str(caught.value) == (f"--max-identities {limit}: 3 of 5 would have to be created")
    assert caught.value.fix == "--max-identities 3, or fewer agents"
    assert caught.value.exit_code == 64


def test_a_limit_of_nought_lets_through_what_creates_nothing() -> None:
    budget_of(2, 0, 1).check(0)


def test_a_limit_that_nobody_can_keep_is_refused_and_no_limit_is_not() -> None:
    UNKNOWN.check(None)
    with pytest.raises(UsageError) as caught:
        UNKNOWN.check(1000)

    assert str(caught.value) == (
        "--max-identities 1000: nobody knows how many there are: no answer"
    )


def test_a_run_with_a_new_name_asks_nobody(local: LocalRavi) -> None:
    budget = make_budget(plan_of(3, is_fresh=True), local.url, CREDENTIAL)

    assert (budget.adopted, budget.created) == (0, 3)
    assert list(local.requests.entries) == []


def test_a_run_with_a_name_asks_once_for_all(local: LocalRavi) -> None:
    made = local.store.create(name="task-nightly-0001", email=None, with_phone=False)
    local.store.create(name="task-weekly-0000", email=None, with_phone=False)

    budget = make_budget(plan_of(3), local.url, CREDENTIAL)

    assert (budget.adopted, budget.created) == (1, 2)
    assert budget.identities is not None
    assert budget.identities["task-nightly-0001"].uuid == made.uuid
    assert [entry["method"] for entry in local.requests.entries] == ["GET"]


@pytest.mark.parametrize(
    "fault",
    [Fault(status=503), Fault(status=401), Fault(drop="before"), Fault(status=200, body="[")],
    ids=["unavailable", "refused", "dropped", "no JSON"],
)
def test_a_service_that_does_not_say_is_no_error_and_its_reason_shows_no_key(
    fault: Fault, local: LocalRavi
) -> None:
    local.faults.append(fault)

    budget = make_budget(plan_of(3), local.url, CREDENTIAL)

    assert budget.identities is None
    assert budget.why_unknown
    assert budget.why_unknown in budget.line()
    assert MANAGEMENT_KEY not in repr(budget)
