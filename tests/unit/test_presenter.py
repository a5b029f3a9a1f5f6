"""What shows a run may block, fail or lag; whoever tells it what happens never notices."""

import threading
from collections.abc import Callable
from functools import partial

import pytest

from ravi_agent.launcher.model.agents import Agent, State
from ravi_agent.launcher.planning.plan import Task
from ravi_agent.launcher.show.presenter import Presenter


class Remembering:
    def __init__(self, before: Callable[[], None] = lambda: None) -> None:
        self.heard: list[str] = []
        self._before = before

    def changed(self, agent: Agent) -> None:
        self._before()
        self.heard.append(str(agent.state))

    def output(self, agent: Agent, line: str, *, is_error: bool) -> None:
        del agent, is_error
        self._before()
        self.heard.append(line)

    def note(self, text: str) -> None:
        self._before()
        self.heard.append(text)

    def flush(self) -> None:
        """Nothing waits."""


def make_agent() -> Agent:
    return Agent(task=Task(id="0", index=0, identity_name="n", image="i"))


def fail() -> None:
    raise OSError(28, "No space left on device")


def test_all_that_is_told_is_shown_in_its_order_and_as_it_was() -> None:
    observer, agent, shown = Remembering(), make_agent(), list[int]()
    presenter = Presenter([observer])

    for state in (State.STARTING, State.RUNNING):
        agent.state = state
        presenter.changed(agent)
    presenter.output(agent, b"one\ntwo\xe2\n", is_error=False, shown=lambda: shown.append(1))
    agent.state = State.EXITED
    presenter.note("over")

    assert presenter.close(30)
    assert observer.heard == ["starting", "running", "one", "two\ufffd", "over"]
    assert shown == [1]


def test_an_observer_that_fails_is_left_out_and_said_once_and_the_others_go_on(
    capfd: pytest.CaptureFixture[str],
) -> None:
    broken, other = Remembering(fail), Remembering()
    presenter = Presenter([broken, other])

    presenter.note("one")
    presenter.note("two")

    assert presenter.close(30)
    assert (broken.heard, other.heard) == ([], ["one", "two"])
    assert capfd.readouterr().err.count("No space left on device") == 1


def test_one_that_is_held_holds_nobody_and_once_stopping_keeps_no_more_than_it_may() -> None:
    free = threading.Event()

    def wait() -> None:
        assert free.wait(30)

    held, agent, shown = Remembering(wait), make_agent(), list[int]()
    presenter = Presenter([held])
    megabyte = b"x" * ((1 << 20) - 1) + b"\n"

    presenter.note("held")
    presenter.stopping("stopping\n")
    for number in range(5):
        presenter.output(agent, megabyte, is_error=False, shown=partial(shown.append, number))

    # The first may wait; the others are dropped at once, so that their readers go on.
    assert shown == [1, 2, 3, 4]
    assert not presenter.close(0)
    free.set()
    presenter._is_over.wait(30)
    assert len(held.heard) == 3
    assert held.heard[-1] == f"{4 * (1 << 20)} bytes of output came too late to be shown"
