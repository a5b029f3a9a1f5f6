"""What a run creates is agreed to beforehand, and can be found and deleted afterwards."""

import json

import docker
import pytest

from engine.conftest import containers, launch
from ravi_agent.local.server import LocalRavi


@pytest.mark.parametrize("provision", ["host", "container"])
def test_the_identities_of_a_run_are_deleted_with_it(
    environ: dict[str, str], run_name: str, service: LocalRavi, provision: str
) -> None:
    arguments = ["--count", "3", "--name", run_name, "--rm", "--provision", provision]
    done = launch(environ, *arguments, "--delete-identities", "--", "true")

    assert f"run {run_name}: deleted 3 of 3 identities" in done.stderr
    assert service.store.identities() == []
    assert launch(environ, "identities", "--quiet").stdout == ""


def test_identities_are_listed_with_who_uses_them_and_rm_deletes_them(
    environ: dict[str, str], run_name: str, client: docker.DockerClient, service: LocalRavi
) -> None:
    launch(environ, "--count", "2", "--name", run_name, "--detach", "--", "sleep", "600")

    listed = json.loads(launch(environ, "identities", "-o", "json").stdout)
    uuids = launch(environ, "identities", "-q", "--filter", f"run={run_name}").stdout.split()
    table = launch(environ, "identities").stdout.splitlines()
    assert sorted(uuids) == sorted(one["uuid"] for one in listed)
    assert {one["used_by"] for one in listed} == {f"{run_name}: running"}
    assert table[0].split() == ["NAME", "RUN", "AGE", "LAST", "USE", "USED", "BY", "UUID"]
    assert len(table) == 3
    assert launch(environ, "identities", "-q", "--filter", "used=false").stdout == ""

    launch(environ, "rm", "--force", run_name, "--delete-identities")

    assert service.store.identities() == []
    assert containers(client, run_name) == []


def test_nothing_is_created_until_somebody_agrees(
    environ: dict[str, str], run_name: str, client: docker.DockerClient, service: LocalRavi
) -> None:
    environ["RAVI_CONFIRM_ABOVE"] = "1"
    arguments = ["--count", "2", "--name", run_name, "--rm"]

    refused = launch(environ, *arguments, "--", "true", code=64)
    assert "2 identities would be created" in refused.stderr
    assert "fix: add --yes, or --max-identities 2" in refused.stderr
    assert service.store.identities() == []
    assert containers(client, run_name) == []

    launch(environ, *arguments, "--yes", "--", "true")
    launch(environ, *arguments, "--", "true")  # they are there, and cost nothing

    assert len(service.store.identities()) == 2
