"""An engine with much to do lists containers as running for seconds after their end."""

import threading
from collections.abc import Iterator
from queue import SimpleQueue

import docker
import pytest

from engine.conftest import containers, launch
from ravi_agent.launcher.docker import runs, waiting
from ravi_agent.launcher.docker.engine import DockerEngine
from ravi_agent.launcher.docker.following import follow_logs
from ravi_agent.launcher.model.container_status import ContainerStatus
from ravi_agent.launcher.model.request import LogOptions

UP = ["--", "sleep", "600"]


class LateEngine(DockerEngine):
    """Lists what has been listed as running as such until it is inspected.

    `listed` gets an item for each list.
    """

    def __init__(self) -> None:
        super().__init__(connections=4)
        self.listed: SimpleQueue[int] = SimpleQueue()
        self._running: dict[str, ContainerStatus] = {}

    def containers(self, run: str | None = None, *, is_all: bool = True) -> list[ContainerStatus]:
        there = super().containers(run, is_all=is_all)
        for one in there:
            if one.is_running:
                self._running[one.id] = one
        self.listed.put(len(there))
        return [self._running.get(one.id, one) for one in there]

    def exit_code_if_there(self, container: str) -> int | None:
        code = super().exit_code_if_there(container)
        if code is not None:
            self._running.pop(container, None)
        return code


@pytest.fixture
def engine() -> Iterator[LateEngine]:
    engine = LateEngine()
    yield engine
    engine.close()


@pytest.fixture
def up(environ: dict[str, str], run_name: str) -> str:
    """A run of three agents."""
    launch(environ, "--count", "3", "--detach", "--name", run_name, *UP)
    return run_name


def test_a_stop_is_over_once_the_last_agent_has_ended(engine: LateEngine, up: str) -> None:
    found = runs.find(engine, up, [])

    runs.stop(engine, up, found, grace_s=20)

    assert [one.exit_code for one in engine.containers(up)] == [143, 143, 143]


def test_what_has_ended_can_be_removed(
    engine: LateEngine, up: str, client: docker.DockerClient
) -> None:
    runs.find(engine, up, [])
    for one in containers(client, up):
        one.stop(timeout=60)

    runs.remove(engine, up, [], is_forced=False)

    assert containers(client, up) == []


def test_a_wait_is_over_once_the_last_agent_has_ended(
    engine: LateEngine, up: str, client: docker.DockerClient
) -> None:
    codes: SimpleQueue[int] = SimpleQueue()
    threading.Thread(target=lambda: codes.put(waiting.wait(engine, up, [])), daemon=True).start()
    _look_twice(engine)

    for one in containers(client, up):
        one.kill("SIGTERM")

    assert codes.get(timeout=60) == 1


def test_logs_are_over_once_the_last_agent_has_ended(
    engine: LateEngine, up: str, client: docker.DockerClient
) -> None:
    found = runs.find(engine, up, [])
    options = LogOptions(is_following=True)
    following = threading.Thread(target=follow_logs, args=(engine, found, options), daemon=True)
    following.start()
    _look_twice(engine)

    for one in containers(client, up):
        one.kill("SIGTERM")
    following.join(timeout=60)

    assert not following.is_alive()


def _look_twice(engine: LateEngine) -> None:
    """Until the agents are watched, by a thread that has looked at them before."""
    for _ in range(2):
        assert engine.listed.get(timeout=60) == 3
