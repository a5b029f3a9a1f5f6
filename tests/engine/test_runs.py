"""Runs that outlive their launcher, and identities that are made on the host."""

import json
from collections import Counter

import docker
import pytest

from conftest import MANAGEMENT_KEY
from engine.conftest import LAUNCH, Launching, containers, launch, of_run
from ravi_agent import contract
from ravi_agent.local.faults import Fault
from ravi_agent.local.server import LocalRavi

SLEEP = ["--", "sh", "-c", "echo up; exec sleep 600"]


def test_a_detached_run_goes_on_and_is_found_by_its_name(
    environ: dict[str, str], run_name: str, client: docker.DockerClient
) -> None:
    started = launch(environ, "--count", "2", "--name", run_name, "--detach", *SLEEP)
    assert started.stdout == f"{run_name}\n"

    listed = json.loads(launch(environ, "ps", run_name, "-o", "json").stdout)
    assert [(one["task"], one["state"]) for one in listed] == [
        ("0000", "running"),
        ("0001", "running"),
    ]
    assert "0001 | up" in launch(environ, "logs", run_name, "0001").stdout
    assert "0000 |" not in launch(environ, "logs", run_name, "0001", "--tail", "1").stdout
    assert "still run" in launch(environ, "rm", run_name, code=64).stderr

    launch(environ, "stop", run_name, "0000")
    states = {one.labels[contract.LABEL_TASK]: one.status for one in containers(client, run_name)}
    assert states == {"0000": "exited", "0001": "running"}

    launch(environ, "stop", run_name)
    launch(environ, "wait", run_name, code=1)  # a stop is not a success: 143
    launch(environ, "rm", run_name)
    assert containers(client, run_name) == []
    assert "no container of it" in launch(environ, "ps", run_name, code=64).stderr


def test_a_quiet_detached_run_says_why_its_agents_did_not_start(
    environ: dict[str, str], run_name: str, service: LocalRavi
) -> None:
    service.faults.append(Fault(method="POST", path="/api/identities/", status=402))

    flags = ["--count", "2", "--name", run_name, "--detach", "--quiet"]
    done = launch(environ, *flags, *SLEEP, code=1)

    assert done.stdout == f"{run_name}\n"
    cause, *_ = [line for line in done.stderr.splitlines() if " x " in line]
    assert "402" in cause


def test_waiting_for_a_detached_run_gives_its_success(
    environ: dict[str, str], run_name: str
) -> None:
    script = ["--", "sh", "-c", "sleep 1; echo done"]
    launch(environ, "--count", "2", "--name", run_name, "--detach", *script)

    launch(environ, "wait", run_name)

    followed = launch(environ, "logs", run_name, "--follow").stdout.splitlines()
    assert {"0000 | done", "0001 | done"} <= set(followed)


def test_waiting_counts_the_tasks_that_have_not_been_started(
    environ: dict[str, str], run_name: str, client: docker.DockerClient, launching: Launching
) -> None:
    script = "sleep 1; [ $TASK_INDEX != 2 ]"
    arguments = ["--count", "3", "--parallel", "1", "--name", run_name]
    launcher = launching([LAUNCH, *arguments, "--", "sh", "-c", script], environ)
    while not client.api.containers(filters=of_run(run_name)):
        assert launcher.poll() is None

    waited = launch(environ, "wait", run_name, code=1)  # the last one fails

    assert "of 3 tasks have not been started" in waited.stderr
    assert len(containers(client, run_name)) == 3
    launcher.communicate(timeout=60)


def test_a_name_that_is_taken_is_refused_with_what_to_do(
    environ: dict[str, str], run_name: str
) -> None:
    launch(environ, "--count", "1", "--name", run_name, "--", "true")

    again = launch(environ, "--count", "1", "--name", run_name, "--", "true", code=64)

    assert f"--resume {run_name}" in again.stderr


def test_a_resume_must_be_of_the_same_size(environ: dict[str, str], run_name: str) -> None:
    launch(environ, "--count", "2", "--name", run_name, "--", "true")

    refused = launch(environ, "--count", "3", "--resume", run_name, "--", "true", code=64)

    assert "the run has 2 agents" in refused.stderr


def test_identities_made_on_the_host_leave_no_key_of_the_accounts_in_a_container(
    environ: dict[str, str],
    run_name: str,
    client: docker.DockerClient,
    service: LocalRavi,
) -> None:
    script = "cat .ravi/config.json; stat -c '%u %a' .ravi .ravi/*"
    done = launch(
        environ,
        *("--count", "3", "--name", run_name, "--provision", "host", "-o", "json"),
        *("--", "sh", "-c", script),
    )

    # One client: three containers would have had three addresses.
    assert len({entry["client"] for entry in service.requests.entries}) == 1
    assert len(service.store.identities()) == 3
    for agent in json.loads(done.stdout)["agents"]:
        record = service.store.identity(agent["identity"]["uuid"])
        assert record is not None
        assert record.name == agent["identity"]["name"]
        assert f"{agent['task']} | 1000 700" in done.stderr
        assert done.stderr.count(f"{agent['task']} | 1000 600") == 3
    assert MANAGEMENT_KEY not in done.stdout + done.stderr
    for container in containers(client, run_name):
        assert MANAGEMENT_KEY.encode() not in b"".join(client.api.export(str(container.id)))


@pytest.mark.parametrize("where", ["container", "host"])
def test_a_throttled_service_is_waited_for(
    environ: dict[str, str], run_name: str, service: LocalRavi, where: str
) -> None:
    service.faults.append(Fault(rate_per_s=3))

    done = launch(
        environ,
        *("--count", "8", "--name", run_name, "--provision", where, "-o", "json", "--", "true"),
    )

    assert json.loads(done.stdout)["summary"]["succeeded"] == 8
    assert len(service.store.identities()) == 8
    served = [entry for entry in service.requests.entries if entry["status"] != 429]
    refused = len(service.requests.entries) - len(served)
    assert refused > 0
    if where == "host":  # one pace for the whole fleet, so few are told to wait
        assert refused < len(served)


def test_an_identity_that_cannot_be_made_on_the_host_fails_that_agent_alone(
    environ: dict[str, str], run_name: str, service: LocalRavi, client: docker.DockerClient
) -> None:
    service.faults.append(Fault(method="POST", path="/api/identities/", status=403, count=1))

    done = launch(
        environ,
        *("--count", "3", "--name", run_name, "--provision", "host", "-o", "json", "--", "true"),
        code=1,
    )

    states = Counter(agent["state"] for agent in json.loads(done.stdout)["agents"])
    assert states == {"exited": 2, "failed": 1}
    assert len(containers(client, run_name)) == 2


def test_what_is_left_over_is_listed_and_reaped(
    environ: dict[str, str], run_name: str, client: docker.DockerClient, service: LocalRavi
) -> None:
    launch(environ, "--count", "1", "--name", run_name, "--detach", *SLEEP)
    prefix = f"task-{run_name}"
    orphan = service.store.create(name=f"{prefix}-orphan", email=None, with_phone=False)
    stranger = service.store.create(name="production", email=None, with_phone=False)
    options = ["reap", "--prefix", prefix, "--older-than", "0s", "--all"]

    listed = launch(environ, *options, "--dry-run")
    assert [line for line in listed.stdout.splitlines() if line.startswith("identity")] == [
        f"identity {orphan.name} ({orphan.uuid}), made {orphan.created_dt}"
    ]
    assert "nobody is there to be asked" in launch(environ, *options, code=64).stderr
    assert service.store.identity(orphan.uuid)

    launch(environ, *options, "--force")
    assert service.store.identity(orphan.uuid) is None
    assert service.store.identity(stranger.uuid)
    assert [one.status for one in containers(client, run_name)] == ["running"]
    assert client.volumes.list(filters=of_run(run_name))  # what --resume would read

    launch(environ, "stop", run_name)
    assert f"record of run {run_name}" in launch(environ, *options, "--dry-run").stdout
    launch(environ, *options, "--force")
    assert containers(client, run_name) == []
    assert client.volumes.list(filters=of_run(run_name)) == []
    assert [record.name for record in service.store.identities()] == ["production"]


def test_an_identity_that_the_service_keeps_is_named(
    environ: dict[str, str], run_name: str, service: LocalRavi
) -> None:
    service.faults.append(Fault(method="DELETE", status=405))
    orphan = service.store.create(name=f"task-{run_name}-x", email=None, with_phone=False)

    done = launch(
        environ,
        *("reap", "--prefix", f"task-{run_name}", "--older-than", "0s", "--all", "--force"),
        code=1,
    )

    assert f"identity {orphan.name} ({orphan.uuid}) stays" in done.stderr
    assert service.store.identity(orphan.uuid)


def test_identities_that_neither_this_engine_nor_this_host_made_are_left_alone(
    environ: dict[str, str], run_name: str, client: docker.DockerClient, service: LocalRavi
) -> None:
    prefix = f"task-{run_name}"
    launch(environ, "--count", "2", "--name", run_name, "--", "true")
    elsewhere = [
        service.store.create(name=f"{prefix}-{name}", email=None, with_phone=False)
        for name in ("x-0", "x-1", "y-0")
    ]
    options = ["reap", "--prefix", prefix, "--older-than", "0s"]

    listed = launch(environ, *options, "--dry-run")
    assert listed.stdout.count("identity ") == 2
    assert "3 identities of 2 runs that neither this engine nor this host knows" in listed.stderr
    launch(environ, *options, "--force")
    assert service.store.identities() == elsewhere

    launch(environ, *options, "--all", "--force")
    assert service.store.identities() == []


def test_what_this_host_has_made_is_reaped_when_its_run_is_gone(
    environ: dict[str, str], run_name: str, client: docker.DockerClient, service: LocalRavi
) -> None:
    launch(environ, "--count", "2", "--name", run_name, "--rm", "--", "true")
    assert client.volumes.list(filters=of_run(run_name)) == []

    launch(environ, "reap", "--prefix", f"task-{run_name}", "--older-than", "0s", "--force")

    assert service.store.identities() == []
