"""A name is no proof of ownership: only containers with a run's own labels are its own."""

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from docker.models.containers import Container

from engine.conftest import containers, launch
from ravi_agent import contract
from ravi_agent.launcher.docker.engine import DockerEngine
from ravi_agent.launcher.planning.plan import make_plan
from ravi_agent.launcher.planning.spec import RunSpec


@pytest.fixture
def foreign(client: docker.DockerClient, run_name: str) -> Iterator[Container]:
    """Somebody's container that has the name of the first task's."""
    container = client.containers.run(
        "ravi-agent-base",
        ["sleep", "600"],
        entrypoint="",
        name=f"ravi-agent-{run_name}-0000",
        labels={"of": "somebody"},
        detach=True,
    )
    yield container
    container.remove(force=True)


def test_a_foreign_container_of_our_name_is_left_alone(
    environ: dict[str, str], run_name: str, foreign: Container
) -> None:
    arguments = ["--count", "2", "--retries", "1", "--name", run_name, "--rm", "--", "true"]
    done = launch(environ, *arguments, code=1)

    assert "is already in use" in done.stderr
    assert "2 requested, 1 succeeded" in done.stderr
    foreign.reload()
    assert foreign.status == "running"


def test_only_a_container_with_all_of_the_labels_is_replaced(
    client: docker.DockerClient, run_name: str, foreign: Container
) -> None:
    plan = make_plan(run_name, RunSpec(image="x", count=2, api_url="https://x"), is_fresh=True)
    first, second = plan.tasks
    name, labels = plan.container_name(second), plan.labels_of(second)
    client.containers.create("ravi-agent-base", name=name, labels=labels)
    engine = DockerEngine(connections=1)
    try:
        engine.remove_agent(plan, first)
        engine.remove_agent(plan, second)
    finally:
        engine.close()

    foreign.reload()
    assert foreign.status == "running"
    assert containers(client, run_name) == []


def test_a_container_with_some_of_our_labels_is_no_agent(
    environ: dict[str, str], run_name: str, client: docker.DockerClient
) -> None:
    for labels in ({}, {contract.LABEL_INDEX: "7"}, {contract.LABEL_INDEX: "x"}):
        client.containers.run(
            "ravi-agent-base",
            ["false"],
            entrypoint="",
            detach=True,
            labels={contract.LABEL_RUN: run_name, **labels},
        )

    launch(environ, "--count", "1", "--name", run_name, "--", "true")

    assert launch(environ, "ps", run_name, "-o", "json").stdout.count('"task"') == 1


def test_an_identity_that_another_run_s_agent_has_is_refused(
    environ: dict[str, str], run_name: str, client: docker.DockerClient, tmp_path: Path
) -> None:
    tasks = tmp_path / "tasks"
    tasks.write_text("eu-7\n")
    other = run_name.replace("-", "")
    try:
        launch(environ, "--tasks", str(tasks), "--name", other, "--", "true")
        tasks.write_text("7\n")
        refused = launch(
            environ, "--tasks", str(tasks), "--name", f"{other}-eu", "--", "true", code=64
        )
    finally:
        launch(environ, "rm", other)

    assert f"task eu-7 of run {other} has the identity 'task-{other}-eu-7'" in refused.stderr
    assert containers(client, f"{other}-eu") == []
