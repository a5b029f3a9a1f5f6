"""A run as Kubernetes objects: valid, restricted, stable, and without the key."""

import base64
import re
from typing import Any

import pytest
import yaml

from conftest import MANAGEMENT_KEY
from fake_kubernetes.cluster import check
from manifests import VERSIONS, Manifest, check_schema, pod_spec, violations
from ravi_agent.errors import UsageError
from ravi_agent.launcher.engines.kubernetes import manifests
from ravi_agent.launcher.engines.kubernetes.manifests import JobOptions
from ravi_agent.launcher.engines.kubernetes.render import render
from ravi_agent.launcher.plan import Plan, Task

EVERYTHING = JobOptions(
    secret="ravi",
    init_image="registry.example/ravi-init:1",
    retries=2,
    max_failed=5,
    successes=40,
    deadline_s=7200,
    timeout_s=3600,
    ttl_s=86400,
    cpus="500m",
    memory="512Mi",
    user=2000,
    is_read_only=True,
    node_selector={"pool": "agents"},
    tolerations=[{"key": "agents", "operator": "Exists", "effect": "NoSchedule"}],
    service_account="agents",
    pull_secrets=["registry"],
    pull_policy="Always",
)


def make_plan(count: int = 50, **changes: Any) -> Plan:
    options: dict[str, Any] = {
        "run": "nightly",
        "image": "my-agent",
        "tasks": [
            Task(id=str(index), index=index, identity_name=f"task-nightly-{index}")
            for index in range(count)
        ],
        "command": ["python3", "agent.py"],
        "environment": {"MODEL": "small"},
        "api_url": "https://ravi.id",
        "network": None,
        "concurrency": 4,
    }
    return Plan(**(options | changes))


def named_tasks(count: int = 3) -> list[Task]:
    return [
        Task(id=f"issue-{index + 7}", index=index, identity_name=f"task-nightly-issue-{index + 7}")
        for index in range(count)
    ]


def parsed(plan: Plan, options: JobOptions) -> list[Manifest]:
    return list(yaml.safe_load_all(render(plan, options)))


def containers(job: Manifest) -> tuple[Manifest, Manifest]:
    spec = pod_spec(job)
    assert spec
    (init,), (agent,) = spec["initContainers"], spec["containers"]
    return init, agent


def environment(container: Manifest) -> dict[str, str]:
    return {one["name"]: one["value"] for one in container["env"] if "value" in one}


PLANS = {
    "plain": (make_plan(), JobOptions()),
    "everything": (make_plan(), EVERYTHING),
    "tasks": (make_plan(tasks=named_tasks()), JobOptions()),
    "image's own command": (make_plan(command=None), JobOptions()),
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", PLANS)
def test_what_is_rendered_is_valid_and_restricted(name: str, version: str) -> None:
    documents = parsed(*PLANS[name])

    for one in documents:
        check_schema(one, version)
        check("jobs" if one["kind"] == "Job" else "configmaps", one)
    specs = [spec for one in documents if (spec := pod_spec(one))]
    assert [violations(spec) for spec in specs] == [[]]


def test_the_secret_is_valid_and_shows_the_key_to_nobody_else() -> None:
    secret = manifests.secret(make_plan(), MANAGEMENT_KEY)

    check("secrets", secret)
    assert base64.b64decode(secret["data"][manifests.SECRET_KEY]).decode() == MANAGEMENT_KEY
    assert secret["metadata"]["name"] == "ravi-agent-nightly"


def test_a_plan_is_rendered_the_same_each_time() -> None:
    assert render(*PLANS["everything"]) == render(*PLANS["everything"])


def test_one_more_agent_changes_two_numbers_and_no_more() -> None:
    before, after = (render(make_plan(count), JobOptions()).splitlines() for count in (50, 51))

    differ = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    assert differ
    assert all(b == a.replace("50", "51") for a, b in differ)


def test_the_secret_to_be_made_is_named() -> None:
    assert "kubectl create secret generic ravi-agent-nightly --from-file=management_key=" in render(
        make_plan(), JobOptions()
    )
    text = render(make_plan(), JobOptions(secret="ravi"))
    assert "kubectl create secret generic ravi " in text
    assert "secretName: ravi\n" in text


def test_every_option_reaches_its_field() -> None:
    (job,) = parsed(*PLANS["everything"])
    spec = job["spec"]
    pod = spec["template"]["spec"]

    assert (spec["completions"], spec["parallelism"], spec["completionMode"]) == (50, 50, "Indexed")
    assert (spec["backoffLimitPerIndex"], spec["maxFailedIndexes"]) == (2, 5)
    assert spec["successPolicy"] == {"rules": [{"succeededCount": 40}]}
    assert (spec["activeDeadlineSeconds"], spec["ttlSecondsAfterFinished"]) == (7200, 86400)
    assert spec["podReplacementPolicy"] == "Failed"
    assert pod["activeDeadlineSeconds"] == 3600
    assert pod["nodeSelector"] == {"pool": "agents"}
    assert pod["tolerations"] == list(EVERYTHING.tolerations)
    assert pod["serviceAccountName"] == "agents"
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert pod["securityContext"]["fsGroup"] == 2000
    init, agent = containers(job)
    assert init["image"] == "registry.example/ravi-init:1"
    assert {init["imagePullPolicy"], agent["imagePullPolicy"]} == {"Always"}
    assert agent["resources"]["limits"] == {"cpu": "500m", "memory": "512Mi"}
    assert agent["securityContext"]["readOnlyRootFilesystem"] is True
    assert {"name": "tmp", "mountPath": "/tmp"} in agent["volumeMounts"]


def test_parallel_limits_the_pods_at_once() -> None:
    (job,) = parsed(make_plan(parallel=8), JobOptions())

    assert job["spec"]["parallelism"] == 8


def test_both_containers_ask_for_the_same_identity() -> None:
    (job,) = parsed(make_plan(), JobOptions())
    init, agent = map(environment, containers(job))

    for one in (init, agent):
        assert one["RAVI_IDENTITY_NAME"] == "task-nightly-$(TASK_INDEX)"
        assert one["TASK_ID"] == "$(TASK_INDEX)"
        assert one["RAVI_API_URL"] == "https://ravi.id"
        assert one["MODEL"] == "small"
    assert set(init) - set(agent) == {"RAVI_MANAGEMENT_KEY_FILE"}


def test_only_the_init_container_mounts_the_key() -> None:
    (job,) = parsed(make_plan(), JobOptions())
    init, agent = containers(job)

    assert "ravi-key" in {mount["name"] for mount in init["volumeMounts"]}
    assert "ravi-key" not in {mount["name"] for mount in agent["volumeMounts"]}


def test_the_agents_arguments_are_kept_from_kubernetes() -> None:
    """It would replace `$(RAVI_API_URL)`, and `$$` by a dollar, before our entrypoint sees them."""
    command = ["sh", "-c", "echo $(RAVI_EMAIL) $$ $(date) $$(TASK_ID)"]
    (job,) = parsed(make_plan(command=command, environment={"A": "$(HOME) $$"}), JobOptions())
    _, agent = containers(job)

    assert [kubernetes_expands(word) for word in agent["args"]] == command
    assert kubernetes_expands(environment(agent)["A"]) == "$(HOME) $$"
    assert agent["command"] == ["/opt/ravi/bin/ravi-entrypoint", "--"]


def kubernetes_expands(text: str) -> str:
    """Kubernetes' own expansion with no variable set: `$$` becomes `$`, the rest stays."""
    return re.sub(r"\$\$|\$\([^)]*\)", lambda found: "$" if found[0] == "$$" else found[0], text)


def test_tasks_bring_their_names_in_a_config_map() -> None:
    config, job = parsed(*PLANS["tasks"])
    init, agent = containers(job)

    assert config["data"]["1"] == "TASK_ID=issue-8\nRAVI_IDENTITY_NAME=task-nightly-issue-8\n"
    assert set(config["data"]) == {"0", "1", "2"}
    for one in (init, agent):
        (mount,) = [mount for mount in one["volumeMounts"] if mount["name"] == "tasks"]
        assert mount["subPathExpr"] == "$(TASK_INDEX)"
        # Else the start would ask for a name of the Job's numbers.
        assert not {"TASK_ID", "RAVI_IDENTITY_NAME"} & set(environment(one))


@pytest.mark.parametrize(
    ("plan", "options", "what"),
    [
        (make_plan(run="a.b"), JobOptions(), "--name 'a.b'"),
        (make_plan(run="a_b"), JobOptions(), "--name 'a_b'"),
        (make_plan(run="a" * 60), JobOptions(), "--name"),
        (make_plan(3), JobOptions(successes=4), "--successes 4"),
    ],
    ids=["dot", "underscore", "too long", "more successes than agents"],
)
def test_what_no_job_can_be_is_refused(plan: Plan, options: JobOptions, what: str) -> None:
    with pytest.raises(UsageError) as caught:
        render(plan, options)

    assert what in caught.value.what
    assert caught.value.fix


def test_tasks_that_no_config_map_holds_are_refused() -> None:
    tasks = [
        Task(id=f"t{index}", index=index, identity_name=f"{'n' * 200}{index}")
        for index in range(6000)
    ]

    with pytest.raises(UsageError, match="1048576 of a ConfigMap"):
        render(make_plan(tasks=tasks), JobOptions())
