"""What is said of a run once it is over."""

import json

import pytest

from ravi_agent.identity import Identity
from ravi_agent.launcher.model.agents import KEPT_LINES, Agent, State
from ravi_agent.launcher.model.usage import Used
from ravi_agent.launcher.planning import plan
from ravi_agent.launcher.planning.plan import Plan
from ravi_agent.launcher.planning.spec import RunSpec
from ravi_agent.launcher.show.report import (
    COLUMNS,
    failures,
    report,
    rows,
    summary_line,
    to_json,
)

KEY = "ravi_id_PLANTED_0123456789"


def make_plan(count: int) -> Plan:
    spec = RunSpec(image="my-agent:1", count=count, api_url="https://ravi.example")
    return plan.make_plan("nightly", spec, is_fresh=True)


def make_agents(count: int) -> list[Agent]:
    """That many agents that have all ended well, ready after 0.1 s, 0.2 s and so on."""
    return [
        Agent(
            task=task,
            state=State.EXITED,
            container=f"c{task.index}",
            identity=Identity(
                uuid=f"u{task.index}",
                name=task.identity_name,
                email=f"{task.identity_name}@ravi.example",
                phone=None if task.index else "+15550000001",
                created_at="2026-01-02T03:04:05Z",
                key=KEY,
            ),
            exit_code=0,
            ready_s=(task.index + 1) / 10,
            used=Used(memory_peak=7 << 20, cpu_s=0.25),
        )
        for task in make_plan(count).tasks
    ]


def test_the_object_for_machines_is_what_is_documented() -> None:
    agents = make_agents(2)
    agents[1] = Agent(task=agents[1].task, state=State.FAILED, error="no such image")

    assert report(make_plan(2), agents, 1.23456) == {
        "run": "nightly",
        "backend": "docker",
        "image": "my-agent:1",
        "agents": [
            {
                "task": "0000",
                "index": 0,
                "container": "c0",
                "identity": {
                    "uuid": "u0",
                    "name": "task-nightly-0000",
                    "email": "task-nightly-0000@ravi.example",
                    "phone": "+15550000001",
                },
                "state": "exited",
                "exit_code": 0,
                "ready_s": 0.1,
                "memory_peak_bytes": 7 << 20,
                "cpu_s": 0.25,
                "error": None,
            },
            {
                "task": "0001",
                "index": 1,
                "container": None,
                "identity": None,
                "state": "failed",
                "exit_code": None,
                "ready_s": None,
                "memory_peak_bytes": None,
                "cpu_s": None,
                "error": "no such image",
            },
        ],
        "summary": {
            "requested": 2,
            "succeeded": 1,
            "failed": 1,
            "wall_s": 1.235,
            "ready_p50_s": 0.1,
            "ready_p95_s": 0.1,
        },
    }


@pytest.mark.parametrize(
    ("count", "p50_s", "p95_s"),
    [(1, 0.1, 0.1), (2, 0.1, 0.2), (3, 0.2, 0.3), (10, 0.5, 1.0), (20, 1.0, 1.9), (100, 5.0, 9.5)],
)
@pytest.mark.parametrize("is_reversed", [False, True], ids=["in order", "the last one first"])
def test_percentiles_are_values_that_were_measured(
    count: int, p50_s: float, p95_s: float, is_reversed: bool
) -> None:
    agents = make_agents(count)
    if is_reversed:
        agents.reverse()

    summary = report(make_plan(count), agents, 1.0)["summary"]

    assert (summary["ready_p50_s"], summary["ready_p95_s"]) == (p50_s, p95_s)


def test_without_an_agent_that_got_ready_there_is_no_percentile() -> None:
    agents = [Agent(task=task) for task in make_plan(2).tasks]
    result = report(make_plan(2), agents, 0.0)

    assert result["summary"]["ready_p50_s"] is None
    assert result["summary"]["ready_p95_s"] is None
    assert summary_line(result) == ("run nightly: 2 requested, 0 succeeded, 2 failed in 0.0 s")


@pytest.mark.parametrize(
    ("state", "exit_code", "is_success"),
    [
        (State.EXITED, 0, True),
        (State.EXITED, 1, False),
        (State.EXITED, 137, False),
        (State.STOPPED, 0, False),
        (State.STOPPED, 143, False),
        (State.FAILED, None, False),
        (State.RUNNING, None, False),
        (State.WAITING, None, False),
    ],
)
def test_only_an_agent_that_ended_by_itself_with_nought_has_succeeded(
    state: State, exit_code: int | None, is_success: bool
) -> None:
    agent = Agent(task=make_plan(1).tasks[0], state=state, exit_code=exit_code)

    summary = report(make_plan(1), [agent], 0.0)["summary"]
    assert summary["succeeded"] == int(is_success)
    assert summary["failed"] == int(not is_success)


def test_no_form_of_a_report_shows_a_key() -> None:
    agents = make_agents(2)
    result = report(make_plan(2), agents, 1.0)

    assert KEY not in to_json(result) + repr(rows(agents)) + repr(agents) + summary_line(result)


def test_the_json_is_one_object_that_says_the_same() -> None:
    result = report(make_plan(2), make_agents(2), 1.0)

    assert json.loads(to_json(result)) == result


def test_the_closing_line_says_how_many_how_long_and_how_soon() -> None:
    assert summary_line(report(make_plan(10), make_agents(10), 12.34)) == (
        "run nightly: 10 requested, 10 succeeded, 0 failed in 12.3 s;"
        " ready after 0.5 s (p50), 1.0 s (p95)"
    )


def test_the_table_has_a_row_for_every_agent_whatever_became_of_it() -> None:
    agents = make_agents(2)
    agents.append(Agent(task=make_plan(3).tasks[2]))

    assert rows(agents) == [
        (
            "0000",
            "exited",
            "0",
            "task-nightly-0000@ravi.example",
            "+15550000001",
            "0.1 s",
            "task-nightly-0000",
        ),
        (
            "0001",
            "exited",
            "0",
            "task-nightly-0001@ravi.example",
            "none",
            "0.2 s",
            "task-nightly-0001",
        ),
        ("0002", "waiting", "-", "-", "-", "-", "-"),
    ]
    assert {len(row) for row in rows(agents)} == {len(COLUMNS)}


def test_failures_are_grouped_by_cause_with_the_last_lines_of_one_of_them() -> None:
    agents = make_agents(10)
    for agent in agents[:7]:
        agent.exit_code = 78
        agent.error = "no management key"
        agent.lines.extend([f"first of {agent.task.id}", f"last of {agent.task.id}"])
    agents[8].exit_code = 3
    agents[9].state, agents[9].exit_code = State.STOPPED, 143

    assert failures(agents) == [
        "7 x no management key: 0000, 0001, 0002, 0003, 0004 and 2 more",
        "  0000 | first of 0000",
        "  0000 | last of 0000",
        "1 x exited with 3: 0008",
        "1 x stopped with 143: 0009",
    ]


def test_a_run_without_a_failure_has_none_to_tell() -> None:
    assert failures(make_agents(3)) == []


def test_only_the_last_lines_of_an_agent_are_kept() -> None:
    agent = make_agents(1)[0]
    agent.exit_code = 1
    agent.lines.extend(str(number) for number in range(1000))

    told = failures([agent])
    assert len(told) == 1 + KEPT_LINES
    assert told[-1] == "  0000 | 999"


def test_counters_and_names_do_not_make_two_causes_of_one() -> None:
    agents = make_agents(4)
    for index, agent in enumerate(agents):
        name = agent.task.identity_name
        agent.exit_code = 69
        agent.error = f"{name}: no answer after {index + 3} attempts in {index}.5 s"
    agents[3].error = f"{agents[3].task.identity_name}: status 401"

    assert [line.partition(":")[0] for line in failures(agents)] == [
        "3 x task-nightly-0000",
        "1 x task-nightly-0003",
    ]


def test_who_failed_comes_before_those_that_were_stopped_because_of_it() -> None:
    agents = make_agents(3)
    for agent in agents[:2]:
        agent.state, agent.exit_code, agent.error = State.STOPPED, 143, "stopped: 1 others failed"
    agents[2].exit_code = 5

    assert failures(agents) == [
        "1 x exited with 5: 0002",
        "2 x stopped: 1 others failed: 0000, 0001",
    ]
