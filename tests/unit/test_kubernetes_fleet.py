"""Runs on a cluster: what the launcher says of each agent, from what the cluster says of its pods.

The cluster is a fake behind the real client and real HTTP; it refuses what the schemas do not
know, and every test fails whose requests no Kubernetes would have understood.
"""

import copy
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conftest import MANAGEMENT_KEY
from fake_kubernetes.cluster import Object
from fake_kubernetes.controllers import Controllers, Outcome
from fake_kubernetes.server import FakeKubernetes, Fault
from ravi_agent.credential import Credential
from ravi_agent.errors import EngineError, UsageError
from ravi_agent.launcher.kubernetes import jobs, manifests, starting
from ravi_agent.launcher.kubernetes.api import KubernetesApi
from ravi_agent.launcher.kubernetes.fleet import KubernetesFleet, _Heard
from ravi_agent.launcher.kubernetes.pods import INDEX, view
from ravi_agent.launcher.kubernetes.statuses import list_statuses
from ravi_agent.launcher.model.agents import Agent, State
from ravi_agent.launcher.model.request import JobOptions
from ravi_agent.launcher.planning.container import ContainerOptions
from ravi_agent.launcher.planning.plan import Plan, Task
from ravi_agent.launcher.planning.spec import Flow

CREDENTIAL = Credential(MANAGEMENT_KEY, "a test")
IMAGE_GONE = (
    "agent",
    "ImagePullBackOff",
    'Back-off pulling image "my-agnet": ErrImagePull: repository does not exist',
)


class Quiet:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.states: list[tuple[int, State]] = []
        self.lines: list[tuple[int, str]] = []
        self.notes: list[str] = []

    def changed(self, agent: Agent) -> None:
        self.states.append((agent.task.index, agent.state))

    def output(
        self, agent: Agent, data: bytes, *, is_error: bool, shown: Callable[[], None]
    ) -> None:
        assert not is_error
        self.lines += [
            (agent.task.index, line.decode()) for line in data.removesuffix(b"\n").split(b"\n")
        ]
        shown()

    def note(self, text: str) -> None:
        self.notes.append(text)


def unsaid(text: str) -> None:
    """What a start says of a server that it waits for, where none is away."""
    raise AssertionError(text)


Play = Callable[..., Controllers]


@pytest.fixture
def play(fake: FakeKubernetes) -> Iterator[Play]:
    """Let the cluster carry out Jobs: `play(lambda index, attempt: Outcome(…))`."""
    started: list[Controllers] = []

    def play(outcome: Callable[[int, int], Outcome], **options: object) -> Controllers:
        started.append(Controllers(fake.cluster, outcome, **options))  # type: ignore[arg-type]
        return started[-1]

    yield play
    for controllers in started:
        controllers.close()


def make_plan(count: int = 3, *, run: str = "nightly", **flow: Any) -> Plan:
    return Plan(
        run=run,
        image="my-agent",
        tasks=[
            Task(
                id=str(index),
                index=index,
                identity_name=f"task-{run}-{index}",
                image="my-agent",
                command=("python3", "agent.py"),
                environment={"MODEL": "small"},
            )
            for index in range(count)
        ],
        api_url="https://ravi.id",
        flow=Flow(**flow),
    )


def carry_out(
    api: KubernetesApi,
    plan: Plan,
    options: JobOptions | None = None,
    *,
    until_ready: bool = False,
    patience_s: float = 30.0,
) -> tuple[KubernetesFleet, Quiet]:
    observer = Quiet()
    job = starting.start(api, plan, options or JobOptions(), CREDENTIAL, unsaid)
    fleet = KubernetesFleet(plan, api, observer, job, patience_s=patience_s)
    fleet.run(until_ready=until_ready)
    return fleet, observer


def only(fake: FakeKubernetes, resource: str) -> Object:
    (one,) = [one for (kind, _, _), one in fake.cluster.objects.items() if kind == resource]
    return one


def test_every_agent_ends_with_its_identity(
    api: KubernetesApi, fake: FakeKubernetes, play: Play
) -> None:
    play(lambda index, _: Outcome(log=f"I am {index}\n".encode()), is_watched=True)

    fleet, observer = carry_out(api, make_plan(5))

    assert fleet.is_success
    assert [(agent.state, agent.exit_code) for agent in fleet.agents] == [(State.EXITED, 0)] * 5
    assert [agent.identity.name for agent in fleet.agents if agent.identity] == [
        f"task-nightly-{index}" for index in range(5)
    ]
    assert sorted(observer.lines) == [(index, f"I am {index}") for index in range(5)]
    for index in range(5):
        states = [state for one, state in observer.states if one == index]
        assert states[-1] == State.EXITED
        assert states == sorted(states, key=list(State).index)  # a watch that lags skips some


def test_it_watches_and_does_not_poll(api: KubernetesApi, fake: FakeKubernetes, play: Play) -> None:
    play(lambda _index, _attempt: Outcome(), is_watched=True)

    carry_out(api, make_plan(20))

    assert {
        call: fake.called(*call)
        for call in (("watch", "pods"), ("list", "jobs"), ("watch", "jobs"))
    } == {("watch", "pods"): 1, ("list", "jobs"): 1, ("watch", "jobs"): 1}
    assert fake.called("list", "pods") <= 2  # at the end once more, if pods lag behind their Job


def test_the_job_owns_the_secret_and_the_key_is_nowhere_else(
    api: KubernetesApi, fake: FakeKubernetes, play: Play
) -> None:
    play(lambda _index, _attempt: Outcome(is_held=True))
    carry_out(api, make_plan(2), until_ready=True)

    secret, job = only(fake, "secrets"), only(fake, "jobs")
    (owner,) = secret["metadata"]["ownerReferences"]
    assert owner["uid"] == job["metadata"]["uid"]
    assert MANAGEMENT_KEY not in str([body for _, kind, body in fake.bodies if kind != "secrets"])

    jobs.remove(api, "nightly")
    assert fake.cluster.objects == {}


def test_a_failed_agent_says_why_and_shows_its_last_lines(
    api: KubernetesApi, fake: FakeKubernetes, play: Play
) -> None:
    play(lambda index, _: Outcome(exit_code=3, log=b"one\ntwo\n") if index == 1 else Outcome())

    fleet, _ = carry_out(api, make_plan(3))

    assert not fleet.is_success
    assert [agent.exit_code for agent in fleet.agents] == [0, 3, 0]
    assert list(fleet.agents[1].lines) == ["one", "two"]


def test_an_out_of_memory_kill_is_said(api: KubernetesApi, play: Play) -> None:
    play(lambda _index, _attempt: Outcome(exit_code=137, reason="OOMKilled"))

    fleet, _ = carry_out(api, make_plan(1))

    assert fleet.agents[0].exit_code == 137
    assert fleet.agents[0].error == "the agent was killed for want of memory"


def test_a_bad_key_is_said_with_the_init_containers_own_message(
    api: KubernetesApi, fake: FakeKubernetes, play: Play
) -> None:
    message = "ravi-init: error: GET ravi.id: status 401; fix: check the key"
    play(lambda _index, _attempt: Outcome(init_code=77, init_message=message))

    fleet, _ = carry_out(api, make_plan(3))

    assert not fleet.is_success
    assert {agent.state for agent in fleet.agents} == {State.FAILED}
    assert {agent.error for agent in fleet.agents} == {message}
    assert {agent.exit_code for agent in fleet.agents} == {None}


@pytest.mark.parametrize("status", [401, 402])
def test_the_first_refusal_of_the_account_stops_the_run(
    api: KubernetesApi, fake: FakeKubernetes, play: Play, status: int
) -> None:
    message = f"ravi-init: error: create identity: status {status}; fix: check the account"
    refused = Outcome(init_code=77, init_message=message)
    play(lambda index, _: refused if index == 1 else Outcome(is_held=True), is_watched=True)

    fleet, _ = carry_out(api, make_plan(3))

    assert [one.state for one in fleet.agents] == [State.STOPPED, State.FAILED, State.STOPPED]
    assert [one.error for one in fleet.agents] == [
        f"stopped: {message}",
        message,
        f"stopped: {message}",
    ]
    assert not fleet.is_success
    assert only(fake, "jobs")["spec"]["suspend"] is True


@pytest.mark.parametrize(
    "other",
    [
        Outcome(exit_code=77),
        Outcome(init_code=77, init_message="ravi-init: error: mint a key: status 403"),
        Outcome(init_code=69, init_message="ravi-init: error: last answer: status 401"),
    ],
    ids=["the agent's own code", "refused to one identity", "another code"],
)
def test_what_is_no_refusal_of_the_account_stops_no_other_agent(
    api: KubernetesApi, play: Play, other: Outcome
) -> None:
    play(lambda index, _: other if index == 0 else Outcome(), is_watched=True)

    fleet, _ = carry_out(api, make_plan(3))

    assert [one.exit_code for one in fleet.agents[1:]] == [0, 0]


def test_an_image_that_cannot_be_pulled_ends_the_run(api: KubernetesApi, play: Play) -> None:
    play(lambda _index, _attempt: Outcome(waiting=IMAGE_GONE))

    fleet, observer = carry_out(api, make_plan(3))

    assert {agent.state for agent in fleet.agents} == {State.FAILED}
    assert all("repository does not exist" in str(agent.error) for agent in fleet.agents)
    assert str(observer.notes).count("ImagePullBackOff") == 1


def test_one_agent_that_is_stuck_does_not_end_those_that_run(
    api: KubernetesApi, fake: FakeKubernetes, play: Play
) -> None:
    play(lambda index, _: Outcome(waiting=IMAGE_GONE) if index == 0 else Outcome(), is_watched=True)

    fleet, _ = carry_out(api, make_plan(3))

    states = [agent.state for agent in fleet.agents]
    assert states == [State.FAILED, State.EXITED, State.EXITED]


def test_what_no_pod_may_be_is_said_in_the_cluster_s_own_words(
    api: KubernetesApi, play: Play
) -> None:
    refusal = 'pods "x" is forbidden: violates PodSecurity "restricted:latest"'
    play(lambda _index, _attempt: Outcome(), refusal=refusal)

    fleet, _ = carry_out(api, make_plan(2), patience_s=0.2)

    assert {agent.state for agent in fleet.agents} == {State.FAILED}
    assert all("violates PodSecurity" in str(agent.error) for agent in fleet.agents)


def test_a_full_quota_is_waited_for(api: KubernetesApi, play: Play) -> None:
    """It may be somebody else's pods that fill it, and they end some day."""
    refusal = 'pods "x-0-a1b2c" is forbidden: exceeded quota: small, requested: pods=1'
    play(lambda _index, _attempt: Outcome(), refusal=refusal)
    observer = Quiet()
    plan = make_plan(2)
    fleet = KubernetesFleet(
        plan, api, observer, starting.start(api, plan, JobOptions(), CREDENTIAL, unsaid)
    )

    with ThreadPoolExecutor(1) as pool:
        ran = pool.submit(fleet.run)
        while not observer.notes:
            assert not ran.done()
        jobs.remove(api, plan.run)
        ran.result(timeout=60)

    (note,) = observer.notes
    assert "pods are forbidden: exceeded quota: small" in note
    assert {agent.error for agent in fleet.agents} == {"the Job has been deleted"}


def test_an_agent_is_tried_again(api: KubernetesApi, fake: FakeKubernetes, play: Play) -> None:
    play(lambda index, attempt: Outcome(exit_code=1) if (index, attempt) == (0, 0) else Outcome())

    fleet, _ = carry_out(api, make_plan(2, retries=1))

    assert fleet.is_success
    assert [agent.exit_code for agent in fleet.agents] == [0, 0]
    pods = [one for (kind, _, _), one in fake.cluster.objects.items() if kind == "pods"]
    assert len(pods) == 3


def test_what_comes_late_of_the_pod_before_changes_nothing(
    api: KubernetesApi, fake: FakeKubernetes, play: Play
) -> None:
    """The Job controller takes its finalizer off a failed pod when the next one may be there."""
    play(
        lambda _, attempt: Outcome(is_held=True) if attempt else Outcome(init_code=1),
        is_watched=True,
    )
    fleet, _ = carry_out(api, make_plan(1, retries=1), until_ready=True)
    (agent,) = fleet.agents
    (late,) = [
        one
        for (kind, _, name), one in fake.cluster.objects.items()
        if kind == "pods" and name != agent.container
    ]
    now = agent.container

    fleet._handle(_Heard(resource="pods", object=late, is_gone=False))

    assert (agent.container, agent.state, agent.exit_code) == (now, State.RUNNING, None)


def finished_pods(fake: FakeKubernetes) -> list[Object]:
    return [one for (kind, _, _), one in fake.cluster.objects.items() if kind == "pods"]


def rename(fake: FakeKubernetes, pod: Object, name: str) -> None:
    """Lists are alphabetical: this is how a test says where in them a pod stands."""
    cluster, before = fake.cluster, pod["metadata"]["name"]
    cluster.objects.pop(("pods", "default", before), None)
    pod["metadata"]["name"] = name
    cluster.objects["pods", "default", name] = pod
    cluster.logs[name] = cluster.logs[before]


def test_what_an_attempt_before_the_last_has_written_is_shown_wherever_a_list_has_it(
    api: KubernetesApi, fake: FakeKubernetes, play: Play
) -> None:
    """Both ended while the API server was away, or the launcher."""
    play(
        lambda _, attempt: Outcome(exit_code=1 - attempt, log=f"attempt {attempt}\n".encode()),
        is_watched=True,
    )
    fleet, _ = carry_out(api, make_plan(1, retries=1))
    (first,) = [
        one for one in finished_pods(fake) if one["metadata"]["name"] != fleet.agents[0].container
    ]
    rename(fake, first, "ravi-agent-nightly-0-zzzzz")

    observer = Quiet()
    fleet = KubernetesFleet(fleet.plan, api, observer, jobs.find(api, "nightly"))
    fleet.run()

    assert sorted(observer.lines) == [(0, "attempt 0"), (0, "attempt 1")]
    assert list(fleet.agents[0].lines) == ["attempt 1"]
    assert [agent.exit_code for agent in fleet.agents] == [0]


@pytest.mark.parametrize("codes", [(1, 0), (3, 4)])
def test_an_index_ends_as_its_last_attempt_has_however_late_pods_are_told_of(
    api: KubernetesApi, fake: FakeKubernetes, play: Play, codes: tuple[int, int]
) -> None:
    play(lambda _, attempt: Outcome(exit_code=codes[attempt], log=b"%d\n" % attempt))
    plan = make_plan(1, retries=1)
    carry_out(api, plan)
    # The first list of pods fails, and the Job, which has ended, is told of meanwhile.
    fake.faults.append(Fault("list", "pods", 500, "InternalError", "away"))

    fleet = KubernetesFleet(plan, api, Quiet(), jobs.find(api, "nightly"))
    fleet.run()

    (status,) = list_statuses(api, "nightly")
    (agent,) = fleet.agents
    assert (agent.container, agent.exit_code) == (status.id, codes[-1])
    assert list(agent.lines) == ["1"]


def test_of_two_pods_for_one_attempt_the_one_that_succeeded_counts(
    api: KubernetesApi, fake: FakeKubernetes, play: Play
) -> None:
    """The Job controller may make a second one after a crash of the API server."""
    play(lambda _index, _attempt: Outcome(log=b"done\n"), is_watched=True)
    fleet, _ = carry_out(api, make_plan(1, retries=1))
    succeeded = fleet.agents[0].container
    (pod,) = finished_pods(fake)
    second = copy.deepcopy(pod)
    second["metadata"]["creationTimestamp"] = "2100-01-01T00:00:00Z"
    second["status"]["phase"] = "Failed"
    second["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] = 3
    fake.cluster.logs["second"] = b""
    second["metadata"]["name"] = "second"
    rename(fake, second, "ravi-agent-nightly-0-zzzzz")

    fleet = KubernetesFleet(fleet.plan, api, Quiet(), jobs.find(api, "nightly"))
    fleet.run()

    (status,) = list_statuses(api, "nightly")
    assert (status.id, status.exit_code) == (succeeded, 0)
    assert (fleet.agents[0].container, fleet.agents[0].exit_code) == (succeeded, 0)


def test_too_many_failures_end_the_others(api: KubernetesApi, play: Play) -> None:
    play(lambda _index, _attempt: Outcome(exit_code=1))

    fleet, _ = carry_out(api, make_plan(5, parallel=1, max_failures=1))

    states = [agent.state for agent in fleet.agents]
    assert states == [State.EXITED] * 2 + [State.STOPPED] * 3
    assert "MaxFailedIndexesExceeded" in str(fleet.agents[4].error)


def test_enough_successes_end_the_run_well(api: KubernetesApi, play: Play) -> None:
    play(lambda _index, _attempt: Outcome())

    fleet, _ = carry_out(api, make_plan(5, parallel=1), JobOptions(successes=2))

    assert fleet.is_success
    assert [agent.exit_code for agent in fleet.agents][:2] == [0, 0]
    assert fleet.agents[4].state == State.STOPPED


@pytest.mark.parametrize("code", [0, 500, 429])
def test_a_watch_that_breaks_is_taken_up_again(
    api: KubernetesApi, fake: FakeKubernetes, play: Play, code: int
) -> None:
    for resource in ("pods", "jobs"):
        fake.faults.append(Fault("watch", resource, code, "InternalError", "the server is away"))
    play(lambda _index, _attempt: Outcome())

    fleet, _ = carry_out(api, make_plan(3))

    assert fleet.is_success


def test_a_version_that_is_forgotten_is_listed_anew(
    api: KubernetesApi, fake: FakeKubernetes, play: Play
) -> None:
    controllers = play(lambda _index, _attempt: Outcome(is_held=True))
    fleet, _ = carry_out(api, make_plan(2), until_ready=True)
    controllers.close()
    fake.cluster.forget()

    def once_listed_anew(_index: int, _attempt: int) -> Outcome:
        while fake.called("list", "pods") < 3:
            time.sleep(0.01)
        return Outcome()

    play(once_listed_anew)
    fake.faults.append(Fault("watch", "pods", 410, "Expired", "too old resource version"))
    fake.faults.append(Fault("watch", "jobs", 410, "Expired", "too old resource version"))
    for pod in [one for (kind, _, _), one in fake.cluster.objects.items() if kind == "pods"]:
        fake.cluster.put("pods", pod, "DELETED")
    jobs.suspend(api, "nightly", is_suspended=False)

    fleet.run()

    assert fleet.is_success
    assert fake.called("list", "pods") >= 3


def test_a_job_that_somebody_deletes_ends_the_run(
    api: KubernetesApi, fake: FakeKubernetes, play: Play
) -> None:
    play(lambda _index, _attempt: Outcome(is_held=True))
    fleet, _ = carry_out(api, make_plan(2), until_ready=True)
    jobs.remove(api, "nightly")

    fleet.run()

    assert {agent.error for agent in fleet.agents} == {"the Job has been deleted"}


def test_a_run_that_somebody_stops_ends_here_too(api: KubernetesApi, play: Play) -> None:
    play(lambda _index, _attempt: Outcome(is_held=True))
    fleet, _ = carry_out(api, make_plan(2), until_ready=True)
    jobs.suspend(api, "nightly")

    fleet.run()

    assert {agent.state for agent in fleet.agents} == {State.STOPPED}
    assert all("--resume" in str(agent.error) for agent in fleet.agents)


def test_a_run_that_a_queue_holds_back_is_waited_for(
    api: KubernetesApi, fake: FakeKubernetes, play: Play
) -> None:
    """Queues of Jobs suspend them until there is room."""
    plan = make_plan(2)
    job = starting.start(api, plan, JobOptions(), CREDENTIAL, unsaid)
    jobs.suspend(api, plan.run)
    play(lambda _index, _attempt: Outcome(), is_watched=True)
    fleet = KubernetesFleet(plan, api, Quiet(), job)
    admission = threading.Thread(target=admit, args=(api, fake))
    admission.start()

    fleet.run()

    admission.join()
    assert fleet.is_success


def admit(api: KubernetesApi, fake: FakeKubernetes) -> None:
    """Let the run go on, once the launcher has heard that it does not."""
    with fake.cluster.changed:
        assert fake.cluster.changed.wait_for(lambda: fake.cluster.watchers >= {"jobs", "pods"}, 30)
    jobs.suspend(api, "nightly", is_suspended=False)


def find_key() -> Credential:
    return Credential(MANAGEMENT_KEY, "test")


def test_a_run_that_was_stopped_goes_on(
    api: KubernetesApi, fake: FakeKubernetes, play: Play
) -> None:
    first = play(lambda index, _: Outcome(is_held=index > 0))
    plan = make_plan(3)
    carry_out(api, plan, until_ready=True)
    jobs.suspend(api, plan.run)
    first.close()
    play(lambda _index, _attempt: Outcome())

    observer = Quiet()
    fleet = KubernetesFleet(plan, api, observer, starting.take_over(api, plan, find_key, unsaid))
    fleet.run()

    assert fleet.is_success
    assert [agent.exit_code for agent in fleet.agents] == [0, 0, 0]


@pytest.mark.parametrize(
    ("fault", "why", "fix"),
    [
        (
            Fault("create", "secrets", 403, "Forbidden", 'User "x" cannot create "secrets"'),
            'User "x" cannot create "secrets"',
            "kubectl auth can-i create secrets --namespace default",
        ),
        (
            Fault("create", "jobs", 403, "Forbidden", 'User "x" cannot create "jobs"'),
            'User "x" cannot create "jobs"',
            "kubectl auth can-i create jobs --namespace default",
        ),
        (
            Fault("create", "jobs", 403, "Forbidden", "exceeded quota: small, limited: jobs=0"),
            "exceeded quota: small",
            "kubectl describe resourcequota --namespace default",
        ),
        (
            Fault("get", "jobs", 401, "Unauthorized", "Unauthorized"),
            "Unauthorized",
            "kubectl auth whoami",
        ),
    ],
    ids=["no right to secrets", "no right to jobs", "quota", "logged out"],
)
def test_what_the_cluster_refuses_leaves_nothing_behind(
    api: KubernetesApi, fake: FakeKubernetes, fault: Fault, why: str, fix: str
) -> None:
    fake.faults.append(fault)

    with pytest.raises(EngineError) as caught:
        starting.start(api, make_plan(), JobOptions(), CREDENTIAL, unsaid)

    assert why in caught.value.why
    assert fix in str(caught.value.fix)
    assert f"cannot {fault.verb} {fault.resource}" in caught.value.what
    assert fake.cluster.objects == {}


def test_a_namespace_that_is_missing_is_named(fake: FakeKubernetes, tmp_path: Path) -> None:
    config = tmp_path / "kubeconfig"
    config.write_text(fake.kubeconfig("nowhere"))
    api = KubernetesApi(config_file=str(config))

    with pytest.raises(EngineError) as caught:
        starting.start(api, make_plan(), JobOptions(), CREDENTIAL, unsaid)

    assert 'namespaces "nowhere" not found' in caught.value.why
    assert "kubectl create namespace nowhere" in str(caught.value.fix)
    api.close()


def test_a_cluster_that_is_away_is_named(fake: FakeKubernetes, tmp_path: Path) -> None:
    config = tmp_path / "kubeconfig"
    config.write_text(fake.kubeconfig().replace(fake.url, "http://127.0.0.1:1"))
    api = KubernetesApi(config_file=str(config))

    with pytest.raises(EngineError, match=r"no Kubernetes API answers at http://127\.0\.0\.1:1"):
        api.get("jobs", "any")

    api.close()


@pytest.mark.parametrize("options", [{}, {"context": "other"}], ids=["none", "unknown context"])
def test_no_cluster_is_said_before_anything_is_asked(
    tmp_path: Path, fake: FakeKubernetes, options: dict[str, str]
) -> None:
    config = tmp_path / "kubeconfig"
    if options:
        config.write_text(fake.kubeconfig())

    with pytest.raises(UsageError) as caught:
        KubernetesApi(config_file=str(config), **options)

    assert "kubectl config get-contexts" in str(caught.value.fix)


def test_a_name_that_is_taken_is_refused(
    api: KubernetesApi, fake: FakeKubernetes, play: Play
) -> None:
    play(lambda _index, _attempt: Outcome())
    carry_out(api, make_plan())

    with pytest.raises(UsageError, match="of an earlier run"):
        starting.start(api, make_plan(), JobOptions(), CREDENTIAL, unsaid)


@pytest.mark.parametrize("is_key_there", [True, False])
def test_a_run_whose_launcher_was_killed_before_it_began_goes_on(
    api: KubernetesApi, fake: FakeKubernetes, play: Play, is_key_there: bool
) -> None:
    """It was killed between two of: the Job, suspended; its Secret; the Job's going on."""
    plan = make_plan()
    job = manifests.job(plan, JobOptions())
    job["spec"]["suspend"] = True
    made = api.create("jobs", job)
    if is_key_there:
        starting.create_owned(api, made, "secrets", manifests.secret(plan, MANAGEMENT_KEY))
    play(lambda _index, _attempt: Outcome())

    fleet = KubernetesFleet(plan, api, Quiet(), starting.take_over(api, plan, find_key, unsaid))
    fleet.run()

    assert fleet.is_success
    (owner,) = only(fake, "secrets")["metadata"]["ownerReferences"]
    assert owner["uid"] == made["metadata"]["uid"]


def test_the_secret_is_the_job_s_own_from_its_first_instant(
    api: KubernetesApi, fake: FakeKubernetes, play: Play
) -> None:
    play(lambda _index, _attempt: Outcome())

    carry_out(api, make_plan())

    written = [(verb, kind) for verb, kind, _ in fake.bodies]
    assert written == [("create", "jobs"), ("create", "secrets"), ("patch", "jobs")]
    ((_, _, secret),) = [one for one in fake.bodies if one[1] == "secrets"]
    assert secret["metadata"]["ownerReferences"][0]["kind"] == "Job"


def test_isolated_agents_start_behind_a_policy_that_goes_with_their_job(
    api: KubernetesApi, fake: FakeKubernetes, play: Play
) -> None:
    play(lambda _index, _attempt: Outcome())
    plan = replace(make_plan(), container=ContainerOptions(is_isolated=True))

    carry_out(api, plan)

    written = [(verb, kind) for verb, kind, _ in fake.bodies]
    assert written.index(("create", "networkpolicies")) < written.index(("patch", "jobs"))
    policy = only(fake, "networkpolicies")
    (job,) = [one for (kind, _, _), one in fake.cluster.objects.items() if kind == "jobs"]
    assert policy["metadata"]["ownerReferences"][0]["uid"] == job["metadata"]["uid"]
    jobs.remove(api, plan.run)
    assert fake.cluster.objects == {}


def test_isolated_agents_whose_launcher_was_killed_start_behind_their_policy(
    api: KubernetesApi, fake: FakeKubernetes
) -> None:
    """The run is taken over by a launcher that was not told of --isolated."""
    plan = make_plan()
    job = manifests.job(replace(plan, container=ContainerOptions(is_isolated=True)), JobOptions())
    job["spec"]["suspend"] = True
    made = api.create("jobs", job)

    starting.take_over(api, plan, find_key, unsaid)

    (owner,) = only(fake, "networkpolicies")["metadata"]["ownerReferences"]
    assert owner["uid"] == made["metadata"]["uid"]
    assert fake.bodies[-1][:2] == ("patch", "jobs")


@pytest.mark.parametrize("right", ["create secrets", "create networkpolicies"])
def test_what_an_isolated_run_may_not_make_leaves_no_job(
    api: KubernetesApi, fake: FakeKubernetes, right: str
) -> None:
    verb, resource = right.split()
    fake.faults.append(Fault(verb, resource, 403, "Forbidden", f"{resource} is forbidden"))
    plan = replace(make_plan(), container=ContainerOptions(is_isolated=True))

    with pytest.raises(EngineError, match=f"{resource} is forbidden"):
        starting.start(api, plan, JobOptions(), CREDENTIAL, unsaid)

    assert fake.cluster.objects == {}


def test_where_the_secret_cannot_be_made_no_job_stays(
    api: KubernetesApi, fake: FakeKubernetes
) -> None:
    fake.faults.append(Fault("create", "secrets", 422, "Invalid", "too large"))

    with pytest.raises(EngineError, match="too large"):
        starting.start(api, make_plan(), JobOptions(), CREDENTIAL, unsaid)

    assert fake.cluster.objects == {}


@pytest.mark.parametrize(
    ("data", "why"), [(None, "no such Secret"), ({"key": "eA=="}, "no entry 'management_key'")]
)
def test_a_secret_that_pods_would_wait_for_is_refused_first(
    api: KubernetesApi, fake: FakeKubernetes, data: dict[str, str] | None, why: str
) -> None:
    if data is not None:
        api.create(
            "secrets",
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mine"}, "data": data},
        )

    with pytest.raises(UsageError, match=why):
        starting.start(api, make_plan(), JobOptions(secret="mine"), None, unsaid)

    assert [kind for kind, _, _ in fake.cluster.objects if kind == "jobs"] == []


def test_a_pod_past_its_deadline_has_failed_whatever_its_agent_left_with(
    api: KubernetesApi, play: Play
) -> None:
    play(lambda _index, _attempt: Outcome(is_past_deadline=True))

    fleet, _ = carry_out(api, make_plan(1))

    (agent,) = fleet.agents
    assert not fleet.is_success
    assert not agent.is_success
    assert "DeadlineExceeded" in str(agent.error)
    (status,) = list_statuses(api, "nightly")
    assert (status.state, status.exit_code) == ("failed", None)


def test_pages_of_a_list_are_put_together(
    api: KubernetesApi, fake: FakeKubernetes, play: Play
) -> None:
    fake.page = 2
    play(lambda _index, _attempt: Outcome(is_held=True))

    fleet, _ = carry_out(api, make_plan(7), until_ready=True)
    fleet.run(until_ready=True)

    assert {agent.state for agent in fleet.agents} == {State.RUNNING}


def test_a_list_keeps_of_pods_what_is_read_of_them(
    api: KubernetesApi, fake: FakeKubernetes, play: Play
) -> None:
    play(lambda _index, _attempt: Outcome(is_held=True))
    carry_out(api, make_plan(1), until_ready=True)

    (pod,), _ = api.list("pods")
    (job,), _ = api.list("jobs")

    assert pod.keys() & {"metadata", "spec", "status"} == {"metadata", "status"}
    assert "template" in job["spec"]


def test_what_an_agent_leaves_as_its_termination_message_is_told_as_its_own() -> None:
    ended = {"exitCode": 1, "message": "ravi-entrypoint: error: out of credit: pay"}
    seen = view(
        {
            "metadata": {
                "name": "p",
                "annotations": {INDEX: "0"},
                "ownerReferences": [{"uid": "job"}],
            },
            "status": {
                "phase": "Failed",
                "containerStatuses": [{"name": "agent", "state": {"terminated": ended}}],
            },
        },
        "job",
    )

    assert seen
    assert seen.error == f"the agent's container says: {ended['message']}"
