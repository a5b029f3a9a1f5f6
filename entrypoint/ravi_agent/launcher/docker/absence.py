"""What an engine that goes away, and comes back, does to the agents of a run."""

import time
from collections.abc import Callable, Mapping, Sequence

from ravi_agent.launcher.docker.inspection import KILLED, TERMINATED, UNKNOWN_CODE
from ravi_agent.launcher.model.agents import Agent
from ravi_agent.launcher.model.observer import Reporter

_WITH_THE_ENGINE = "the engine stopped, and its container with it"
_ENGINE_STOP_S = 30.0  # twice what dockerd gives its containers (dockerd, --shutdown-timeout)


class Absence:
    """The absences of one engine, as the fleet hears of them."""

    def __init__(self, agents: Sequence[Agent], reporter: Reporter) -> None:
        self._agents = agents
        self._reporter = reporter
        self._lost = 0  # agents that ended with the engine, or while it was away

    def begin(self) -> None:
        """Blame the engine for recent ends: it stops its containers first, and says so then."""
        self._reporter.note("the engine went away; waiting for it to come back")
        since = time.monotonic() - _ENGINE_STOP_S
        for agent in self._agents:
            # Not final: its container has ended, and the rest of its output is still to be read.
            is_recent = not agent.is_final or agent.ended_at > since
            if is_recent and agent.exit_code in {KILLED, TERMINATED} and not agent.error:
                self._lost += 1
                agent.error = _WITH_THE_ENGINE
                self._reporter.changed(agent)

    def end(
        self,
        exit_codes: Mapping[str, int | None],
        *,
        died: Callable[[Agent, str, int], None],
    ) -> None:
        """Find out what has become of the agents that had been started.

        exit_codes: of each container there is, None while it runs. died: called for those that
        have ended.
        """
        for agent in [agent for agent in self._agents if agent.is_up]:
            container = str(agent.container)
            code = exit_codes.get(container, -1)
            if code is None:
                continue
            if code == -1:
                agent.error = "its container was removed while the engine was away"
                code = KILLED
            elif code in {KILLED, TERMINATED, UNKNOWN_CODE}:
                agent.error = _WITH_THE_ENGINE
            self._lost += 1
            died(agent, container, code)
        self._reporter.note(f"the engine is back; {self._lost} agents ended while it was away")
        self._lost = 0
