"""`doctor --backend kubernetes`: what stops a run is found before one is started."""

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from conftest import MANAGEMENT_KEY
from fake_kubernetes.server import FakeKubernetes, Fault
from ravi_agent.launcher.kubernetes.api import KubernetesApi
from ravi_agent.launcher.kubernetes.doctor import diagnose
from ravi_agent.launcher.model.findings import Finding, Verdict
from ravi_agent.launcher.model.request import DoctorTarget
from ravi_agent.local.server import LocalRavi

LAUNCH = str(Path(sys.executable).with_name("ravi-launch"))


Diagnose = Callable[..., dict[str, Finding]]


@pytest.fixture
def examine(fake: FakeKubernetes, tmp_path: Path) -> Diagnose:
    """What is found, by the thing checked."""

    def examine(
        *, secret: str | None = None, namespace: str | None = None, port: int = fake.port
    ) -> dict[str, Finding]:
        config = tmp_path / "kubeconfig"
        config.write_text(fake.kubeconfig().replace(f":{fake.port}", f":{port}"))
        target = DoctorTarget(image="my-agent", count=3, is_local=False, environ={}, secret=secret)
        api = KubernetesApi(config_file=str(config), namespace=namespace)
        found = {one.what: one for one in diagnose(api, target)}
        api.close()
        return found

    return examine


def bad(found: dict[str, Finding]) -> list[str]:
    return [what for what, one in found.items() if one.verdict == Verdict.BAD]


def test_a_cluster_on_which_a_run_succeeds_has_nothing_bad(
    fake: FakeKubernetes, examine: Diagnose
) -> None:
    found = examine()

    assert bad(found) == []
    assert found["cluster"].says.startswith("Kubernetes v1.")
    assert fake.url in found["cluster"].says
    assert found["rights"].verdict == Verdict.GOOD
    assert fake.cluster.objects == {}  # nothing was created to find that out


def test_a_cluster_that_does_not_answer_is_bad(examine: Diagnose) -> None:
    found = examine(port=1)

    assert list(found) == bad(found) == ["cluster"]
    assert "kubectl cluster-info" in found["cluster"].fix


@pytest.mark.parametrize(
    "right",
    ["create jobs", "watch pods", "get pods/log", "create secrets", "create configmaps"],
)
def test_a_right_that_a_run_needs_and_the_user_lacks_is_named(
    fake: FakeKubernetes, examine: Diagnose, right: str
) -> None:
    fake.denied.add(right)

    found = examine()

    assert bad(found) == ["rights"]
    verb, resource = right.split()
    asked = f"{verb} jobs.batch" if resource == "jobs" else right
    assert found["rights"].says == f"this user may not {asked}"
    assert found["rights"].fix == f"kubectl auth can-i {asked} --namespace default"


def test_with_a_secret_of_its_own_a_run_needs_no_right_to_make_one(
    fake: FakeKubernetes, examine: Diagnose
) -> None:
    fake.denied.add("create secrets")

    assert "rights" not in bad(examine(secret="ravi"))


def test_a_right_that_only_explains_is_worth_knowing(
    fake: FakeKubernetes, examine: Diagnose
) -> None:
    fake.denied.add("watch events")

    assert examine()["rights"].verdict == Verdict.NOTE


@pytest.mark.parametrize("verb", ["create", "delete"])
def test_a_right_that_only_isolated_runs_need_is_worth_knowing(
    fake: FakeKubernetes, examine: Diagnose, verb: str
) -> None:
    fake.denied.add(f"{verb} networkpolicies")

    found = examine()["rights"]

    assert found.verdict == Verdict.NOTE
    assert f"--isolated also needs {verb} networkpolicies.networking.k8s.io" in found.says


def test_a_namespace_that_does_not_exist_is_bad(examine: Diagnose) -> None:
    found = examine(namespace="nowhere")

    assert bad(found) == ["namespace nowhere"]
    assert "kubectl create namespace nowhere" in found["namespace nowhere"].fix


def test_a_namespace_that_may_not_be_read_is_no_hindrance(
    fake: FakeKubernetes, examine: Diagnose
) -> None:
    fake.faults.append(Fault("get", "namespaces", 403, "Forbidden", "namespaces is forbidden"))

    found = examine()

    assert bad(found) == []
    assert found["namespace default"].verdict == Verdict.NOTE


@pytest.mark.parametrize("level", ["restricted", "privileged", None])
def test_the_enforced_pod_security_level_is_shown(
    fake: FakeKubernetes, examine: Diagnose, level: str | None
) -> None:
    if level:
        fake.cluster.namespace_labels["pod-security.kubernetes.io/enforce"] = level

    assert (level or "no level") in examine()["pod security"].says


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (None, "it does not exist"),
        ({"key": "eA=="}, "it has no entry 'management_key'"),
        ({"management_key": base64.b64encode(MANAGEMENT_KEY.encode()).decode()}, None),
    ],
    ids=["absent", "without the key", "with it"],
)
def test_a_secret_that_is_named_must_hold_the_key(
    fake: FakeKubernetes, examine: Diagnose, data: dict[str, str] | None, says: str | None
) -> None:
    if data is not None:
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "ravi"}, "data": data}
        fake.cluster.create("default", "secrets", body)

    found = examine(secret="ravi")

    assert bad(found) == (["secret ravi"] if says else [])
    if says:
        assert found["secret ravi"].says == says
        assert "kubectl create secret generic ravi" in found["secret ravi"].fix
    assert MANAGEMENT_KEY not in str(found)


@pytest.mark.parametrize("has_cluster", [True, False], ids=["with a cluster", "without one"])
def test_the_command_checks_the_account_too(
    fake: FakeKubernetes, local: LocalRavi, tmp_path: Path, has_cluster: bool
) -> None:
    config, key = tmp_path / "kubeconfig", tmp_path / "key"
    if has_cluster:
        config.write_text(fake.kubeconfig())
    key.write_text(MANAGEMENT_KEY)
    key.chmod(0o600)

    done = subprocess.run(
        [LAUNCH, "--backend", "kubernetes", "doctor", "-o", "json"],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "KUBECONFIG": str(config),
            "RAVI_API_URL": local.url,
            "RAVI_MANAGEMENT_KEY_FILE": str(key),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == (0 if has_cluster else 1), done.stderr
    found = {one["what"]: one["verdict"] for one in json.loads(done.stdout)}
    assert found["service"] == "good"
    assert found["cluster" if has_cluster else "engine"] == ("good" if has_cluster else "bad")
    assert MANAGEMENT_KEY not in done.stdout + done.stderr


def put_quota(fake: FakeKubernetes, hard: dict[str, str], used: dict[str, str]) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "team", "namespace": "default"},
        "status": {"hard": hard, "used": used},
    }
    fake.cluster.put("resourcequotas", quota, "ADDED")


def test_a_quota_that_is_used_up_is_bad(fake: FakeKubernetes, examine: Diagnose) -> None:
    put_quota(fake, {"pods": "5", "secrets": "9"}, {"pods": "5", "secrets": "1"})

    found = examine()

    assert bad(found) == ["quota team"]
    assert found["quota team"].says == "used up: pods: 5 of 5"
    assert found["quota team"].fix == "kubectl describe resourcequota team --namespace default"


def test_a_quota_on_limits_names_the_flags_that_a_run_needs(
    fake: FakeKubernetes, examine: Diagnose
) -> None:
    put_quota(fake, {"limits.cpu": "8", "limits.memory": "8Gi"}, {})

    found = examine()

    assert found["quota team"].verdict == Verdict.NOTE
    assert "--cpus and --memory" in found["quota team"].says


def test_quotas_that_may_not_be_read_are_no_hindrance(
    fake: FakeKubernetes, examine: Diagnose
) -> None:
    fake.faults.append(Fault("list", "resourcequotas", 403, "Forbidden", "forbidden"))

    assert bad(examine()) == []


@pytest.mark.parametrize(("off_s", "verdict"), [(5, Verdict.GOOD), (-4000, Verdict.BAD)])
def test_a_clock_that_is_wrong_is_bad(
    examine: Diagnose, monkeypatch: pytest.MonkeyPatch, off_s: int, verdict: Verdict
) -> None:
    now = formatdate(time.time() + off_s, usegmt=True)
    monkeypatch.setattr(BaseHTTPRequestHandler, "date_time_string", lambda *_: now)

    assert examine()["time"].verdict == verdict
