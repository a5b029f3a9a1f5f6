"""Identities that runs lease from a pool and give back: never two agents with one of them."""

import json
import smtplib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from conftest import MANAGEMENT_KEY
from engine.conftest import DEAF, LAUNCH, Launching, containers, launch, of_run, started
from ravi_agent import contract
from ravi_agent.credential import Credential
from ravi_agent.launcher.model.leases import read_leases
from ravi_agent.local.server import LocalRavi
from ravi_agent.service.api import RaviApi

# Leases again and again, and marks each identity in a directory as long as it has it.
LEASER = """
import os, sys
from contextlib import closing
from ravi_agent.credential import Credential
from ravi_agent.launcher.docker.engine import DockerEngine
from ravi_agent.launcher.docker.pools import Pool
from ravi_agent.launcher.planning.plan import make_plan
from ravi_agent.launcher.planning.spec import RunSpec
run, marks, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
url = os.environ["RAVI_API_URL"]
spec = RunSpec(image="i", count=2, api_url=url, pool="signup", is_provisioning_here=True)
credential = Credential(open(os.environ["KEY"]).read().strip(), "test")
with closing(DockerEngine(connections=2)) as engine:
    for number in range(rounds):
        pool = Pool(engine, f"{run}-{number}", spec, os.environ)
        plan = make_plan(f"{run}-{number}", spec, is_fresh=True)
        plan = pool.lease(plan, credential, is_dry_run=False)
        for task in plan.tasks:
            os.mkdir(f"{marks}/{task.identity_name}")  # fails where another process has it
        for task in plan.tasks:
            os.rmdir(f"{marks}/{task.identity_name}")
            print(task.identity_name)
        pool.give_back()
"""


@pytest.mark.timeout(300)
def test_twenty_launchers_at_once_never_have_one_identity_twice(
    environ: dict[str, str], run_name: str, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    environ = {**environ, "KEY": environ["RAVI_MANAGEMENT_KEY_FILE"]}
    leasers = [
        subprocess.Popen(
            [sys.executable, "-c", LEASER, f"{run_name}-{number}", str(marks), "3"],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(20)
    ]

    ended = [one.communicate(timeout=280) for one in leasers]

    assert [one.returncode for one in leasers] == [0] * 20, ended
    names = [name for out, _ in ended for name in out.split()]
    assert len(names) == 20 * 3 * 2
    assert len(set(names)) <= 40  # what was given back was taken again
    assert read_leases(environ) == []


Runs = Callable[[str], str]


@pytest.fixture
def runs(client: docker.DockerClient, run_name: str) -> Iterator[Runs]:
    """Further names of runs, of which nothing is left afterwards."""
    made: list[str] = []

    def run_of(letter: str) -> str:
        made.append(f"{run_name}-{letter}")
        return made[-1]

    yield run_of
    for run in made:
        for container in containers(client, run):
            container.remove(force=True, v=True)
        for volume in client.volumes.list(filters=of_run(run)):
            volume.remove()


def identity_names(done: subprocess.CompletedProcess[str]) -> list[str]:
    result: dict[str, Any] = json.loads(done.stdout)
    return [one["identity"]["name"] for one in result["agents"]]


def test_a_second_run_has_the_identities_of_the_first_and_nothing_in_their_inboxes(
    environ: dict[str, str], runs: Runs, service: LocalRavi
) -> None:
    flags = ["--count", "2", "--pool", "signup", "-o", "json", "--name"]
    first = launch(environ, *flags, runs("a"), "--", "true")
    made = {one.name: one for one in service.store.identities()}
    assert sorted(made) == identity_names(first) == ["task-pool-signup-1", "task-pool-signup-2"]
    with RaviApi(service.url, Credential(MANAGEMENT_KEY, "test")) as api:
        assert api.read_list("auth/keys/identity/", keep=lambda one: one["is_active"]) == []
    with smtplib.SMTP(service.host, service.smtp_port, timeout=10) as smtp:
        for one in made.values():
            smtp.sendmail("shop@example.com", [one.email], "Subject: code\n\nYour code is 123456\n")

    script = "ravi inbox email --unread --json; ravi inbox wait --timeout 1s --code --since all"
    second = launch(environ, *flags, runs("b"), "--", "sh", "-c", script, code=1)

    assert sorted(identity_names(second)) == sorted(made)
    assert "123456" not in second.stderr
    assert len(service.store.identities()) == 2
    listed = json.loads(launch(environ, "identities", "-o", "json").stdout)
    assert {(one["pool"], one["leased_by"]) for one in listed} == {("signup", None)}


def test_a_pool_grows_no_further_than_it_may(
    environ: dict[str, str], run_name: str, service: LocalRavi
) -> None:
    flags = ["--pool", "signup", "--pool-size", "2", "--name", run_name]

    refused = launch(environ, "--count", "3", *flags, "--", "true", code=64)

    assert "0 of its 0 identities are free and it may have 2; 3 are wanted" in refused.stderr
    assert "fix: --pool-size 3" in refused.stderr
    assert service.store.identities() == []
    assert read_leases(environ) == []


def test_the_leases_of_a_killed_launcher_last_as_long_as_its_agents(
    environ: dict[str, str], runs: Runs, client: docker.DockerClient, launching: Launching
) -> None:
    killed = runs("a")
    flags = ["--count", "1", "--pool", "signup", "--name"]
    launcher = launching([LAUNCH, *flags, killed, *DEAF], environ)
    started(launcher, 1)
    launcher.kill()
    launcher.wait()

    beside = launch(environ, *flags, runs("b"), "-o", "json", "--", "true")
    listed = json.loads(launch(environ, "identities", "-o", "json").stdout)
    for one in containers(client, killed):
        one.kill()
    after = launch(environ, *flags, runs("c"), "-o", "json", "--", "true")

    assert identity_names(beside) == ["task-pool-signup-2"]
    leased = {one["name"]: one["leased_by"] for one in listed}
    assert leased == {"task-pool-signup-1": f"{killed}/0000", "task-pool-signup-2": None}
    assert identity_names(after) == ["task-pool-signup-1"]
    assert read_leases(environ) == []


def test_a_resumed_run_keeps_what_its_agents_have(
    environ: dict[str, str],
    runs: Runs,
    service: LocalRavi,
    client: docker.DockerClient,
    launching: Launching,
) -> None:
    name = runs("a")
    script = "echo up; sleep 5"
    flags = ["--count", "2", "--parallel", "1", "--pool", "signup", "--name", name]
    launcher = launching([LAUNCH, *flags, "--", "sh", "-c", script], environ)
    started(launcher, 1)
    launcher.kill()
    launcher.wait()

    done = launch(environ, "--resume", name, "-o", "json")

    assert sorted(identity_names(done)) == ["task-pool-signup-1", "task-pool-signup-2"]
    labels = {one.labels[contract.LABEL_IDENTITY_NAME] for one in containers(client, name)}
    assert labels == set(identity_names(done))
    assert len(service.store.identities()) == 2
    assert read_leases(environ) == []
