"""What the launcher relies on an API server for: the fake's, and a real one's.

`RAVI_TEST_KUBECONFIG` names the kubeconfig of a cluster to ask as well; what is made there is
suspended, so that it runs nothing, and removed.
"""

import os
import queue
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import MANAGEMENT_KEY
from fake_kubernetes.server import FakeKubernetes
from ravi_agent.errors import UsageError
from ravi_agent.launcher.kubernetes import jobs, manifests, names, starting, task_files
from ravi_agent.launcher.kubernetes.api import KubernetesApi
from ravi_agent.launcher.kubernetes.names import Object
from ravi_agent.launcher.kubernetes.refusal import KubernetesError
from ravi_agent.launcher.kubernetes.statuses import list_statuses
from ravi_agent.launcher.kubernetes.watch import Watch
from ravi_agent.launcher.model.request import JobOptions
from ravi_agent.launcher.planning.plan import Plan, make_plan
from ravi_agent.launcher.planning.spec import Flow, RunSpec
from ravi_agent.launcher.planning.tasks_file import Row

REAL = os.environ.get("RAVI_TEST_KUBECONFIG")


@pytest.fixture(params=["fake", "real"] if REAL else ["fake"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The path of a server's kubeconfig."""
    if request.param == "real":
        yield str(REAL)
        return
    with FakeKubernetes() as fake:
        path = tmp_path / "kubeconfig"
        path.write_text(fake.kubeconfig())
        yield str(path)
        assert fake.violations == []


@pytest.fixture
def api(config: str) -> Iterator[KubernetesApi]:
    api = KubernetesApi(config_file=config)
    yield api
    api.close()


@pytest.fixture
def plan(api: KubernetesApi) -> Iterator[Plan]:
    """A run that uses every field there is, in a Job of this test alone."""
    spec = RunSpec(
        image="ravi-agent-example",
        rows=(Row(id="one", environment={"A": "it's"}), Row(id="two")),
        command=("true",),
        api_url="https://ravi.id",
        flow=Flow(retries=1, max_failures=1, timeout_s=600, parallel=1),
    )
    plan = make_plan(f"test-{secrets.token_hex(4)}", spec, is_fresh=True)
    yield plan
    jobs.remove(api, plan.run)


def make_suspended(api: KubernetesApi, plan: Plan) -> Object:
    """All of a run, and no pod: what `starting.start` makes, suspended from the start."""
    options = JobOptions(successes=1, deadline_s=600, ttl_s=60)
    job = manifests.job(plan, options)
    job["spec"]["suspend"] = True
    made = api.create("jobs", job)
    config = task_files.tasks_config(plan)
    assert config
    starting.create_owned(api, made, "configmaps", config)
    starting.create_owned(api, made, "secrets", manifests.secret(plan, MANAGEMENT_KEY))
    return made


def test_a_job_with_every_field_is_taken_as_it_is(api: KubernetesApi, plan: Plan) -> None:
    made = make_suspended(api, plan)

    asked = manifests.job(plan, JobOptions(successes=1, deadline_s=600, ttl_s=60))["spec"]
    for field, value in asked.items():
        if field != "template":
            assert made["spec"][field] == value, field
    assert jobs.find(api, plan.run)["metadata"]["uid"] == made["metadata"]["uid"]


def test_its_agents_are_listed_by_their_names(api: KubernetesApi, plan: Plan) -> None:
    make_suspended(api, plan)

    rows = list_statuses(api, plan.run)

    assert [(one.task, one.identity_name, one.state) for one in rows] == [
        (task.id, task.identity_name, "stopped") for task in plan.tasks
    ]


def test_a_watch_tells_of_it_and_of_its_end(api: KubernetesApi, plan: Plan) -> None:
    heard: queue.SimpleQueue[tuple[str, bool]] = queue.SimpleQueue()
    name = names.job_name(plan.run)
    watch = Watch(
        api,
        "jobs",
        lambda one, is_gone: heard.put((one["metadata"]["name"], is_gone)),
        lambda exc: heard.put((str(exc), True)),
        field_selector=f"metadata.name={name}",
    )
    try:
        make_suspended(api, plan)
        assert heard.get(timeout=30) == (name, False)
        jobs.remove(api, plan.run)
        while (told := heard.get(timeout=30)) == (name, False):
            continue  # the controllers have written its status meanwhile
        assert told == (name, True)
    finally:
        watch.close()


def test_what_is_there_is_not_made_twice(api: KubernetesApi, plan: Plan) -> None:
    make_suspended(api, plan)

    with pytest.raises(KubernetesError) as caught:
        api.create("jobs", manifests.job(plan, JobOptions()))

    assert (caught.value.status, caught.value.reason) == (409, "AlreadyExists")


def test_what_is_no_job_is_refused_by_the_server(api: KubernetesApi, plan: Plan) -> None:
    job = manifests.job(plan, JobOptions())
    job["metadata"]["name"] = "No_Job"

    with pytest.raises(KubernetesError) as caught:
        api.create("jobs", job)

    assert caught.value.status == 422
    assert "metadata.name" in caught.value.why


def test_a_removed_run_leaves_nothing(api: KubernetesApi, plan: Plan) -> None:
    make_suspended(api, plan)

    jobs.remove(api, plan.run)

    assert api.get("configmaps", names.job_name(plan.run)) is None
    with pytest.raises(UsageError, match="has no Job of it"):
        jobs.find(api, plan.run)


def test_a_namespace_that_is_not_there_is_named(config: str, plan: Plan) -> None:
    api = KubernetesApi(config_file=config, namespace="ravi-test-nowhere")

    with pytest.raises(KubernetesError) as caught:
        api.create("jobs", manifests.job(plan, JobOptions()))

    assert 'namespaces "ravi-test-nowhere" not found' in caught.value.why
    assert "kubectl create namespace ravi-test-nowhere" in str(caught.value.fix)
    api.close()
