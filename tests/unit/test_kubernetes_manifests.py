"""A run as Kubernetes objects: valid, restricted, stable, and without the key."""

import base64
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import MANAGEMENT_KEY
from fake_kubernetes.cluster import check
from manifests import VERSIONS, Manifest, check_schema, pod_spec, violations
from ravi_agent.errors import UsageError
from ravi_agent.launcher.commands.kubernetes_options import parse_selector, parse_tolerations
from ravi_agent.launcher.kubernetes import manifests, names
from ravi_agent.launcher.kubernetes.render import render
from ravi_agent.launcher.model.request import JobOptions
from ravi_agent.launcher.planning.container import ContainerOptions
from ravi_agent.launcher.planning.plan import Plan
from ravi_agent.launcher.planning.plan import make_plan as make
from ravi_agent.launcher.planning.spec import Flow, RunSpec
from ravi_agent.launcher.planning.tasks_file import Row

EVERYTHING = JobOptions(
    secret="ravi",
    init_image="registry.example/ravi-init:1",
    successes=40,
    deadline_s=7200,
    ttl_s=86400,
    node_selector={"pool": "agents"},
    tolerations=[{"key": "agents", "operator": "Exists", "effect": "NoSchedule"}],
    service_account="agents",
    pull_secrets=["registry"],
)
CONTAINER = ContainerOptions(
    cpus=0.5,
    memory=512 << 20,
    gpus="1",
    user="2000:3000",
    is_read_only=True,
    pull="always",
)
FLOW = Flow(retries=2, max_failures=5, timeout_s=3600)


def make_plan(
    count: int = 50,
    *,
    run: str = "nightly",
    rows: tuple[Row, ...] | None = None,
    container: ContainerOptions | None = None,
    flow: Flow | None = None,
    **changes: Any,
) -> Plan:
    options: dict[str, Any] = {
        "image": "my-agent",
        "command": ("python3", "agent.py"),
        "environment": {"MODEL": "small"},
        "api_url": "https://ravi.id",
    }
    spec = RunSpec(
        rows=rows or tuple(Row(id=str(index)) for index in range(count)),
        container=container or ContainerOptions(),
        flow=flow or Flow(),
        **(options | changes),
    )
    return make(run, spec, is_fresh=False)


ROWS = (
    Row(id="issue-7", environment={"PROMPT": "it's $HOME\nand `more`"}),
    Row(id="issue-8", command=("python3", "other.py", "a b")),
    Row(id="issue-9"),
)


def parsed(plan: Plan, options: JobOptions) -> list[Manifest]:
    return list(yaml.safe_load_all(render(plan, options)))


def containers(job: Manifest) -> tuple[Manifest, Manifest]:
    spec = pod_spec(job)
    assert spec
    (init,), (agent,) = spec["initContainers"], spec["containers"]
    return init, agent


def environment(container: Manifest) -> dict[str, str]:
    return {one["name"]: one["value"] for one in container["env"] if "value" in one}


OF_DOCKER: dict[str, dict[str, Any]] = {
    "--shm-size": {"shm_size": 1 << 30},
    "--pids-limit": {"pids_limit": 100},
    "--cap-add": {"cap_add": ("NET_ADMIN",)},
    "--security-opt": {"security_opt": ("seccomp=unconfined",)},
    "--network": {"network": "mine"},
    "--platform": {"platform": "linux/arm64"},
    "--gpus": {"gpus": "all"},
    "--user": {"user": "root"},
    "--user '0'": {"user": "0"},
}
RESOURCES = {"Job": "jobs", "ConfigMap": "configmaps", "NetworkPolicy": "networkpolicies"}
ISOLATED = ContainerOptions(is_isolated=True)
PLANS = {
    "plain": (make_plan(), JobOptions()),
    "everything": (make_plan(container=CONTAINER, flow=FLOW, labels={"team": "a"}), EVERYTHING),
    "tasks": (make_plan(rows=ROWS), JobOptions()),
    "image's own command": (make_plan(command=None), JobOptions()),
    "isolated": (make_plan(container=ISOLATED), JobOptions()),
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", PLANS)
def test_what_is_rendered_is_valid_and_restricted(name: str, version: str) -> None:
    documents = parsed(*PLANS[name])

    for one in documents:
        check_schema(one, version)
        check(RESOURCES[one["kind"]], one)
    specs = [spec for one in documents if (spec := pod_spec(one))]
    assert [violations(spec) for spec in specs] == [[]]


def test_isolated_pods_are_selected_and_nobody_may_connect_to_them() -> None:
    policy, job = parsed(*PLANS["isolated"])

    spec = policy["spec"]
    assert spec["policyTypes"] == ["Ingress"]
    assert "ingress" not in spec  # a rule would let somebody in
    assert spec["podSelector"] == {
        "matchLabels": {"batch.kubernetes.io/job-name": job["metadata"]["name"]}
    }
    assert [one["kind"] for one in parsed(*PLANS["plain"])] == ["Job"]


def test_the_secret_is_valid_and_shows_the_key_to_nobody_else() -> None:
    secret = manifests.secret(make_plan(), MANAGEMENT_KEY)

    check("secrets", secret)
    assert base64.b64decode(secret["data"][names.SECRET_KEY]).decode() == MANAGEMENT_KEY
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
    assert pod["securityContext"]["runAsUser"] == 2000
    assert pod["securityContext"]["fsGroup"] == 3000
    assert job["metadata"]["labels"]["team"] == "a"
    init, agent = containers(job)
    assert init["image"] == "registry.example/ravi-init:1"
    assert {init["imagePullPolicy"], agent["imagePullPolicy"]} == {"Always"}
    assert agent["resources"]["limits"] == {
        "cpu": "500m",
        "memory": str(512 << 20),
        "nvidia.com/gpu": "1",
    }
    assert agent["securityContext"]["readOnlyRootFilesystem"] is True
    assert {"name": "tmp", "mountPath": "/tmp"} in agent["volumeMounts"]


def test_parallel_limits_the_pods_at_once() -> None:
    (job,) = parsed(make_plan(flow=Flow(parallel=8)), JobOptions())

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
    command = ("sh", "-c", "echo $(RAVI_EMAIL) $$ $(date) $$(TASK_ID)")
    (job,) = parsed(make_plan(command=command, environment={"A": "$(HOME) $$"}), JobOptions())
    _, agent = containers(job)

    assert tuple(kubernetes_expands(word) for word in agent["args"]) == command
    assert kubernetes_expands(environment(agent)["A"]) == "$(HOME) $$"
    assert agent["command"] == ["/opt/ravi/bin/ravi-entrypoint", "--"]


def kubernetes_expands(text: str) -> str:
    """Kubernetes' own expansion with no variable set: `$$` becomes `$`, the rest stays."""
    return re.sub(r"\$\$|\$\([^)]*\)", lambda found: "$" if found[0] == "$$" else found[0], text)


def test_tasks_bring_what_is_their_own_in_a_config_map() -> None:
    config, job = parsed(*PLANS["tasks"])
    init, agent = containers(job)

    assert set(config["data"]) == {"0", "1", "2"}
    for one in (init, agent):
        (mount,) = [mount for mount in one["volumeMounts"] if mount["name"] == "tasks"]
        assert mount["subPathExpr"] == "$(TASK_INDEX)"
        # Else the start would ask for a name of the Job's numbers.
        assert not {"TASK_ID", "RAVI_IDENTITY_NAME"} & set(environment(one))
        assert environment(one)["MODEL"] == "small"


SHOW = "import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ)]))"


@pytest.mark.parametrize(
    ("index", "command", "own"),
    [
        (0, ["default"], {"PROMPT": "it's $HOME\nand `more`"}),
        (1, ["other.py", "a b"], {}),
        (2, ["default"], {}),
    ],
)
def test_a_shell_reads_a_task_as_it_was_written(
    tmp_path: Path, index: int, command: list[str], own: dict[str, str]
) -> None:
    rows = (ROWS[0], replace(ROWS[1], command=(sys.executable, "-c", SHOW, *command)), ROWS[2])
    default = (sys.executable, "-c", SHOW, "default")
    config, job = parsed(make_plan(rows=rows, command=default), JobOptions())
    _, agent = containers(job)
    file = tmp_path / "task"
    file.write_text(config["data"][str(index)])
    argv = [kubernetes_expands(word).replace("/run/ravi-task", str(file)) for word in agent["args"]]

    shown = subprocess.run(argv, env={}, capture_output=True, text=True, check=True)

    arguments, environ = json.loads(shown.stdout)
    assert arguments == command
    assert environ["TASK_ID"] == ROWS[index].id
    assert environ["RAVI_IDENTITY_NAME"] == f"task-nightly-{ROWS[index].id}"
    assert {name: environ[name] for name in own} == own


def test_templates_are_filled_in_for_each_agent() -> None:
    config, job = parsed(make_plan(3, environment={"A": "{index} of {count}"}), JobOptions())
    _, agent = containers(job)

    assert "A='2 of 3'\n" in config["data"]["2"]
    assert "A" not in environment(agent)


@pytest.mark.parametrize(
    ("plan", "options", "what"),
    [
        (make_plan(run="a.b"), JobOptions(), "--name 'a.b'"),
        (make_plan(run="a_b"), JobOptions(), "--name 'a_b'"),
        (make_plan(run="a" * 60), JobOptions(), "--name"),
        (make_plan(3), JobOptions(successes=4), "--successes 4"),
        (make_plan(rows=(Row(id="a", image="x"), Row(id="b"))), JobOptions(), "image 'my-agent'"),
        (make_plan(2, volumes=("/data:/data",)), JobOptions(), "--volume /data:/data"),
        (make_plan(2, workspace_dir="/w/{id}"), JobOptions(), "--volume /w/0:/workspace"),
        (make_plan(2, labels={"a": "{index}"}), JobOptions(), "labels of task 1"),
        (make_plan(2, labels={"a": "b c"}), JobOptions(), "--label a=b c"),
        (make_plan(rows=ROWS, command=None), JobOptions(), "task issue-8"),
        (make_plan(rows=(Row(id="a"),), command=None), JobOptions(), "without a command"),
        *[
            (make_plan(2, container=ContainerOptions(**options)), JobOptions(), flag)
            for flag, options in OF_DOCKER.items()
        ],
    ],
)
def test_what_no_job_can_be_is_refused(plan: Plan, options: JobOptions, what: str) -> None:
    with pytest.raises(UsageError) as caught:
        render(plan, options)

    assert what in caught.value.what
    assert caught.value.fix


def test_tasks_that_no_config_map_holds_are_refused() -> None:
    rows = tuple(Row(id=f"t{index}", environment={"A": "n" * 200}) for index in range(6000))
    rows = (*rows, Row(id="last"))

    with pytest.raises(UsageError, match="1048576 of a ConfigMap"):
        render(make_plan(rows=rows), JobOptions())


@pytest.mark.parametrize(
    ("entry", "toleration"),
    [
        ("agents", {"key": "agents", "operator": "Exists"}),
        ("agents:NoExecute", {"key": "agents", "operator": "Exists", "effect": "NoExecute"}),
        ("a/b=c", {"key": "a/b", "operator": "Equal", "value": "c"}),
        ("a=:NoSchedule", {"key": "a", "operator": "Equal", "value": "", "effect": "NoSchedule"}),
    ],
)
def test_a_toleration_is_written_as_a_taint_is(entry: str, toleration: dict[str, str]) -> None:
    assert parse_tolerations([entry]) == [toleration]


@pytest.mark.parametrize("entry", ["", "a:Sometimes", "=b", ":NoExecute"])
def test_what_is_no_toleration_is_refused(entry: str) -> None:
    with pytest.raises(UsageError, match="--toleration"):
        parse_tolerations([entry])


@pytest.mark.parametrize("entry", ["", "pool", "=agents"])
def test_what_selects_no_node_is_refused(entry: str) -> None:
    with pytest.raises(UsageError, match="--node-selector"):
        parse_selector([entry])


@pytest.mark.parametrize(
    ("flag", "options", "flow", "user"),
    [
        ("--secret", {"secret": "Ravi_Key"}, {}, None),
        ("--service-account", {"service_account": "agents "}, {}, None),
        ("--priority-class", {"priority_class": "a" * 254}, {}, None),
        ("--pull-secret", {"pull_secrets": ("ok", "-no")}, {}, None),
        ("--node-selector", {"node_selector": {"a b": "c"}}, {}, None),
        ("--node-selector", {"node_selector": {"pool": "my agents"}}, {}, None),
        ("--ttl", {"ttl_s": 1 << 31}, {}, None),
        ("--deadline", {"deadline_s": 0}, {}, None),
        ("--retries", {}, {"retries": 1 << 31}, None),
        ("--max-failures", {}, {"max_failures": 1 << 31}, None),
        ("--user", {}, {}, "1000:99999999999"),
    ],
)
def test_what_the_api_server_refuses_is_not_rendered(
    flag: str, options: dict[str, Any], flow: dict[str, Any], user: str | None
) -> None:
    plan = make_plan(flow=Flow(**flow), container=ContainerOptions(user=user))

    with pytest.raises(UsageError) as caught:
        render(plan, JobOptions(**options))

    assert caught.value.what.startswith(f"{flag} ")
