"""One table says which exit codes are worth a retry; everything that retries reads it."""

import pytest

from ravi_agent.errors import RaviError
from ravi_agent.identity import Identity
from ravi_agent.launcher.kubernetes import manifests
from ravi_agent.launcher.model.agents import Agent
from ravi_agent.launcher.model.exit_codes import EXIT_CODES, ExitCode
from ravi_agent.launcher.model.request import JobOptions
from ravi_agent.launcher.planning.plan import Task, make_plan
from ravi_agent.launcher.planning.spec import RunSpec

IDENTITY = Identity(uuid="u", name="n", email="e@x", phone=None, created_at="", key=None)


def agent(code: int, identity: Identity | None) -> Agent:
    task = Task(id="0", index=0, identity_name="n", image="i")
    return Agent(task=task, exit_code=code, identity=identity)


def codes_of(container: str) -> list[int]:
    """The codes for which a Job does not try an index again."""
    plan = make_plan("r", RunSpec(image="i", count=1, api_url="https://x"), is_fresh=True)
    rules = manifests.job(plan, JobOptions())["spec"]["podFailurePolicy"]["rules"]
    found = [
        rule["onExitCodes"]["values"]
        for rule in rules
        if rule.get("onExitCodes", {}).get("containerName") == container
    ]
    (codes,) = found
    assert isinstance(codes, list)
    return codes


@pytest.mark.parametrize("row", EXIT_CODES, ids=lambda row: str(row.code))
def test_docker_and_kubernetes_retry_the_same_codes(row: ExitCode) -> None:
    is_retried_on_docker = agent(row.code, IDENTITY if row.is_agents else None).is_worth_retrying
    is_final_on_kubernetes = row.code in codes_of("agent" if row.is_agents else "ravi-init")

    assert is_retried_on_docker is row.can_retry
    assert is_final_on_kubernetes is not row.can_retry


@pytest.mark.parametrize("row", [one for one in EXIT_CODES if not one.is_agents])
def test_a_code_of_an_agent_that_has_started_is_its_own(row: ExitCode) -> None:
    assert agent(row.code, IDENTITY).is_worth_retrying
    assert row.code not in codes_of("agent")


def test_every_code_that_an_error_of_the_container_leaves_with_has_a_meaning() -> None:
    waiting, found = [RaviError], set[int]()
    while waiting:
        one = waiting.pop()
        found.add(one.exit_code)
        waiting += one.__subclasses__()

    assert found - {1} <= {row.code for row in EXIT_CODES}
    assert all(row.meaning for row in EXIT_CODES)
