"""The keys that pods make themselves end with their run, and no others."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conftest import MANAGEMENT_KEY
from fake_kubernetes import controllers
from fake_kubernetes.cluster import Object, now
from fake_kubernetes.controllers import INDEX, Controllers, Outcome
from fake_kubernetes.server import FakeKubernetes, Fault
from ravi_agent import contract
from ravi_agent.local.faults import Fault as ServiceFault
from ravi_agent.local.server import LocalRavi
from ravi_agent.service.keys import key_label

LAUNCH = str(Path(sys.executable).with_name("ravi-launch"))
HELD = Outcome(is_held=True)


def make_key(local: LocalRavi, name: str, label: str | None = None) -> str:
    """The UUID of a new key for the identity of that name, which is made where it is not there."""
    found = [one for one in local.store.identities() if one.name == name]
    record = found[0] if found else local.store.create(name=name, email=None, with_phone=False)
    return str(local.store.new_key(record.uuid, label or key_label(name))["uuid"])


def good_keys(local: LocalRavi) -> set[str]:
    return {str(key["uuid"]) for key in local.store.keys(of_identities=True).rows()}


@pytest.fixture
def provisioned(local: LocalRavi, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The UUIDs of the keys that pods have made, each in its init container."""
    made: list[str] = []

    def provision(job: Object, index: int) -> dict[str, str | None]:
        name = f"task-{job['metadata']['name'].removeprefix('ravi-agent-')}-{index}"
        made.append(make_key(local, name))
        (record,) = [one for one in local.store.identities() if one.name == name]
        return {
            "uuid": record.uuid,
            "name": name,
            "email": record.email,
            "phone": None,
            "created_at": now(),
        }

    monkeypatch.setattr(controllers, "identity", provision)
    return made


Play = Callable[[Callable[[int, int], Outcome]], None]


@pytest.fixture
def play(fake: FakeKubernetes, provisioned: list[str]) -> Iterator[Play]:
    started: list[Controllers] = []
    yield lambda outcome: started.append(Controllers(fake.cluster, outcome))
    for one in started:
        one.close()


Launch = Callable[..., str]


@pytest.fixture
def launch(fake: FakeKubernetes, local: LocalRavi, tmp_path: Path) -> Launch:
    """Run it on a host of that name; what it says on standard error."""
    config = tmp_path / "kubeconfig"
    config.write_text(fake.kubeconfig())

    def launch(*arguments: str, host: str = "here", has_key: bool = True) -> str:
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path / host),
            "KUBECONFIG": str(config),
            "RAVI_API_URL": local.url,
        }
        if has_key:
            environ["RAVI_MANAGEMENT_KEY"] = MANAGEMENT_KEY
        done = subprocess.run(
            [LAUNCH, "--backend", "kubernetes", *arguments],
            env=environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert MANAGEMENT_KEY not in done.stdout + done.stderr
        return done.stderr

    return launch


@pytest.mark.parametrize("host", ["here", "elsewhere"])
def test_a_removed_run_takes_the_keys_of_its_pods_with_it_and_no_others(
    launch: Launch, play: Play, local: LocalRavi, provisioned: list[str], host: str
) -> None:
    """Those of earlier attempts, too, which nobody uses any more."""
    play(lambda _index, attempt: Outcome(exit_code=3 if attempt == 0 else 0))
    by_hand = make_key(local, "task-nightly-0", label="laptop")
    of_others = make_key(local, "task-weekly-0")
    earlier = make_key(local, "task-nightly-1")
    local.store.db.run(
        "UPDATE keys SET created_dt = ? WHERE uuid = ?", ("2026-01-01T00:00:00Z", earlier)
    )
    launch("--count", "2", "--name", "nightly", "--retries", "1", "--", "true")
    assert len(provisioned) == 4
    assert good_keys(local) >= set(provisioned)

    said = launch("rm", "nightly", host=host)

    assert "revoked 4 identity keys" in said
    assert "warning" not in said
    assert good_keys(local) == {by_hand, of_others, earlier}
    assert len(local.store.identities()) == 3


def test_a_run_that_is_removed_at_its_end_takes_its_keys_with_it(
    launch: Launch, play: Play, local: LocalRavi, provisioned: list[str]
) -> None:
    play(lambda _index, _attempt: Outcome())

    said = launch("--count", "3", "--rm", "--", "true")

    assert len(provisioned) == 3
    assert "revoked 3 identity keys" in said
    assert good_keys(local) == set()


def test_reaped_runs_take_their_keys_with_them_where_the_identities_stay(
    launch: Launch, play: Play, local: LocalRavi, provisioned: list[str]
) -> None:
    play(lambda _index, _attempt: Outcome())
    launch("--count", "2", "--name", "old", "--", "true")

    said = launch("reap", "--older-than", "0s", "--force", host="elsewhere")

    assert "removed 1 Jobs, deleted 0 identities" in said
    assert good_keys(local) == set()
    assert len(local.store.identities()) == 2


def test_without_the_account_s_key_one_warning_says_what_stays_and_what_to_type(
    launch: Launch, play: Play, local: LocalRavi, provisioned: list[str]
) -> None:
    play(lambda _index, _attempt: Outcome())
    launch("--count", "2", "--name", "nightly", "--", "true")

    said = launch("rm", "nightly", has_key=False)

    assert said.count("warning") == 1
    assert "the keys that 2 agents of run nightly made stay valid: this host has no key" in said
    assert "reap --backend kubernetes --all --older-than 0s --prefix task-nightly-" in said
    assert good_keys(local) == set(provisioned)
    launch("reap", "--all", "--older-than", "0s", "--prefix", "task-nightly-", "--force")
    assert good_keys(local) == set()


def test_a_service_that_refuses_is_one_warning_and_no_failure(
    launch: Launch, play: Play, local: LocalRavi, provisioned: list[str], fake: FakeKubernetes
) -> None:
    play(lambda _index, _attempt: Outcome())
    launch("--count", "1", "--name", "nightly", "--", "true")
    local.faults.append(ServiceFault(status=403))

    said = launch("rm", "nightly")

    assert said.count("warning") == 1
    assert "stay valid" in said
    assert "fix: " in said
    assert not any(kind == "jobs" for kind, _, _ in fake.cluster.objects)


@pytest.mark.parametrize("host", ["here", "elsewhere"])
def test_a_stopped_run_has_no_pods_any_more_and_the_host_that_saw_them_knows(
    launch: Launch, play: Play, local: LocalRavi, provisioned: list[str], host: str
) -> None:
    play(lambda _index, _attempt: HELD)
    launch("--count", "2", "--name", "nightly", "--detach", "--", "sleep", "9")
    launch("stop", "nightly", "--time", "0")

    said = launch("rm", "nightly", host=host)

    if host == "here":
        assert "revoked 2 identity keys" in said
        assert good_keys(local) == set()
    else:
        assert "the keys that 2 agents of run nightly made stay valid: nobody can say" in said
        assert "fix: ravi-launch reap" in said


def test_a_pod_that_only_carries_the_run_s_labels_ends_nobody_s_key(
    launch: Launch, play: Play, local: LocalRavi, fake: FakeKubernetes
) -> None:
    play(lambda _index, _attempt: Outcome())
    launch("--count", "1", "--name", "nightly", "--", "true")
    victim = make_key(local, "task-victim")
    (record,) = [one for one in local.store.identities() if one.name == "task-victim"]
    told = {"uuid": record.uuid, "name": record.name, "email": record.email, "created_at": now()}
    ended = {"exitCode": 0, "message": json.dumps(told)}
    fake.cluster.put(
        "pods",
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": "liar",
                "namespace": "default",
                "creationTimestamp": now(),
                "labels": {contract.LABEL_RUN: "nightly"},
                "annotations": {INDEX: "0"},
                "ownerReferences": [{"kind": "Job", "uid": str(uuid.uuid4())}],
            },
            "status": {
                "phase": "Succeeded",
                "initContainerStatuses": [{"name": "ravi-init", "state": {"terminated": ended}}],
            },
        },
        "ADDED",
    )

    launch("rm", "nightly")

    assert good_keys(local) == {victim}


def test_a_job_that_cannot_be_deleted_keeps_its_keys(
    launch: Launch, play: Play, local: LocalRavi, provisioned: list[str], fake: FakeKubernetes
) -> None:
    play(lambda _index, _attempt: Outcome())
    launch("--count", "1", "--name", "nightly", "--", "true")
    fake.faults.append(Fault("delete", "jobs", 403, "Forbidden", "jobs is forbidden"))

    with pytest.raises(AssertionError, match="jobs is forbidden"):
        launch("rm", "nightly")

    assert good_keys(local) == set(provisioned)
