"""`ravi-launch --backend kubernetes` as a process, against the fake cluster."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from conftest import MANAGEMENT_KEY
from fake_kubernetes.cluster import Object, check
from fake_kubernetes.controllers import Controllers, Outcome
from fake_kubernetes.server import FakeKubernetes, Fault
from manifests import VERSIONS, check_schema, pod_spec, violations
from ravi_agent.local.server import LocalRavi

LAUNCH = str(Path(sys.executable).with_name("ravi-launch"))
HELD = Outcome(is_held=True, log=b"up\nand about\n")


UUID = "11111111-2222-4333-8444-555555555555"
Play = Callable[[Outcome], Controllers]


@pytest.fixture
def play(fake: FakeKubernetes) -> Iterator[Play]:
    """Let the cluster carry out Jobs, every agent alike."""
    started: list[Controllers] = []

    def play(outcome: Outcome) -> Controllers:
        started.append(Controllers(fake.cluster, lambda _index, _attempt: outcome))
        return started[-1]

    yield play
    for controllers in started:
        controllers.close()


Launch = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environ(fake: FakeKubernetes, tmp_path: Path) -> dict[str, str]:
    """The launcher's own environment: the fake's kubeconfig, a key, and an empty home."""
    config, key = tmp_path / "kubeconfig", tmp_path / "management_key"
    config.write_text(fake.kubeconfig())
    key.write_text(MANAGEMENT_KEY)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "KUBECONFIG": str(config),
        "RAVI_MANAGEMENT_KEY_FILE": str(key),
    }


@pytest.fixture
def launch(environ: dict[str, str]) -> Launch:
    def launch(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [LAUNCH, *arguments],
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert MANAGEMENT_KEY not in done.stdout + done.stderr
        return done

    return launch


def kubernetes(launch: Launch, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    return launch("--backend", "kubernetes", *arguments, code=code)


def of_kind(fake: FakeKubernetes, resource: str) -> list[Object]:
    return [one for (kind, _, _), one in fake.cluster.objects.items() if kind == resource]


def test_a_run_ends_with_a_report_of_every_agent(
    launch: Launch, fake: FakeKubernetes, play: Play
) -> None:
    play(Outcome(log=b"hello\n"))

    done = kubernetes(launch, "--count", "3", "-o", "json", "--", "python3", "agent.py")

    result = json.loads(done.stdout)
    assert result["backend"] == "kubernetes"
    assert result["summary"]["succeeded"] == 3
    assert [agent["exit_code"] for agent in result["agents"]] == [0, 0, 0]
    pods = {pod["metadata"]["name"] for pod in of_kind(fake, "pods")}
    assert {agent["container"] for agent in result["agents"]} == pods
    names = [agent["identity"]["name"] for agent in result["agents"]]
    assert names == [f"task-{result['run']}-{index}" for index in range(3)]
    assert [line for line in done.stderr.splitlines() if line.endswith("| hello")]
    assert f"ravi-launch --backend kubernetes rm {result['run']}" in done.stderr


def test_a_run_that_is_to_be_removed_leaves_nothing(
    launch: Launch, fake: FakeKubernetes, play: Play
) -> None:
    play(Outcome())

    kubernetes(launch, "--count", "2", "--rm")

    assert fake.cluster.objects == {}


@pytest.mark.parametrize("flags", [[], ["--rm"]], ids=["kept", "removed"])
def test_a_bad_key_is_said_and_the_job_is_kept_or_goes(
    launch: Launch, fake: FakeKubernetes, play: Play, flags: list[str]
) -> None:
    message = "ravi-init: error: GET ravi.id: status 401; fix: check the key"
    play(Outcome(init_code=77, init_message=message))

    done = kubernetes(launch, "--count", "2", *flags, code=1)

    assert f"2 x {message}" in done.stderr
    assert len(of_kind(fake, "jobs")) == (0 if flags else 1)


def test_an_image_that_cannot_be_pulled_suspends_the_job(
    launch: Launch, fake: FakeKubernetes, play: Play
) -> None:
    play(Outcome(waiting=("agent", "ImagePullBackOff", "Back-off pulling image x: not found")))

    done = kubernetes(launch, "--count", "2", code=1)

    assert "2 x container agent: ImagePullBackOff: Back-off pulling image x" in done.stderr
    (job,) = of_kind(fake, "jobs")
    assert job["spec"]["suspend"] is True
    assert of_kind(fake, "pods") == []


def test_a_detached_run_that_cannot_start_says_why(launch: Launch, play: Play) -> None:
    play(Outcome(waiting=("agent", "ErrImageNeverPull", "image x is not present")))

    done = kubernetes(launch, "--count", "2", "--detach", code=1)

    assert "0 failed: container agent: ErrImageNeverPull: image x is not present" in done.stderr


@pytest.mark.timeout(300)  # eleven launches
def test_a_detached_run_is_found_by_its_name(
    launch: Launch, fake: FakeKubernetes, play: Play
) -> None:
    play(HELD)

    started = kubernetes(launch, "--count", "2", "--name", "nightly", "--detach")
    assert started.stdout == "nightly\n"

    listed = json.loads(kubernetes(launch, "ps", "nightly", "-o", "json").stdout)
    assert [(one["task"], one["state"]) for one in listed] == [("0", "running"), ("1", "running")]
    assert "task-nightly-1" in kubernetes(launch, "ps").stdout
    assert kubernetes(launch, "logs", "nightly", "1", "--tail", "1").stdout == "1 | and about\n"
    assert "still run" in kubernetes(launch, "rm", "nightly", code=64).stderr
    assert "as a whole" in kubernetes(launch, "rm", "nightly", "1", code=64).stderr
    assert "no such task" in kubernetes(launch, "logs", "nightly", "7", code=64).stderr

    kubernetes(launch, "stop", "nightly")
    (job,) = of_kind(fake, "jobs")
    assert job["spec"]["suspend"] is True
    assert of_kind(fake, "pods") == []

    kubernetes(launch, "rm", "nightly")
    assert fake.cluster.objects == {}
    assert "no Job of it" in kubernetes(launch, "ps", "nightly", code=64).stderr


@pytest.mark.parametrize(
    ("tasks", "lines"),
    [
        ([], ["0 | out of 0", "1 | failed", "1 | out of 1", "2 | out of 2"]),
        (["1"], ["1 | failed", "1 | out of 1"]),
    ],
    ids=["the run", "a task"],
)
def test_following_goes_on_to_the_end_with_what_starts_later(
    launch: Launch, fake: FakeKubernetes, tasks: list[str], lines: list[str]
) -> None:
    def outcome(index: int, attempt: int) -> Outcome:
        if index == 1 and attempt == 0:
            return Outcome(exit_code=3, log=b"failed\n")
        return Outcome(log=b"out of %d\n" % index)

    controllers = Controllers(fake.cluster, outcome, is_watched=True)  # not before it is followed
    flags = ["--count", "3", "--parallel", "1", "--retries", "1", "--name", "nightly"]
    rendered = launch("render", *flags, "--", "true").stdout
    (job,) = [one for one in yaml.safe_load_all(rendered) if one["kind"] == "Job"]
    fake.cluster.create("default", "jobs", job)

    followed = kubernetes(launch, "logs", "nightly", *tasks, "--follow")

    controllers.close()
    assert sorted(followed.stdout.splitlines()) == lines


def test_a_run_that_is_followed_and_stopped_or_removed_is_over(
    environ: dict[str, str], launch: Launch, play: Play
) -> None:
    for verb in ("stop", "rm"):
        first = play(HELD)
        name = f"nightly-{verb}"
        kubernetes(launch, "--count", "2", "--name", name, "--detach", "--", "true")
        command = [LAUNCH, "--backend", "kubernetes", "logs", name, "--follow"]
        following = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True)
        assert following.stdout
        read = {following.stdout.readline() for _ in range(4)}
        assert read == {"0 | up\n", "0 | and about\n", "1 | up\n", "1 | and about\n"}

        kubernetes(launch, verb, name, *(["--force"] if verb == "rm" else []))

        assert following.communicate(timeout=30)[0] == ""
        assert following.returncode == 0
        first.close()


def test_a_stopped_run_goes_on_without_its_flags(
    launch: Launch, fake: FakeKubernetes, play: Play
) -> None:
    first = play(HELD)
    kubernetes(launch, "--count", "3", "--name", "nightly", "--detach", "--", "true")
    kubernetes(launch, "stop", "nightly")
    first.close()
    play(Outcome())

    done = kubernetes(launch, "--resume", "nightly", "-o", "json")

    assert json.loads(done.stdout)["summary"]["succeeded"] == 3
    refused = kubernetes(launch, "--resume", "nightly", "--count", "4", code=64)
    assert "the run has 3 agents, and not 4" in refused.stderr


@pytest.mark.parametrize(("exit_code", "code"), [(0, 0), (3, 1)])
def test_waiting_gives_the_success_of_the_job(
    launch: Launch, play: Play, exit_code: int, code: int
) -> None:
    play(Outcome(exit_code=exit_code))
    kubernetes(launch, "--count", "2", "--name", "nightly", code=code)

    kubernetes(launch, "wait", "nightly", code=code)
    kubernetes(launch, "wait", "nightly", "1", code=code)


def test_tasks_keep_their_names(
    launch: Launch, fake: FakeKubernetes, play: Play, tmp_path: Path
) -> None:
    play(HELD)
    tasks = tmp_path / "tasks"
    tasks.write_text("issue-12\nissue-7\n")

    arguments = ["--tasks", str(tasks), "--name", "nightly", "--detach"]
    kubernetes(launch, *arguments, "--", "python3", "agent.py")

    listed = json.loads(kubernetes(launch, "ps", "nightly", "-o", "json").stdout)
    assert [(one["task"], one["identity_name"]) for one in listed] == [
        ("issue-12", "task-nightly-issue-12"),
        ("issue-7", "task-nightly-issue-7"),
    ]
    assert "issue-7 | up" in kubernetes(launch, "logs", "nightly", "issue-7").stdout
    (config,) = of_kind(fake, "configmaps")
    (owner,) = config["metadata"]["ownerReferences"]
    assert owner["kind"] == "Job"


def test_numbered_agents_share_no_name_with_a_task_of_another_run(
    launch: Launch, play: Play, tmp_path: Path
) -> None:
    play(HELD)
    tasks = tmp_path / "tasks"
    tasks.write_text("eu-0\n")

    kubernetes(launch, "--count", "1", "--name", "n-eu", "--detach")
    named = ["--tasks", str(tasks), "--name", "n", "--detach"]
    kubernetes(launch, *named, "--", "python3", "agent.py")

    listed = json.loads(kubernetes(launch, "ps", "-o", "json").stdout)
    assert {one["identity_name"] for one in listed} == {"task-n--eu-0", "task-n-eu-0"}


def test_what_is_left_over_is_listed_and_reaped(
    launch: Launch, environ: dict[str, str], fake: FakeKubernetes, play: Play, local: LocalRavi
) -> None:
    environ["RAVI_API_URL"] = local.url
    ended = play(Outcome())
    kubernetes(launch, "--count", "1", "--name", "old")
    ended.close()
    play(HELD)
    kubernetes(launch, "--count", "1", "--name", "new", "--detach")
    for name in ("task-old-0", "task-new-0", "task-gone-0", "production"):
        local.store.create(name=name, email=None, with_phone=False)
    options = ["reap", "--older-than", "0s", "--all"]

    listed = kubernetes(launch, *options, "--dry-run").stdout
    assert "Job of run old" in listed
    assert "new" not in listed
    assert "production" not in listed
    assert len(local.store.identities()) == 4

    kubernetes(launch, *options, "--force")
    assert [job["metadata"]["name"] for job in of_kind(fake, "jobs")] == ["ravi-agent-new"]
    left = {record.name for record in local.store.identities()}
    assert left == {"task-new-0", "production"}


def test_the_identities_of_pods_that_no_run_made_are_spared(
    launch: Launch, environ: dict[str, str], fake: FakeKubernetes, local: LocalRavi
) -> None:
    environ["RAVI_API_URL"] = local.url
    for name in ("task-web-0", "task-gone-0"):
        local.store.create(name=name, email=None, with_phone=False)
    told = json.dumps({"uuid": UUID, "name": "task-web-0", "email": "a@b.c", "created_at": ""})
    ended = {"exitCode": 0, "message": told}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web-0", "namespace": "default"},
        "status": {
            "initContainerStatuses": [{"name": "ravi-init", "state": {"terminated": ended}}]
        },
    }
    fake.cluster.put("pods", pod, "ADDED")

    kubernetes(launch, "reap", "--older-than", "0s", "--all", "--force")

    assert {record.name for record in local.store.identities()} == {"task-web-0"}


def test_a_secret_that_is_there_is_used(launch: Launch, fake: FakeKubernetes, play: Play) -> None:
    play(Outcome())
    mine = {
        "metadata": {"name": "ravi", "namespace": "default"},
        "data": {"management_key": "eA=="},
    }
    fake.cluster.put("secrets", {"apiVersion": "v1", "kind": "Secret", **mine}, "ADDED")

    kubernetes(launch, "--count", "1", "--secret", "ravi")

    assert [one["metadata"]["name"] for one in of_kind(fake, "secrets")] == ["ravi"]
    (job,) = of_kind(fake, "jobs")
    assert "'secretName': 'ravi'" in str(job)


def test_rendering_fifty_is_valid_restricted_and_needs_no_cluster(
    launch: Launch, environ: dict[str, str]
) -> None:
    del environ["KUBECONFIG"], environ["RAVI_MANAGEMENT_KEY_FILE"]
    arguments = ["render", "--count", "50", "--name", "nightly", "--namespace", "agents"]

    first = launch(*arguments, "--", "python3", "agent.py").stdout

    assert first == launch(*arguments, "--", "python3", "agent.py").stdout
    (job,) = yaml.safe_load_all(first)
    check("jobs", job)
    for version in VERSIONS:
        check_schema(job, version)
    spec = pod_spec(job)
    assert spec
    assert violations(spec) == []
    assert job["metadata"]["namespace"] == "agents"
    assert spec["containers"][0]["args"] == ["python3", "agent.py"]


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--namespace", "x"], "--namespace"),
        (["--ttl", "1d"], "--ttl"),
        (["--secret", "x"], "--secret"),
        (["--backend", "swarm"], "--backend 'swarm'"),
        (["--backend", "kubernetes", "--host", "unix:///x"], "--host"),
        (["--backend", "kubernetes", "--local"], "--local on Kubernetes"),
        (["--backend", "kubernetes", "--provision", "host"], "--provision host on Kubernetes"),
        (["--backend", "kubernetes", "--concurrency", "4"], "--concurrency on Kubernetes"),
        (["--backend", "kubernetes", "--detach", "--rm"], "--detach and --rm"),
        (["--backend", "kubernetes", "--context", "other"], "--context 'other'"),
        (["--backend", "kubernetes", "--toleration", ":x"], "--toleration"),
    ],
)
def test_bad_input_is_refused_before_anything_is_asked(
    launch: Launch, fake: FakeKubernetes, arguments: list[str], what: str
) -> None:
    refused = launch("--count", "2", *arguments, code=64)

    assert f"ravi-launch: error: {what}" in refused.stderr
    assert "  fix: " in refused.stderr
    assert "Traceback" not in refused.stderr
    assert fake.requests == []


def test_a_render_without_a_name_is_refused(launch: Launch) -> None:
    assert "--name nightly" in launch("render", "--count", "2", code=64).stderr


def test_a_missing_right_is_named_by_verb_and_resource(
    launch: Launch, fake: FakeKubernetes
) -> None:
    message = 'jobs.batch is forbidden: User "x" cannot create resource "jobs"'
    fake.faults.append(Fault("create", "jobs", 403, "Forbidden", message))

    refused = kubernetes(launch, "--count", "2", code=69)

    assert "cannot create jobs in namespace 'default'" in refused.stderr
    assert "kubectl auth can-i create jobs --namespace default" in refused.stderr
    assert fake.cluster.objects == {}


def test_ctrl_c_suspends_the_run(environ: dict[str, str], fake: FakeKubernetes, play: Play) -> None:
    play(HELD)
    with subprocess.Popen(
        [LAUNCH, "--backend", "kubernetes", "--count", "2", "--name", "nightly"],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout
        for line in running.stdout:
            if line.endswith("| up\n"):
                break
        running.terminate()
        _, errors = running.communicate(timeout=30)

    assert running.returncode == 130, errors
    (job,) = of_kind(fake, "jobs")
    assert job["spec"]["suspend"] is True
