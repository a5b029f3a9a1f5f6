"""A run starts although the API server goes away between any two of its steps."""

from typing import Any

import pytest

from conftest import MANAGEMENT_KEY
from fake_kubernetes.cluster import Object
from fake_kubernetes.server import FakeKubernetes, Fault
from ravi_agent.credential import Credential
from ravi_agent.errors import EngineError, UsageError
from ravi_agent.launcher.kubernetes import manifests, patience, starting
from ravi_agent.launcher.kubernetes.api import KubernetesApi
from ravi_agent.launcher.kubernetes.patience import Patience
from ravi_agent.launcher.kubernetes.refusal import KubernetesError
from ravi_agent.launcher.model.request import JobOptions
from ravi_agent.launcher.planning.container import ContainerOptions
from ravi_agent.launcher.planning.plan import Plan, Task

CREDENTIAL = Credential(MANAGEMENT_KEY, "a test")
STEPS = ["create jobs", "create configmaps", "create networkpolicies", "create secrets"]
STEPS += ["patch jobs"]


@pytest.fixture
def api(api: KubernetesApi, monkeypatch: pytest.MonkeyPatch) -> KubernetesApi:
    """Calls are repeated at once; the time that is waited in all stays as it is."""
    monkeypatch.setattr(patience, "RETRY_S", (0.01,))
    return api


def make_plan() -> Plan:
    """Two agents with settings of their own, in a ConfigMap, behind a NetworkPolicy."""
    tasks = [
        Task(
            id=f"task-{index}",
            index=index,
            identity_name=f"task-nightly-{index}",
            image="my-agent",
            command=("agent", str(index)),
            environment={"PART": str(index)},
        )
        for index in range(2)
    ]
    isolated = ContainerOptions(is_isolated=True)
    return Plan(
        run="nightly", image="my-agent", tasks=tasks, api_url="https://ravi.id", container=isolated
    )


def begin(api: KubernetesApi) -> tuple[Object, list[str]]:
    said: list[str] = []
    return starting.start(api, make_plan(), JobOptions(), CREDENTIAL, said.append), said


def resume(api: KubernetesApi) -> Object:
    return starting.take_over(api, make_plan(), lambda: CREDENTIAL, print)


def objects(fake: FakeKubernetes) -> dict[str, Object]:
    """The only object of each kind."""
    found = {kind: one for (kind, _, _), one in fake.cluster.objects.items()}
    assert len(found) == len(fake.cluster.objects)
    return found


def owner(one: Object) -> str:
    (found,) = one["metadata"]["ownerReferences"]
    return str(found["uid"])


@pytest.mark.parametrize("is_late", [False, True], ids=["before it is done", "after it is done"])
@pytest.mark.parametrize("code", [0, 503], ids=["cut off", "shutting down"])
@pytest.mark.parametrize("step", STEPS)
def test_a_server_that_goes_away_at_any_step_is_waited_for(
    api: KubernetesApi, fake: FakeKubernetes, step: str, code: int, is_late: bool
) -> None:
    verb, resource = step.split()
    fake.faults.append(Fault(verb, resource, code, "Away", "shutting down", is_late=is_late))
    fake.faults.append(Fault(verb, resource, 503, "ServiceUnavailable", "not up"))

    job, said = begin(api)

    found = objects(fake)
    assert set(found) == {"jobs", "configmaps", "networkpolicies", "secrets"}
    assert not found["jobs"]["spec"]["suspend"]
    for kind in ("configmaps", "networkpolicies", "secrets"):
        assert owner(found[kind]) == job["metadata"]["uid"] == found["jobs"]["metadata"]["uid"]
    assert len(said) == 1
    assert "waiting for it" in said[0]


def test_a_secret_that_may_not_be_read_is_made_once_all_the_same(
    api: KubernetesApi, fake: FakeKubernetes
) -> None:
    """The rights that a launcher needs have no reading of Secrets."""
    fake.faults.append(Fault("create", "secrets", 0, is_late=True))
    fake.faults.append(Fault("get", "secrets", 403, "Forbidden", "no right", count=99))

    job, _ = begin(api)

    assert owner(objects(fake)["secrets"]) == job["metadata"]["uid"]


@pytest.mark.parametrize("code", [401, 403])
def test_a_server_that_has_been_away_may_refuse_while_it_starts(
    api: KubernetesApi, fake: FakeKubernetes, code: int
) -> None:
    fake.faults.append(Fault("create", "secrets", 0))
    fake.faults.append(Fault("create", "secrets", code, "Refused", "not yet", count=3))

    begin(api)

    assert not objects(fake)["jobs"]["spec"]["suspend"]


def test_a_refusal_of_a_server_that_was_not_away_is_final(
    api: KubernetesApi, fake: FakeKubernetes
) -> None:
    fake.faults.append(Fault("create", "secrets", 403, "Forbidden", "no right"))

    with pytest.raises(EngineError, match="no right"):
        begin(api)

    assert fake.cluster.objects == {}


@pytest.mark.parametrize("step", STEPS[1:])
def test_a_run_whose_server_stays_away_says_how_to_go_on_and_does(
    api: KubernetesApi, fake: FakeKubernetes, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    verb, resource = step.split()
    fault = Fault(verb, resource, 503, "ServiceUnavailable", "not up", count=99)
    fake.faults.append(fault)
    monkeypatch.setattr(patience, "AWAY_S", 0.05)

    with pytest.raises(EngineError, match=r"stands? suspended") as caught:
        begin(api)

    assert caught.value.fix == "ravi-launch --backend kubernetes --resume nightly"
    found = objects(fake)
    assert found["jobs"]["spec"]["suspend"]
    assert all(owner(one) for kind, one in found.items() if kind != "jobs")
    fault.count = 0
    if step == "create configmaps":  # a launcher that resumes does not know the tasks
        with pytest.raises(UsageError, match="before its tasks"):
            resume(api)
        return
    # The rights that a launcher needs have no reading of Secrets.
    fake.faults.append(Fault("get", "secrets", 403, "Forbidden", "no right", count=99))
    resume(api)
    found = objects(fake)
    assert set(found) == {"jobs", "configmaps", "networkpolicies", "secrets"}
    assert not found["jobs"]["spec"]["suspend"]
    assert owner(found["secrets"]) == found["jobs"]["metadata"]["uid"]


def test_a_job_of_a_launcher_that_was_faster_is_left_alone(
    api: KubernetesApi, fake: FakeKubernetes, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = manifests.job(make_plan(), JobOptions())
    create = api.create

    def lose_race(resource: str, body: Object) -> Object:
        if not fake.cluster.objects:
            create("jobs", theirs)
        return create(resource, body)

    monkeypatch.setattr(api, "create", lose_race)

    with pytest.raises(KubernetesError, match="already exists"):
        begin(api)

    assert set(objects(fake)) == {"jobs"}


@pytest.mark.parametrize("can_delete", [True, False])
def test_an_interrupt_while_the_server_is_away_leaves_nothing_or_says_so(
    api: KubernetesApi, fake: FakeKubernetes, can_delete: bool
) -> None:
    fake.faults.append(Fault("create", "secrets", 503, "ServiceUnavailable", "not up", count=99))
    if not can_delete:
        fake.faults.append(Fault("delete", "jobs", 503, "ServiceUnavailable", "not up"))
    said: list[str] = []

    def interrupt(text: str) -> None:
        said.append(text)
        if "waiting" in text:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        starting.start(api, make_plan(), JobOptions(), CREDENTIAL, interrupt)

    assert ("jobs" in objects(fake)) != can_delete
    assert any("may stand suspended" in line for line in said) != can_delete


class Clock:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def refused(status: int) -> KubernetesError:
    return KubernetesError("cannot list pods", "no", status=status)


def test_a_server_that_was_away_for_minutes_has_its_moment_of_refusals_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr("time.monotonic", clock)
    one = Patience(has_answered=True)
    assert one.pause_s(refused(503)) is not None
    clock.now = patience.AWAY_S - 1
    assert one.pause_s(refused(503)) is not None
    clock.now += 20
    assert one.pause_s(refused(403)) is not None
    clock.now += patience.REFUSED_S - 1
    assert one.pause_s(refused(403)) is not None
    clock.now += 2

    assert one.pause_s(refused(403)) is None


def test_who_has_never_been_answered_waits_for_seconds_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("time.monotonic", Clock())
    one = Patience()
    pauses: list[Any] = [one.pause_s(refused(503)) for _ in range(6)]

    assert pauses == [0.5, 1, 2, 4, 8, None]
