"""When an agent has ended: its container has, and all that it wrote has been read."""

import sched
import time
from collections.abc import Callable, Sequence

from ravi_agent.errors import EngineError
from ravi_agent.launcher.docker.engine import DockerEngine
from ravi_agent.launcher.docker.errands import Errands
from ravi_agent.launcher.docker.inspection import KILLED
from ravi_agent.launcher.model.agents import Agent
from ravi_agent.launcher.model.exit_codes import meaning_of
from ravi_agent.launcher.model.usage import Used

# A connection ends with its container, whose end is told at once. One that ends alone has been cut.
_CUT_S = 1.0
_SILENT_S = 5.0  # how long the end of a dead container's connection is waited for
_HURRIED_S = 2.0  # while the run is being stopped, how long its output is
# `docker restart` ends a container, and starts it at once.
_RESTART_S = 2.0


class Endings:
    """Puts together what is told of an agent's end, in whatever order; in the fleet's thread."""

    def __init__(
        self,
        engine: DockerEngine,
        errands: Errands,
        timers: sched.scheduler,
        end: Callable[[Agent], None],
    ) -> None:
        """end: called once for each container that has ended, with its code in the agent."""
        self._engine = engine
        self._errands = errands
        self._timers = timers
        self._end = end
        self._is_hurried = False

    def died(self, agent: Agent, container: str, exit_code: int) -> None:
        """A container has ended; the agent's own, or one that is not known to be yet."""
        if agent.is_final or container in agent.deaths:
            return
        agent.deaths[container] = exit_code
        self.check(agent)

    def restarted(self, agent: Agent) -> bool:
        """Somebody has started the agent's container again; whether its end had been told."""
        if agent.deaths.pop(str(agent.container), None) is None:
            return False
        agent.exit_code = None
        agent.is_being_read = agent.is_signalled = False
        if agent.is_cut:
            self._read_on(agent, str(agent.container))
        return True

    def cut(self, agent: Agent) -> None:
        """The connection to the agent's output has ended."""
        was_being_read, agent.is_being_read = agent.is_being_read, False
        agent.is_cut = True
        is_alone = was_being_read or not self._is_dead(agent)
        wait_s = _CUT_S if is_alone else self._wait_s(agent)
        self._timers.enter(wait_s, 0, self._hear, (agent, agent.container))

    def read(self, agent: Agent, last_lines: Sequence[str], used: Used) -> None:
        """All that the container has written has been read."""
        agent.is_output_over, agent.used = True, used
        agent.lines.extend(last_lines)
        self.check(agent)

    def hurry(self, agent: Agent) -> None:
        """From now on do not wait for output for long."""
        self._is_hurried = True
        self.check(agent)

    def check(self, agent: Agent) -> None:
        """End the agent if nothing more will come of it."""
        code = agent.deaths.get(agent.container or "")
        if agent.is_final or code is None:
            return
        agent.exit_code = code
        container = str(agent.container)
        if agent.is_output_over:
            self._finish(agent, code)
        elif self._is_hurried:
            self._timers.enter(_HURRIED_S, 0, self._give_up, (agent, container))
        if agent.is_output_over or agent.is_being_read:
            return
        self._timers.enter(self._wait_s(agent), 0, self._hear, (agent, container))

    def _wait_s(self, agent: Agent) -> float:
        """How long a dead container is left before its output is read to the end."""
        if agent.is_signalled and not self._is_hurried:
            return _RESTART_S
        return 0.0 if agent.is_cut else _SILENT_S

    def _is_dead(self, agent: Agent) -> bool:
        return agent.deaths.get(agent.container or "") is not None

    def _hear(self, agent: Agent, container: str | None) -> None:
        """Read on, or to the end where the container has ended."""
        if agent.is_final or agent.is_output_over or agent.container != container or not container:
            return
        if self._is_dead(agent):
            if not agent.is_being_read:
                agent.is_being_read = True
                self._errands.read_end(agent.task.index, container)
        elif agent.is_cut:
            self._read_on(agent, container)

    def _read_on(self, agent: Agent, container: str) -> None:
        agent.is_cut = False
        self._errands.read_on(agent.task.index, container)

    def _give_up(self, agent: Agent, container: str) -> None:
        if agent.container == container and not agent.is_final and self._is_dead(agent):
            agent.is_output_over = True
            self.check(agent)

    def _finish(self, agent: Agent, code: int) -> None:
        agent.ended_at = time.monotonic()
        if code and agent.is_out_of_memory:
            agent.error = "killed for want of memory"
        elif code == KILLED and not agent.error and not self._is_hurried:
            agent.error = self._why_killed(str(agent.container))
        elif not agent.error:
            agent.error = meaning_of(code, has_started=agent.identity is not None)
        self._end(agent)

    def _why_killed(self, container: str) -> str | None:
        try:
            return self._engine.why_killed(container)
        except EngineError:
            return None  # an engine that has just gone: the watch says so
