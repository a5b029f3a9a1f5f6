"""What the engine says of a run's containers, from one connection, for as long as it takes."""

import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from ravi_agent import contract
from ravi_agent.errors import EngineError
from ravi_agent.launcher.docker.calls import SDK_ERRORS
from ravi_agent.launcher.docker.engine import DockerEngine
from ravi_agent.launcher.model.agents import (
    Died,
    EngineBack,
    EngineLeft,
    Event,
    OutOfMemory,
    Paused,
)

_RECONNECT_S = 0.5
# However a connection to an engine that goes away ends.
_GONE = (*SDK_ERRORS, EngineError, OSError, ValueError)


class Watch:
    """What the engine says of a run's containers, as events, from one connection.

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
        self._stream = engine.listen(run)
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
                    self._pass_on(event["Action"], event["Actor"])
            except _GONE:
                pass  # the engine went away: see below
            if not self._closing.is_set():
                self._emit(EngineLeft())
                self._come_back()

    def _come_back(self) -> None:
        while not self._closing.wait(_RECONNECT_S):
            try:
                self._stream = self._engine.listen(self._run_name)
                there = self._engine.containers(self._run_name)
                codes = {one.id: one.exit_code for one in there}
                for container, code in codes.items():
                    if code == 0:  # the list cannot tell success from an end nobody has seen
                        codes[container] = self._engine.exit_code(container)
            except _GONE:
                continue
            self._emit(EngineBack(exit_codes=codes))
            return

    def _pass_on(self, action: str, actor: Mapping[str, Any]) -> None:
        attributes = actor["Attributes"]
        # Whatever else carries the label of the run is not one of its agents.
        number = attributes.get(contract.LABEL_INDEX, "")
        if not number.isdecimal() or int(number) >= self._count:
            return
        index = int(number)
        if action == "die":
            code = int(attributes["exitCode"])
            self._emit(Died(index=index, container=actor["ID"], exit_code=code))
        elif action == "oom":
            self._emit(OutOfMemory(index=index))
        elif action in {"pause", "unpause"}:
            self._emit(Paused(index=index, is_paused=action == "pause"))
