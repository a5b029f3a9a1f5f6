"""What is to be done later is done once, in its order, and never too early."""

import pytest

from ravi_agent.launcher.model import timers as module
from ravi_agent.launcher.model.timers import Timers


class Clock:
    """Stands for the module `time`: it is as late as the test says."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def test_without_an_action_there_is_nothing_to_wait_for() -> None:
    timers = Timers()
    timers.run_due()

    assert timers.wait_s() is None


def test_an_action_is_done_when_its_time_has_come_and_once(clock: Clock) -> None:
    timers, done = Timers(), list[str]()
    timers.after(5.0, lambda: done.append("a"))

    clock.now += 4.9
    timers.run_due()
    assert done == []

    clock.now = 1005.0
    timers.run_due()
    timers.run_due()
    assert done == ["a"]
    assert timers.wait_s() is None


def test_the_wait_is_until_the_next_action_whichever_was_asked_for_first(clock: Clock) -> None:
    timers = Timers()
    timers.after(5.0, lambda: None)
    timers.after(2.0, lambda: None)
    assert timers.wait_s() == 2.0

    clock.now += 1.5
    assert timers.wait_s() == 0.5


def test_the_wait_for_what_is_overdue_is_nought(clock: Clock) -> None:
    timers = Timers()
    timers.after(1.0, lambda: None)
    clock.now += 10.0

    assert timers.wait_s() == 0.0


def test_actions_are_done_by_time_and_those_of_one_time_as_asked_for(clock: Clock) -> None:
    timers, done = Timers(), list[str]()
    for name, delay_s in (("c", 3.0), ("a", 1.0), ("d", 3.0), ("b", 2.0), ("e", 3.0), ("z", 9.0)):
        timers.after(delay_s, lambda name=name: done.append(name))  # type: ignore[misc]
    clock.now += 3.0
    timers.run_due()

    assert done == ["a", "b", "c", "d", "e"]
    assert timers.wait_s() == 6.0


def test_a_time_that_has_passed_is_now_and_not_before_what_is_due(clock: Clock) -> None:
    timers, done = Timers(), list[str]()
    timers.after(0.0, lambda: done.append("first"))
    timers.after(-60.0, lambda: done.append("second"))
    assert timers.wait_s() == 0.0
    timers.run_due()

    assert done == ["first", "second"]


def test_an_action_may_ask_for_another(clock: Clock) -> None:
    timers, done = Timers(), list[str]()

    def again() -> None:
        done.append("again")
        if len(done) < 3:
            timers.after(2.0, again)

    timers.after(2.0, again)
    for seconds in (2.0, 4.0, 6.0, 8.0):
        clock.now = 1000.0 + seconds
        timers.run_due()

    assert done == ["again"] * 3
    assert timers.wait_s() is None


def test_an_action_that_fails_is_not_done_again_and_stops_no_other(clock: Clock) -> None:
    timers, done = Timers(), list[str]()

    def fail() -> None:
        raise ZeroDivisionError

    timers.after(1.0, fail)
    timers.after(1.0, lambda: done.append("a"))
    clock.now += 1.0
    with pytest.raises(ZeroDivisionError):
        timers.run_due()
    timers.run_due()

    assert done == ["a"]
