"""What a fleet does again and again, whatever happens."""

import sched
from collections.abc import Sequence

from ravi_agent.launcher.docker.driver import Driver
from ravi_agent.launcher.docker.errands import Errands
from ravi_agent.launcher.docker.progress import Progress
from ravi_agent.launcher.model.agents import Agent

_LOOK_S = 10.0  # how long an event that never came is missed at most
_TELL_S = 0.5


class Rounds:
    """Looks for what no event has told, and has the engine told what is new; neither waits."""

    def __init__(
        self,
        errands: Errands,
        timers: sched.scheduler,
        progress: Progress,
        run: str,
        agents: Sequence[Agent],
        *,
        driver: Driver | None,
    ) -> None:
        self._errands = errands
        self._timers = timers
        self._progress = progress
        self._run = run
        self._agents = agents
        self._driver = driver

    def begin(self) -> None:
        self._look_on()
        self._tell_on()

    def look(self) -> None:
        """Look whether a container has ended, somebody wants a stop, or has taken the run."""
        up = {one.task.index: str(one.container) for one in self._agents if one.is_up}
        self._errands.look(self._run, up, self._driver)

    def _look_on(self) -> None:
        self.look()
        self._timers.enter(_LOOK_S, 0, self._look_on)

    def _tell_on(self) -> None:
        if not self._progress.is_told:
            self._errands.do(self._progress.flush)
        self._timers.enter(_TELL_S, 0, self._tell_on)
