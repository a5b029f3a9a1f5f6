"""`--output jsonl`: every event is one object on a line of its own, at once."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ravi_agent.identity import Identity
from ravi_agent.launcher.model.agents import Agent, State
from ravi_agent.launcher.planning.plan import Task
from ravi_agent.launcher.show.json_lines import JsonLines
from ravi_agent.launcher.show.report import agent_record

KEY = "ravi_id_PLANTED_0123456789"


def make_agent() -> Agent:
    identity = Identity(
        uuid="u7",
        name="task-nightly-0007",
        email="a@ravi.example",
        phone=None,
        created_at="2026-01-02T03:04:05Z",
        key=KEY,
    )
    return Agent(
        task=Task(id="0007", index=7, identity_name=identity.name, image="my-agent:1"),
        state=State.RUNNING,
        attempt=2,
        container="c7",
        identity=identity,
        ready_s=0.12345,
    )


def written(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The events written, without their times, which are looked at here."""
    out, err = capsys.readouterr()
    assert err == ""
    assert out.endswith("\n")
    events = [json.loads(line) for line in out.removesuffix("\n").split("\n")]
    for event in events:
        assert datetime.fromisoformat(event.pop("time")).utcoffset() == timedelta(0)
    return events


def test_a_change_is_the_agent_s_record_and_which_start_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    agent = make_agent()
    JsonLines().changed(agent)

    assert written(capsys) == [{"event": "state", **agent_record(agent), "attempt": 2}]


def test_no_change_shows_a_key(capsys: pytest.CaptureFixture[str]) -> None:
    JsonLines().changed(make_agent())

    assert KEY not in capsys.readouterr().out


@pytest.mark.parametrize(("is_error", "stream"), [(False, "stdout"), (True, "stderr")])
def test_a_line_is_told_with_its_agent_and_its_stream(
    is_error: bool, stream: str, capsys: pytest.CaptureFixture[str]
) -> None:
    JsonLines().output(make_agent(), "hello", is_error=is_error)

    assert written(capsys) == [
        {"event": "output", "task": "0007", "index": 7, "stream": stream, "line": "hello"}
    ]


def test_a_note_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    JsonLines().note("the engine is back")

    assert written(capsys) == [{"event": "note", "text": "the engine is back"}]


def test_the_end_is_the_summary_without_the_agents(capsys: pytest.CaptureFixture[str]) -> None:
    result = {"run": "nightly", "agents": [{"task": "0000"}], "summary": {"requested": 1}}
    JsonLines().end(result)

    assert written(capsys) == [{"event": "end", "run": "nightly", "summary": {"requested": 1}}]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(st.text(st.characters()), min_size=1, max_size=4))
def test_whatever_an_agent_writes_is_one_line_that_says_the_same(
    lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for line in lines:
        JsonLines().output(make_agent(), line, is_error=False)

    assert [event["line"] for event in written(capsys)] == lines
