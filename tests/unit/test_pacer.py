"""A fleet that shares one account, before a service that serves so many calls and no more."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from ravi_agent.errors import ThrottledError
from ravi_agent.log import Log
from ravi_agent.service.patience import Pacer, Patience

FLEET = 8


class Service:
    """Serves `most` calls at once, and tells the others to come back."""

    def __init__(self, most: int) -> None:
        self._lock = threading.Lock()
        self._most = most
        self._now = 0
        self.served = self.refused = self.highest = 0

    def call(self, *, timeout_s: float) -> None:
        del timeout_s
        with self._lock:
            if self._now >= self._most:
                self.refused += 1
                raise ThrottledError("the service", "429", retry_after_s=0.01)
            self._now += 1
            self.highest = max(self.highest, self._now)
        time.sleep(0.01)  # what a call takes
        with self._lock:
            self._now -= 1
            self.served += 1


def patience(pacer: Pacer, seconds: float = 60) -> Patience:
    return Patience(
        deadline=time.monotonic() + seconds, log=Log("test", level="error"), fix="", pacer=pacer
    )


def work(service: Service, pacer: Pacer, calls: int) -> None:
    def agent(_: int) -> None:
        mine = patience(pacer)
        for _call in range(calls):
            mine.until_answered(service.call)

    with ThreadPoolExecutor(FLEET) as pool:
        list(pool.map(agent, range(FLEET)))


def test_a_fleet_finds_the_pace_of_the_service_and_is_refused_less_than_served() -> None:
    service = Service(most=3)

    work(service, Pacer(), calls=10)

    assert service.served == FLEET * 10
    assert service.refused < service.served / 2
    assert service.highest > 1  # and it is not served one by one for ever


def test_a_service_that_refuses_nothing_is_called_by_all_at_once() -> None:
    barrier = threading.Barrier(FLEET)
    pacer = Pacer()

    def call(*, timeout_s: float) -> int:
        return barrier.wait(timeout_s)

    with ThreadPoolExecutor(FLEET) as pool:
        calls = [pool.submit(patience(pacer).once, call) for _ in range(FLEET)]
        assert sorted(one.result() for one in calls) == list(range(FLEET))


def test_who_gets_no_turn_in_time_says_so() -> None:
    pacer = Pacer()
    pacer.hold_off(0)
    assert pacer.begin_call(time.monotonic() + 60)

    with pytest.raises(ThrottledError):
        patience(pacer, seconds=0.1).once(lambda timeout_s: timeout_s)
