"""Pods that get their identity by a label: the admission policy, and the kustomize component."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.conftest import Cluster, Launcher, run_ravi_launch
from conftest import MANAGEMENT_KEY
from ravi_agent.local.server import LocalRavi

COMPONENT = Path(__file__).parents[2] / "images/kubernetes/component"
LABEL = {"ravi.id/inject": "true"}
Object = dict[str, Any]


def pod(spec: Object | None = None, **annotations: Any) -> Object:
    """A pod with the label, and annotations such as `name`."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "one",
            "labels": LABEL,
            "annotations": {f"ravi.id/{key}": value for key, value in annotations.items()},
        },
        "spec": spec or {"containers": [container()]},
    }


def container(name: str = "agent", script: str = "sleep 300", **more: object) -> Object:
    return {
        "name": name,
        "image": "ravi-agent-base",
        "imagePullPolicy": "Never",
        "command": ["sh", "-c", f"trap 'exit 0' TERM; {script} & wait"],
        **more,
    }


def admitted(cluster: Cluster, one: Object) -> Object:
    """The pod's spec as the server would store it."""
    spec: Object = json.loads(
        cluster.kubectl(
            *("create", "--dry-run=server", "-o", "json", "-f", "-"), stdin=json.dumps(one)
        )
    )["spec"]
    return spec


def refused(cluster: Cluster, one: Object) -> str:
    """Why the server would not take the pod; empty where it would."""
    create = ("create", "--dry-run=server", "-o", "json", "-f", "-")
    said = cluster.kubectl(*create, stdin=json.dumps(one), code=None)
    return "" if said.startswith("{") else said


@pytest.fixture
def policy(cluster: Cluster, launcher: Launcher, service: LocalRavi) -> Iterator[None]:
    """The policy in force in the test's namespace, with the key and the service's address."""
    flags = ["kubernetes", "install", "--namespace", cluster.namespace]
    run_ravi_launch(launcher.environ, *flags, "--apply")
    cluster.kubectl(
        "create", "secret", "generic", "ravi", f"--from-literal=management_key={MANAGEMENT_KEY}"
    )
    cluster.kubectl("create", "configmap", "ravi", f"--from-literal=RAVI_API_URL={service.url}")
    end = time.monotonic() + 60
    # The server reads either policy a moment later.
    while "initContainers" not in admitted(cluster, pod()) or not refused(cluster, pod(phone="no")):
        assert time.monotonic() < end
    yield
    rendered = run_ravi_launch(launcher.environ, *flags)
    cluster.kubectl("delete", "--filename", "-", stdin=rendered)


@pytest.mark.usefixtures("policy")
def test_a_pod_keeps_what_it_has_and_sidecars_stay_first(cluster: Cluster) -> None:
    sidecar = {**container("proxy"), "restartPolicy": "Always"}
    mounts = [{"name": "data", "mountPath": "/data"}]
    environment = [{"name": "MODE", "value": "fast"}]
    spec = {
        "initContainers": [sidecar],
        "containers": [container(volumeMounts=mounts, env=environment), container("log")],
        "volumes": [{"name": "data", "emptyDir": {}}],
    }

    found = admitted(cluster, pod(spec, name="mine", phone="never"))

    assert [one["name"] for one in found["initContainers"]] == ["proxy", "ravi-init"]
    init = found["initContainers"][1]
    given = {one["name"]: one.get("value") for one in init["env"]}
    assert given["RAVI_IDENTITY_NAME"] == "mine"
    assert given["RAVI_PHONE_POLICY"] == "never"
    assert init["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    for one in found["containers"]:
        mounted = {mount["mountPath"]: mount["name"] for mount in one["volumeMounts"]}
        assert mounted["/workspace"] == "ravi-workspace"
        assert "/run/ravi-key" not in mounted
        assert {"name": "RAVI_CONFIG_DIR", "value": "/workspace/.ravi"} in one["env"]
    agent = found["containers"][0]
    assert {"name": "data", "mountPath": "/data"} in agent["volumeMounts"]
    assert environment[0] in agent["env"]


@pytest.mark.usefixtures("policy")
def test_only_the_containers_of_the_annotation_see_the_identity(cluster: Cluster) -> None:
    spec = {"containers": [container("web"), container("agent")]}

    found = admitted(cluster, pod(spec, container="agent"))

    mounted = {
        one["name"]: any(m["mountPath"] == "/workspace" for m in one.get("volumeMounts", []))
        for one in found["containers"]
    }
    assert mounted == {"web": False, "agent": True}


@pytest.mark.usefixtures("policy")
@pytest.mark.parametrize(
    ("annotations", "words"),
    [
        ({"container": "agent,other"}, "the pod has no container agent,other"),
        ({"phone": "maybe"}, "ravi.id/phone: choose auto, require or never"),
    ],
)
def test_a_wrong_annotation_is_refused_before_anything_is_paid_for(
    cluster: Cluster, annotations: dict[str, str], words: str
) -> None:
    said = cluster.kubectl(
        *("create", "-f", "-"), stdin=json.dumps(pod(None, **annotations)), code=1
    )

    assert words in said


@pytest.mark.usefixtures("policy")
def test_a_pod_that_has_ravi_init_or_no_label_is_left_alone(cluster: Cluster) -> None:
    spec = {"initContainers": [container("ravi-init")], "containers": [container()]}
    plain = pod()
    del plain["metadata"]["labels"]

    assert len(admitted(cluster, pod(spec))["initContainers"]) == 1
    assert "initContainers" not in admitted(cluster, plain)


@pytest.mark.usefixtures("policy")
def test_a_volume_of_the_pods_own_at_the_workspace_is_used(cluster: Cluster) -> None:
    mounts = [{"name": "mine", "mountPath": "/workspace"}]
    spec = {
        "securityContext": {"fsGroup": 2000},
        "containers": [container(volumeMounts=mounts)],
        "volumes": [{"name": "mine", "emptyDir": {}}],
    }

    found = admitted(cluster, pod(spec))

    names = {one["name"] for one in found["volumes"]}
    assert "ravi-workspace" not in names
    mounted = found["initContainers"][0]["volumeMounts"]
    assert {"name": "mine", "mountPath": "/workspace"} in mounted
    assert found["securityContext"] == {"fsGroup": 2000}


def workload(kind: str, name: str) -> Object:
    """A workload of one pod, whose template has the label."""
    labels = {"app": name}
    script = ". /workspace/.ravi/env; echo I am $RAVI_EMAIL; sleep 300"
    template: Object = {
        "metadata": {"labels": {**labels, **LABEL}},
        "spec": {"containers": [container(script=script)], "terminationGracePeriodSeconds": 5},
    }
    spec: Object = {"template": template}
    if kind in {"Job", "CronJob"}:
        template["spec"]["restartPolicy"] = "Never"
    else:
        spec["selector"] = {"matchLabels": labels}
    if kind == "StatefulSet":
        spec["serviceName"] = name
    if kind == "CronJob":
        spec = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": spec}}
    version = "batch/v1" if kind in {"Job", "CronJob"} else "apps/v1"
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}


def until_heard(cluster: Cluster, app: str) -> str:
    """The line that the only pod of the workload writes once it has its identity."""
    cluster.kubectl("wait", "pod", "-l", f"app={app}", "--for=create", "--timeout=60s")
    ready = ("wait", "pod", "-l", f"app={app}", "--for=condition=Ready", "--timeout=120s")
    cluster.kubectl(*ready)
    end = time.monotonic() + 60
    while "I am " not in (said := cluster.kubectl("logs", "-l", f"app={app}", "-c", "agent")):
        assert time.monotonic() < end, said
    return said.strip()


@pytest.mark.usefixtures("policy")
def test_every_kind_of_workload_gets_an_identity_and_a_stateful_set_keeps_it(
    cluster: Cluster, launcher: Launcher, service: LocalRavi
) -> None:
    kinds = {"Deployment": "web", "Job": "job", "CronJob": "cron", "StatefulSet": "db"}
    for kind, name in kinds.items():
        cluster.kubectl("create", "-f", "-", stdin=json.dumps(workload(kind, name)))
    cluster.kubectl("create", "job", "cron-now", "--from=cronjob/cron")

    heard = {name: until_heard(cluster, name) for name in kinds.values()}

    emails = {one.name: one.email for one in service.store.identities()}
    assert len(emails) == len(kinds)
    assert set(heard.values()) == {f"I am {email}" for email in emails.values()}
    assert heard["db"] == f"I am {emails['task-db-0']}"

    # The names of pods are taken, whoever made them: the reaper spares what is in use.
    ended = launcher.run("reap", "--prefix", "task-", "--older-than", "0s", "--force")
    assert "0 identities" in ended.stdout + ended.stderr

    cluster.kubectl("delete", "pod", "db-0")
    assert until_heard(cluster, "db") == heard["db"]
    assert len(service.store.identities()) == len(kinds)


def test_the_component_gives_what_the_policy_gives(
    cluster: Cluster, launcher: Launcher, policy: None, tmp_path: Path
) -> None:
    shutil.copytree(COMPONENT, tmp_path / "component")
    kinds = ["Deployment", "StatefulSet", "Job", "CronJob"]
    workloads = [workload(kind, kind.lower()) for kind in kinds]
    for one in workloads:
        one["metadata"]["labels"] = LABEL
        template = template_of(one)
        del template["metadata"]["labels"]["ravi.id/inject"]  # the policy shall not help
    (tmp_path / "workloads.yaml").write_text(yaml.safe_dump_all(workloads))
    (tmp_path / "kustomization.yaml").write_text(
        yaml.safe_dump({"resources": ["workloads.yaml"], "components": ["component"]})
    )

    built = cluster.kubectl("kustomize", str(tmp_path))

    injected = admitted(cluster, pod({"containers": [container()]}))
    cluster.kubectl("apply", "--dry-run=server", "-f", "-", stdin=built)
    found = {one["kind"]: template_of(one)["spec"] for one in yaml.safe_load_all(built)}
    assert sorted(found) == sorted(kinds)
    for spec in found.values():
        given = admitted(cluster, pod({**spec, "restartPolicy": "Always"}))
        for field in ("initContainers", "securityContext"):
            assert without_token(given[field]) == without_token(injected[field])
        agent, theirs = given["containers"][0], injected["containers"][0]
        assert agent["env"] == theirs["env"]
        assert without_token(agent)["volumeMounts"] == without_token(theirs)["volumeMounts"]


def template_of(one: Object) -> Object:
    spec = one["spec"]
    found: Object = (spec["jobTemplate"]["spec"] if "jobTemplate" in spec else spec)["template"]
    return found


def without_token(value: Any) -> Any:
    """Without the service account's token, whose volume has a random name; mounts in order."""
    if isinstance(value, dict):
        return {key: without_token(one) for key, one in value.items()}
    if isinstance(value, list):
        kept = (
            [one for one in value if "kube-api-access" not in str(one.get("name"))]
            if all(isinstance(one, dict) for one in value)
            else value
        )
        return [without_token(one) for one in kept]
    return value
