"""Several observers behind one."""

from collections.abc import Sequence

from ravi_agent.launcher.model.agents import Agent
from ravi_agent.launcher.model.observer import Observer


class Observers:
    """Tells each of them everything."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = observers

    def changed(self, agent: Agent) -> None:
        for one in self._observers:
            one.changed(agent)

    def output(self, agent: Agent, line: str, *, is_error: bool) -> None:
        for one in self._observers:
            one.output(agent, line, is_error=is_error)

    def note(self, text: str) -> None:
        for one in self._observers:
            one.note(text)
