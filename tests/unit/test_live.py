"""The screen says of a whole run what is so, in the lines and columns that there are."""

import io
import os
import re

import pytest

from ravi_agent.identity import Identity
from ravi_agent.launcher.model.agents import Agent, State
from ravi_agent.launcher.planning.plan import make_plan
from ravi_agent.launcher.planning.spec import RunSpec
from ravi_agent.launcher.show.for_terminal import VisibleObserver
from ravi_agent.launcher.show.live import LiveProgress, is_plain
from ravi_agent.launcher.show.prefix import Prefix
from ravi_agent.launcher.show.progress import PlainProgress

PLAN = make_plan(
    "nightly", RunSpec(image="i", count=30, api_url="https://ravi.example"), is_fresh=True
)
_COLOUR = re.compile(r"\x1b\[\d+m")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def agent_of(index: int, state: State, **fields: object) -> Agent:
    task = PLAN.tasks[index]
    identity = Identity(
        uuid=str(index),
        name=task.identity_name,
        email=f"{task.identity_name}@ravi.example",
        phone=None,
        created_at="",
    )
    agent = Agent(task=task, state=state, **fields)  # type: ignore[arg-type]
    if state not in {State.WAITING, State.STARTING}:
        agent.identity = identity
    return agent


def live(
    *, columns: int = 80, lines: int = 24, out: io.StringIO | None = None, has_colour: bool = False
) -> tuple[LiveProgress, Terminal, Clock]:
    err, clock = Terminal(), Clock()
    view = LiveProgress(
        PLAN.run,
        len(PLAN.tasks),
        err,
        out,
        Prefix(has_colour=has_colour),
        size=lambda: os.terminal_size((columns, lines)),
        clock=clock,
    )
    return view, err, clock


def screen(text: str, columns: int = 80) -> list[str]:
    """What a terminal shows in the end (CPL, ED and SGR of ECMA-48)."""
    shown: list[str] = []
    text = _COLOUR.sub("", text)
    for part in re.split(r"(\x1b\[\d*[FJ])", text):
        if part.endswith("F"):
            back = int(part[2:-1])
            shown, below = shown[:-back], shown[-back:]
            assert len(below) == back
        elif not part.endswith("J"):
            assert "\x1b" not in part
            shown += part.splitlines()
    return shown


def test_the_states_add_up_to_the_run() -> None:
    view, _, clock = live()
    view.changed(agent_of(0, State.EXITED, exit_code=0))
    view.changed(agent_of(1, State.EXITED, exit_code=3))
    view.changed(agent_of(2, State.FAILED, error="no such image"))
    view.changed(agent_of(3, State.STOPPED, exit_code=143))
    view.changed(agent_of(4, State.RUNNING))
    view.changed(agent_of(5, State.STARTING))
    view.changed(agent_of(6, State.RUNNING))
    view.changed(agent_of(6, State.WAITING, attempt=2))  # it is started again
    clock.now += 72

    (head, *_) = view.frame()

    assert (
        head
        == ("nightly  24 queued  1 starting  1 running  1 ok  2 failed  1 stopped  4/30  1m12s")[
            :79
        ]
    )
    counts = [int(number) for number in re.findall(r"(\d+) [a-z]", live_head(view))]
    assert sum(counts) == 30


def live_head(view: LiveProgress) -> str:
    return view._head(200)


def test_failures_come_first_in_red_with_their_cause() -> None:
    view, _, _ = live(has_colour=True)
    view.changed(agent_of(0, State.RUNNING, ready_s=0.94))
    view.changed(agent_of(1, State.EXITED, exit_code=3, error="killed for want of memory"))

    _, first, second = view.frame()

    assert first == "\x1b[31m0001         failed   exited 3: killed for want of memory\x1b[0m"
    assert "0000" in second


@pytest.mark.parametrize("columns", [80, 60, 200])
def test_the_whole_address_can_be_read_at_80_columns(columns: int) -> None:
    view, _, clock = live(columns=columns)
    view.changed(agent_of(7, State.RUNNING, ready_s=0.94, attempt=2))
    clock.now += 30

    _, row = view.frame()

    assert "task-nightly-0007@ravi.example" in row
    assert len(row) < columns
    if columns >= 80:
        assert row.endswith("start 2  30s  ready 0.9s")


@pytest.mark.parametrize(("out", "rows"), [(None, 22), (Terminal(), 11), (io.StringIO(), 22)])
def test_the_height_of_the_screen_is_used(out: io.StringIO | None, rows: int) -> None:
    """Half of it where output passes above, else all of it but a line for the cursor."""
    view, _, _ = live(lines=24, out=out)
    for index in range(30):
        view.changed(agent_of(index, State.RUNNING))

    assert len(view.frame()) == 1 + rows


def test_output_passes_above_and_stays_what_it_was() -> None:
    out = Terminal()
    view, err, clock = live(out=out)
    line = "androidx.test:runner:1.6.1 :smile: [bold]not markup[/bold]\ta"
    running = agent_of(0, State.RUNNING)
    view.changed(running)
    view.flush()
    view.output(running, line, is_error=False)
    clock.now += 1
    view.flush()
    view.output(running, "10%\r99%\r100%", is_error=False)
    view.note("the engine went away")
    view.end()

    shown = screen(err.getvalue())
    assert shown[:3] == [f"0000 | {line}", "0000 | 100%", "the engine went away"]
    assert len(shown) == 4
    assert shown[3].startswith("nightly  ")


def test_what_a_terminal_would_obey_is_shown_and_progress_in_its_last_state() -> None:
    out = Terminal()
    view, err, _ = live(out=out)
    VisibleObserver(view).output(agent_of(0, State.RUNNING), "1%\r\x1b]0;x\x07", is_error=False)

    assert err.getvalue() == "0000 | \\x1b]0;x\\x07\n"


def test_each_agent_has_a_colour_and_no_line_is_said_twice() -> None:
    prefix = Prefix(has_colour=True)
    agents = [agent_of(index, State.RUNNING) for index in range(10)]
    lines = {prefix.line(agent, "x", is_coloured=True) for agent in agents}

    assert len({re.findall(r"\x1b\[(\d+)m", line)[0] for line in lines}) == 10
    assert Prefix(has_name=False).line(agent_of(0, State.RUNNING), "x") == "x"
    timed = Prefix(has_time=True).line(agent_of(0, State.RUNNING), "x")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d 0000 \| x", timed)


@pytest.mark.parametrize(
    ("environ", "plain"),
    [
        ({"TERM": "xterm-256color"}, False),
        ({"TERM": "dumb"}, True),
        ({}, True),
        ({"TERM": "xterm", "CI": "true"}, True),
        ({"TERM": "xterm", "CI": "false"}, False),
    ],
)
def test_a_dumb_terminal_and_ci_get_steady_lines(environ: dict[str, str], plain: bool) -> None:
    assert is_plain(environ) is plain


def test_steady_lines_have_no_colour_and_move_no_cursor() -> None:
    err, out = io.StringIO(), io.StringIO()
    view = PlainProgress(err, out, Prefix())
    view.changed(agent_of(0, State.RUNNING, ready_s=1.0))
    view.output(agent_of(0, State.RUNNING), "5%\r100%\r", is_error=False)

    assert out.getvalue() == "0000 | 100%\n"
    assert "\x1b" not in err.getvalue()
    assert "task-nightly-0000@ravi.example" in err.getvalue()
