"""What is said while the service does not answer, and what it advises."""

import threading
import time

import pytest

from ravi_agent.errors import NotSentError
from ravi_agent.log import Log
from ravi_agent.service import still_trying, watcher
from ravi_agent.service.patience import Pacer
from ravi_agent.service.still_trying import StillTrying, how_to_reach
from ravi_agent.service.watcher import Watcher


class _Lines(Log):
    def __init__(self) -> None:
        super().__init__("test")
        self.lines: list[tuple[str, str | None]] = []

    def warning(self, message: str, fix: str | None = None) -> None:
        self.lines.append((message, fix))


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> _Lines:
    monkeypatch.setattr(still_trying, "_FIRST_S", 0.05)
    return _Lines()


def wait_for(log: _Lines, count: int) -> None:
    while len(log.lines) < count:
        time.sleep(0.01)


@pytest.mark.timeout(30)
def test_a_line_says_for_how_long_and_why(log: _Lines) -> None:
    with StillTrying("https://ravi.id/x", log, "the fix") as notice:
        wait_for(log, 1)
        notice.cause = NotSentError("GET ravi.id/api/", "refused")
        wait_for(log, 3)

    assert log.lines[0] == ("still trying ravi.id after 0 s: no answer yet", "the fix")
    assert log.lines[-1][0].endswith(": GET ravi.id/api/: refused")


@pytest.mark.timeout(30)
def test_the_gaps_grow(log: _Lines) -> None:
    gaps: list[float] = []

    def may_say(gap_s: float) -> bool:
        gaps.append(gap_s)
        return len(gaps) > 3

    with StillTrying("https://ravi.id", log, "", may_say):
        wait_for(log, 1)

    assert gaps == [0.05, 0.1, 0.2, 0.4]


@pytest.mark.timeout(30)
def test_an_answer_begins_the_time_anew(log: _Lines) -> None:
    gaps: list[float] = []

    def may_say(gap_s: float) -> bool:
        gaps.append(gap_s)
        return True

    with StillTrying("https://ravi.id", log, "", may_say) as notice:
        wait_for(log, 2)
        notice.answered()
        wait_for(log, 3)

    assert gaps[2] == gaps[0]


@pytest.mark.timeout(30)
def test_a_fleet_waits_in_one_thread(log: _Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "_LOOK_S", 0.01)
    shared = Watcher()
    before = threading.active_count()
    notices = [StillTrying(f"https://{n}.test", log, "", watcher=shared) for n in range(3)]
    with notices[0], notices[1], notices[2]:
        assert threading.active_count() == before + 1
        wait_for(log, 6)
    said = {line.split()[2] for line, _ in log.lines}
    shared.close()

    assert said == {"0.test", "1.test", "2.test"}
    assert threading.active_count() == before


def test_nothing_is_said_of_what_is_over_by_then(log: _Lines) -> None:
    shared = Watcher()
    with StillTrying("https://ravi.id", log, "", watcher=shared):
        pass
    shared.close()

    assert log.lines == []


def test_nothing_is_said_of_a_service_that_answers(log: _Lines) -> None:
    with StillTrying("https://ravi.id", log, ""):
        pass

    assert log.lines == []


def test_one_of_a_fleet_speaks_for_all() -> None:
    pacer = Pacer()

    assert [pacer.may_say(60) for _ in range(50)] == [True] + [False] * 49


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8787", "127.1.2.3", "localhost:8787", "[::1]:8787", "ravi.localhost"]
)
def test_loopback_in_a_container_is_the_container_itself(host: str) -> None:
    inside = how_to_reach(f"http://{host}", is_in_container=True)

    assert "is this container itself" in inside
    assert "--add-host=host.docker.internal:host-gateway" in inside
    assert "RAVI_ALLOW_HTTP=1" in inside  # or http:// to that name is refused
    assert "container" not in how_to_reach(f"http://{host}", is_in_container=False)


@pytest.mark.parametrize("host", ["ravi.id", "ravi-local:8787", "10.0.0.1", "localhost.example"])
def test_other_hosts_are_reached_over_the_network(host: str) -> None:
    assert "container itself" not in how_to_reach(f"https://{host}", is_in_container=True)
    assert "RAVI_API_URL" in how_to_reach(f"https://{host}", is_in_container=True)
