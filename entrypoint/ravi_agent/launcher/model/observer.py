"""Whoever is told what happens in a run: what fleets call, and what shows it."""

from collections.abc import Callable
from typing import Protocol

from ravi_agent.launcher.model.agents import Agent


class Reporter(Protocol):
    """What a fleet tells. No method blocks or fails: showing never stops controlling."""

    def changed(self, agent: Agent) -> None:
        """The agent has a new state, or its identity."""

    def output(
        self, agent: Agent, data: bytes, *, is_error: bool, shown: Callable[[], None]
    ) -> None:
        """The agent has written whole lines; `shown` is called once they need no memory more.

        Whoever reads the agent's output waits for that before it reads much more.
        """

    def note(self, text: str) -> None:
        """Something has happened to the run as a whole."""


class Observer(Protocol):
    """One way to show a run. Its methods may block and may raise OSError."""

    def changed(self, agent: Agent) -> None:
        """The agent has a new state, or its identity."""

    def output(self, agent: Agent, line: str, *, is_error: bool) -> None:
        """The agent has written a line."""

    def note(self, text: str) -> None:
        """Something has happened to the run as a whole."""

    def flush(self) -> None:
        """Nothing more comes for the moment: write what is still in memory, redraw what moves."""
