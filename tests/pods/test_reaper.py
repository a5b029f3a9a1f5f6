"""The reaper's CronJob: its pod, run for real, against a cluster that is not."""

import copy
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from fake_kubernetes.controllers import Controllers, Outcome
from fake_kubernetes.server import FakeKubernetes
from manifests import FOLDER, pod_spec, read
from pods.conftest import MANAGEMENT_KEY, Play
from ravi_agent.launcher.kubernetes import manifests
from ravi_agent.launcher.model.request import JobOptions
from ravi_agent.launcher.planning.plan import Plan, Task
from ravi_agent.local.server import LocalRavi

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


@pytest.fixture
def account(tmp_path: Path, gateway: str) -> tuple[Path, ssl.SSLContext]:
    """What Kubernetes mounts for a pod's service account, and the server that it is for."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(gateway).configure_cert(context)
    folder = tmp_path / "account"
    folder.mkdir()
    authority.cert_pem.write_to_path(str(folder / "ca.crt"))
    (folder / "namespace").write_text("default")
    (folder / "token").write_text(FakeKubernetes.token)
    for path in (tmp_path, *tmp_path.parents[:2]):
        path.chmod(0o755)  # podman's user is another one
    return folder, context


@pytest.fixture
def fake(account: tuple[Path, ssl.SSLContext], gateway: str) -> Iterator[FakeKubernetes]:
    with FakeKubernetes(host=gateway, tls=account[1]) as server:
        yield server
    assert server.violations == []


def add_run(fake: FakeKubernetes, run: str, outcome: Outcome) -> None:
    """A run with one agent, which ends or goes on as `outcome` says."""
    task = Task(id="0", index=0, identity_name=f"task-{run}-0", image="my-agent")
    plan = Plan(run=run, image="my-agent", tasks=[task], api_url="https://ravi.id")
    controllers = Controllers(fake.cluster, lambda _index, _attempt: outcome)
    fake.cluster.create("default", "jobs", manifests.job(plan, JobOptions()))
    controllers.close()


def reaper_pod(fake: FakeKubernetes, folder: Path) -> dict[str, Any]:
    """The pod that the CronJob makes, with what Kubernetes adds to it."""
    (spec,) = [found for one in read(FOLDER / "reaper.yaml") if (found := pod_spec(one))]
    spec = copy.deepcopy(spec)
    del spec["serviceAccountName"]
    (container,) = spec["containers"]
    container["args"] = ["0s" if word == "7d" else word for word in container["args"]]
    container["env"] += [
        {"name": "KUBERNETES_SERVICE_HOST", "value": fake.host},
        {"name": "KUBERNETES_SERVICE_PORT", "value": str(fake.port)},
    ]
    container["volumeMounts"].append({"name": "account", "mountPath": ACCOUNT, "readOnly": True})
    spec["volumes"].append({"name": "account", "hostPath": {"path": str(folder)}})
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "reaper"}, "spec": spec}


def test_the_reaper_deletes_what_has_ended_and_nothing_else(
    play: Play,
    service: LocalRavi,
    fake: FakeKubernetes,
    account: tuple[Path, ssl.SSLContext],
) -> None:
    add_run(fake, "old", Outcome())
    add_run(fake, "new", Outcome(is_held=True))
    for name in ("task-old-0", "task-new-0", "task-gone-0", "production"):
        service.store.create(name=name, email=None, with_phone=False)

    pod = play(reaper_pod(fake, account[0]))

    assert pod.wait("reaper") == 0, pod.logs("reaper")
    assert "removed 1 Jobs, deleted 2 identities" in pod.logs("reaper")
    left = {name for kind, _, name in fake.cluster.objects if kind == "jobs"}
    assert left == {"ravi-agent-new"}
    assert {one.name for one in service.store.identities()} == {"task-new-0", "production"}
    assert MANAGEMENT_KEY not in pod.logs("reaper")


def test_the_reapers_role_allows_what_it_asks_for(
    play: Play,
    service: LocalRavi,
    fake: FakeKubernetes,
    account: tuple[Path, ssl.SSLContext],
) -> None:
    add_run(fake, "old", Outcome())
    play(reaper_pod(fake, account[0])).wait("reaper")
    (role,) = [one for one in read(FOLDER / "reaper.yaml") if one["kind"] == "Role"]
    allowed = {
        (verb, resource)
        for rule in role["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }

    asked = {(verb, resource) for verb, resource, _ in fake.requests}
    assert asked
    assert asked <= allowed
