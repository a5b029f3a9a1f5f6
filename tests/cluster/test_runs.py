"""A run on a real cluster, from its Job to its removal."""

import json
import signal
import subprocess
from pathlib import Path

import pytest

from cluster.conftest import Cluster, Launcher
from ravi_agent.local.server import LocalRavi


def test_every_agent_has_an_identity_of_its_own_and_is_heard(
    launcher: Launcher, service: LocalRavi
) -> None:
    ended = launcher.run(
        *("--count", "3", "--output", "json", "--", "sh", "-c", 'echo "I am $RAVI_EMAIL"')
    )

    agents = json.loads(ended.stdout)["agents"]
    emails = {one.name: one.email for one in service.store.identities()}
    assert len(set(emails.values())) == 3
    assert {one["identity"]["email"] for one in agents} == set(emails.values())
    for email in emails.values():
        assert f"I am {email}" in ended.stderr


def test_no_secret_outlives_its_run(launcher: Launcher, cluster: Cluster) -> None:
    launcher.run("--count", "1", "--name", "one", "--", "true")
    launcher.run("rm", "one")

    cluster.kubectl("wait", "--for=delete", "job/ravi-agent-one", "--timeout=60s", code=None)
    assert cluster.get("secrets,jobs,configmaps", "-l", "id.ravi.run")["items"] == []


def test_isolated_agents_are_behind_a_policy_of_their_job(
    launcher: Launcher, cluster: Cluster
) -> None:
    """Its pods, and no others. Whether it is obeyed is the network plugin's affair."""
    for name, flags in (("alone", ["--isolated"]), ("open", [])):
        launcher.run("--count", "2", "--name", name, "--detach", *flags, "--", "sleep", "300")

    (policy,) = cluster.get("networkpolicies")["items"]
    (job,) = cluster.get("jobs", "-l", "id.ravi.run=alone")["items"]
    assert policy["metadata"]["ownerReferences"][0]["uid"] == job["metadata"]["uid"]
    assert policy["spec"]["policyTypes"] == ["Ingress"]
    assert "ingress" not in policy["spec"]
    ((label, value),) = policy["spec"]["podSelector"]["matchLabels"].items()
    selected = cluster.get("pods", "-l", f"{label}={value}")["items"]
    assert [one["metadata"]["labels"]["id.ravi.run"] for one in selected] == ["alone"] * 2

    launcher.run("rm", "--force", "alone")
    cluster.kubectl("wait", "--for=delete", "networkpolicy/ravi-agent-alone", "--timeout=60s")


def test_the_keys_that_pods_made_end_with_their_job(
    launcher: Launcher, cluster: Cluster, service: LocalRavi
) -> None:
    """By what their init containers left as termination messages, which no agent can write."""

    def good_keys() -> list[object]:
        return [one["identity"] for one in service.store.keys(of_identities=True).rows()]

    forged = '{"uuid": "00000000-0000-4000-8000-000000000000", "name": "x", "email": "a@b.c"}'
    script = f"echo '{forged}' >/dev/termination-log"
    launcher.run("--count", "2", "--name", "keyed", "--", "sh", "-c", script)
    launcher.run("--count", "1", "--name", "other", "--", "true")
    assert len(good_keys()) == 3

    ended = launcher.run("rm", "keyed")

    (left,) = good_keys()
    assert service.store.identity(str(left)).name == "task-other-0"  # type: ignore[union-attr]
    assert "revoked 2 identity keys" in ended.stderr
    assert len(service.store.identities()) == 3


def pods_of(cluster: Cluster, run: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = cluster.get("pods", "-l", f"id.ravi.run={run}")["items"]
    return found


def until_line(process: subprocess.Popen[str], text: str) -> None:
    """Read a launcher's standard error until it says that."""
    assert process.stderr
    said = []
    for line in process.stderr:
        said.append(line)
        if text in line:
            return
    raise AssertionError("".join(said))


def test_a_resumed_run_reports_the_last_attempt_of_each_agent(
    launcher: Launcher, cluster: Cluster
) -> None:
    """A list has pods by their random names, in no order of time."""
    # The kubelet restarts no container, so a second pod has a later start.
    script = 'test "$(date +%s)" -ge "$AFTER" && exit 0; sleep 1; exit 3'
    launcher.run(
        *("--detach", "--count", "6", "--name", "again", "--retries", "8"),
        *("--env", "AFTER=0", "--", "sh", "-c", script),
    )

    ended = launcher.run("--resume", "again", "--output", "json")

    agents = json.loads(ended.stdout)["agents"]
    assert [(one["state"], one["exit_code"]) for one in agents] == [("exited", 0)] * 6


def test_followed_logs_have_each_line_of_each_attempt_and_end_with_the_run(
    launcher: Launcher, cluster: Cluster, tmp_path: Path
) -> None:
    """The second agent fails once, after its last line."""
    path = "metadata.annotations['batch.kubernetes.io/job-index-failure-count']"
    failures = {"name": "FAILURES", "valueFrom": {"fieldRef": {"fieldPath": path}}}
    patch = tmp_path / "patch.yaml"
    containers = [{"name": "agent", "env": [failures]}]
    patch.write_text(json.dumps({"spec": {"containers": containers}}), encoding="utf-8")
    line = 'echo "line $n of $TASK_ID after $FAILURES"'
    script = f'for n in 1 2 3; do {line}; sleep 0.5; done; test "$TASK_ID $FAILURES" != "1 0"'
    launcher.run(
        *("--detach", "--count", "2", "--name", "heard", "--retries", "2"),
        *("--patch", str(patch), "--", "sh", "-c", script),
        code=None,  # the first attempt may have failed by then
    )

    ended = launcher.run("logs", "heard", "--follow")

    heard = [line for line in ended.stdout.splitlines() if " | line " in line]
    assert sorted(heard) == sorted(
        f"{task} | line {n} of {task} after {failures}"
        for task, failures in ((0, 0), (1, 0), (1, 1))
        for n in (1, 2, 3)
    )
    assert cluster.get("job/ravi-agent-heard")["status"]["succeeded"] == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["upgrade", "crash"])
def test_a_restart_of_the_api_server_is_waited_for_and_loses_no_output(
    launcher: Launcher, cluster: Cluster, number: signal.Signals
) -> None:
    script = 'for n in $(seq 20); do echo "line $n of $TASK_ID"; sleep 1; done'
    process = launcher.start("--count", "2", "--name", "restart", "--rm", "--", "sh", "-c", script)
    until_line(process, " running")

    cluster.restart_api_server(number)
    stdout, stderr = process.communicate(timeout=300)

    assert process.returncode == 0, stderr
    for index in range(2):
        for line in range(1, 21):
            assert stdout.count(f"line {line} of {index}\n") == 1, (index, line, stderr)


def test_a_secret_that_is_not_there_is_refused_before_anything_is_made(
    launcher: Launcher, cluster: Cluster
) -> None:
    ended = launcher.run("--count", "1", "--secret", "nowhere", "--", "true", code=64)

    assert "no such Secret" in ended.stderr
    assert cluster.get("jobs")["items"] == []


def test_an_agent_past_its_timeout_has_failed_although_it_left_with_0(
    launcher: Launcher, cluster: Cluster
) -> None:
    script = "trap 'exit 0' TERM; sleep 300 & wait"
    ended = launcher.run(
        *("--count", "1", "--name", "late", "--timeout", "5s", "--output", "json"),
        *("--", "sh", "-c", script),
        code=1,
    )

    assert json.loads(ended.stdout)["summary"]["failed"] == 1
    launcher.run("wait", "late", code=1)


def test_a_stopped_run_is_not_waited_for(launcher: Launcher, cluster: Cluster) -> None:
    launcher.run("--detach", "--count", "1", "--name", "stopped", "--", "sleep", "300")
    launcher.run("stop", "stopped", "--time", "1")

    ended = launcher.run("wait", "stopped", code=64)

    assert "--resume stopped" in ended.stderr


@pytest.mark.parametrize("delay_ms", [0, 40, 80, 120, 160])
def test_no_kill_leaves_the_key_in_a_secret_without_an_owner(
    launcher: Launcher, cluster: Cluster, delay_ms: int
) -> None:
    process = launcher.start("--count", "1", "--name", "killed", "--", "true")
    until_line(process, "identities")  # the last words before the Job is created
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(delay_ms / 1000 or 1e-9)
    process.kill()
    process.communicate()

    for secret in cluster.get("secrets")["items"]:
        assert secret["metadata"].get("ownerReferences"), delay_ms
    if cluster.get("jobs")["items"]:
        assert launcher.run("--resume", "killed").code == 0


def test_kubectl_takes_a_rendered_run_with_every_kind_of_text(
    launcher: Launcher, cluster: Cluster
) -> None:
    texts = [
        "y",
        "n",
        "no",
        "on",
        "1e3",
        "0o14",
        "0x1f",
        "1_000",
        "~",
        "null",
        ".5",
        "1:30",
        "",
        "=",
    ]
    flags = [word for number, text in enumerate(texts) for word in ("--env", f"V{number}={text}")]
    rendered = launcher.render("--count", "1", "--name", "texts", *flags, "--", *texts[:-2])

    cluster.kubectl("apply", "--dry-run=server", "--filename", "-", stdin=rendered)


def test_the_recipes_are_taken_by_the_server(cluster: Cluster) -> None:
    folder = Path(__file__).parents[2] / "images/kubernetes"
    for manifest in sorted(folder.glob("*.yaml")):
        if manifest.name == "env-files.yaml":  # of a feature that 1.34 has not switched on
            continue
        cluster.kubectl("apply", "--dry-run=server", "--filename", str(manifest))


def test_the_server_takes_a_pod_template_with_a_patch(
    launcher: Launcher, cluster: Cluster, tmp_path: Path
) -> None:
    patch = tmp_path / "patch.yaml"
    patch.write_text("spec: {containers: [{name: agent, env: [{name: EXTRA, value: seen}]}]}\n")
    flags = ["--count", "1", "--name", "patched", "--priority-class", "system-node-critical"]
    flags += ["--topology-spread", "kubernetes.io/hostname", "--patch", str(patch)]

    rendered = launcher.render(*flags, "--", "true")

    cluster.kubectl("apply", "--dry-run=server", "--filename", "-", stdin=rendered)
    ended = launcher.run(
        *("--count", "1", "--name", "patched", "--rm", "--patch", str(patch)),
        *("--", "sh", "-c", 'echo "EXTRA is $EXTRA"'),
    )
    assert "EXTRA is seen" in ended.stdout + ended.stderr
