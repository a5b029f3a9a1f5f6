"""What the engine says of a run's containers and notes, from one connection, while it takes."""

import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from ravi_agent import contract
from ravi_agent.errors import EngineError
from ravi_agent.launcher.docker.calls import SDK_ERRORS
from ravi_agent.launcher.docker.engine import DockerEngine
from ravi_agent.launcher.docker.notes import NOTE_NAME
from ravi_agent.launcher.model.events import (
    Died,
    EngineBack,
    EngineLeft,
    Event,
    Noted,
    OutOfMemory,
    Paused,
    Restarted,
    Signalled,
)

_RECONNECT_S = 0.5
# However a connection to an engine that goes away ends.
_GONE = (*SDK_ERRORS, EngineError, OSError, ValueError)


class Watch:
    """What the engine says of a run, as events, from one connection.

    Listening has begun when the constructor returns. If the engine goes away the watch says so,
    comes back when it does, and says what has become of the containers meanwhile.
    """

    def __init__(
        self,
        engine: DockerEngine,
        run: str,
        emit: Callable[[Event], None],
        *,
        count: int = sys.maxsize,
    ) -> None:
        """count: agents of the run, where it is known; no other container is heard."""
        self._engine = engine
        self._count = count
        self._run_name = run
        self._emit = emit
        self._closing = threading.Event()
        self._stream = engine.listen()
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._stream.close()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                for event in self._stream:
                    if heard := read_event(event, self._run_name, self._count):
                        self._emit(heard)
            except _GONE:
                pass  # the engine went away: see below
            if not self._closing.is_set() and not self._listen_again(has_left=False):
                self._emit(EngineLeft())
                self._come_back()

    def _come_back(self) -> None:
        while not self._closing.wait(_RECONNECT_S):
            if self._listen_again(has_left=True):
                return

    def _listen_again(self, *, has_left: bool) -> bool:
        """Whether the engine answers; has_left: for longer than it takes to connect again."""
        try:
            self._stream = self._engine.listen()
            codes = _exit_codes(self._engine, self._run_name)
        except _GONE:
            return False
        self._emit(EngineBack(exit_codes=codes, has_left=has_left))
        return True


def _exit_codes(engine: DockerEngine, run: str) -> dict[str, int | None]:
    """The code of each container of a run by its ID, None while it has not ended."""
    codes = {one.id: one.exit_code for one in engine.containers(run)}
    for container, code in codes.items():
        if code == 0:  # the list cannot tell success from an end nobody has seen
            codes[container] = engine.exit_code(container)
    return codes


def read_event(event: Mapping[str, Any], run: str, count: int) -> Event | None:
    """What an event of the engine says of a run of `count` agents, None for anything else.

    Anybody may give a container our labels, so nothing of it is taken for granted.
    """
    actor = event.get("Actor") or {}
    name, attributes = str(actor.get("ID", "")), actor.get("Attributes") or {}
    if event.get("Type") == "volume":
        name = name or str(attributes.get("name", ""))  # podman's place for it
        found = NOTE_NAME.fullmatch(name)
        if not found or found["run"] != run:
            return None
        # podman removes a volume where Docker destroys it.
        is_gone = event.get("Action") in {"destroy", "remove"}
        return Noted(kind=found["kind"], name=name, is_gone=is_gone)
    number = str(attributes.get(contract.LABEL_INDEX, ""))
    is_ours = attributes.get(contract.LABEL_RUN) == run and number.isdecimal()
    if not is_ours or int(number) >= count:
        return None
    return _of_container(str(event.get("Action", "")), int(number), name, attributes)


def _of_container(
    action: str, index: int, container: str, attributes: Mapping[str, Any]
) -> Event | None:
    match action:
        case "die" | "died":  # Docker's word, and podman's
            code = str(attributes.get("exitCode", attributes.get("containerExitCode", "")))
            if not code.isdecimal():
                return None
            return Died(index=index, container=container, exit_code=int(code))
        case "start":
            return Restarted(index=index, container=container)
        case "kill":
            return Signalled(index=index, container=container)
        case "oom":
            return OutOfMemory(index=index, container=container)
        case "pause" | "unpause":
            return Paused(index=index, container=container, is_paused=action == "pause")
    return None
