"""Whoever is told what happens in a run."""

from typing import Protocol

from ravi_agent.launcher.model.agents import Agent


class Observer(Protocol):
    """Shows a run to people, or records it. Called from the thread that runs the fleet."""

    def changed(self, agent: Agent) -> None:
        """The agent has a new state, or its identity."""

    def output(self, agent: Agent, line: str, *, is_error: bool) -> None:
        """The agent, or its entrypoint, has written a line."""

    def note(self, text: str) -> None:
        """Something has happened to the run as a whole."""
