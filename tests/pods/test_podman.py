"""PID 1 under `podman run`: what starts, stops and is told there as under Docker."""

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pods.conftest import MANAGEMENT_KEY, podman
from ravi_agent.local.server import LocalRavi

IMAGE = "localhost/ravi-agent-base"
UP = ("sh", "-c", "echo up; exec sleep 600")
# Root in the container is nobody outside, as in a rootless podman with subordinate ids.
MAPPED = ("--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536")


class Box:
    """A container that `podman run --detach` has started."""

    def __init__(self, *arguments: str) -> None:
        self.name = f"ravi-agent-test-{uuid.uuid4().hex[:12]}"
        podman("run", "--detach", "--name", self.name, *arguments)

    def code(self) -> int:
        """Its exit code, once it has ended."""
        return int(podman("wait", self.name))

    def logs(self) -> str:
        return podman("logs", self.name)

    def state(self) -> dict[str, Any]:
        (found,) = json.loads(podman("inspect", self.name))
        state = found["State"]
        assert isinstance(state, dict)
        return state

    def has_started(self) -> None:
        """Wait for the agent's first line."""
        script = "until grep -q running /run/ravi/status.json 2>/dev/null; do sleep 0.05; done"
        podman("exec", self.name, "timeout", "60", "sh", "-c", script)


Run = Callable[..., Box]


@pytest.fixture(params=[(), MAPPED], ids=["root", "mapped ids"])
def run(
    engine: None, service: LocalRavi, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Run]:
    """Start a container that provisions with `service`; it is removed afterwards."""
    key = tmp_path / "key"
    key.write_text(MANAGEMENT_KEY)
    key.chmod(0o644)  # the mapped root is somebody else outside
    started: list[Box] = []

    def run(*command: str, options: tuple[str, ...] = ()) -> Box:
        mounted = f"{key}:/run/secrets/ravi_management_key:ro"
        given = ("--env", f"RAVI_API_URL={service.url}", "--volume", mounted, *request.param)
        started.append(Box(*given, *options, IMAGE, *command))
        return started[-1]

    yield run
    for box in started:
        # Its /dev/shm may still be busy the first time.
        for code in (None, 0):
            podman("rm", "--force", "--ignore", "--time", "0", "--volumes", box.name, code=code)


def test_the_agent_steps_down_has_its_identity_and_its_code_is_the_container_s(
    run: Run, service: LocalRavi
) -> None:
    box = run("sh", "-c", "id -u; echo $RAVI_EMAIL; echo err >&2; touch mine; exit 7")

    assert box.code() == 7
    (own,) = service.store.identities()
    said = box.logs()
    assert f"1000\n{own.email}\n" in said
    assert "err\n" in said
    assert MANAGEMENT_KEY not in said


@pytest.mark.parametrize("init", [(), ("--init",)], ids=["PID 1", "below another init"])
def test_a_stop_is_passed_on_and_is_143(run: Run, init: tuple[str, ...]) -> None:
    box = run(*UP, options=init)
    box.has_started()

    podman("stop", "--time", "60", box.name)

    assert box.code() == 143
    assert "stopped on request" in box.logs()


def test_a_kill_is_137_and_a_start_again_asks_nobody(run: Run, service: LocalRavi) -> None:
    box = run(*UP)
    box.has_started()
    podman("kill", box.name)
    assert box.code() == 137
    asked = len(service.requests.entries)

    podman("start", box.name)
    box.has_started()

    assert len(service.requests.entries) == asked
    podman("stop", "--time", "60", box.name)


def test_a_container_of_another_user_provisions_as_that(run: Run) -> None:
    box = run("sh", "-c", "id -u; stat -c %u .ravi", options=("--user", "1234:1234"))

    assert box.code() == 0, box.logs()
    assert "1234\n1234\n" in box.logs()


def test_the_health_check_says_whether_the_agent_runs(run: Run) -> None:
    box = run(*UP)
    box.has_started()

    podman("healthcheck", "run", box.name, code=0)
    assert box.state()["Running"]


def test_a_program_that_is_not_there_is_127(run: Run) -> None:
    box = run("nonesuch")

    assert box.code() == 127
    assert "fix:" in box.logs()
