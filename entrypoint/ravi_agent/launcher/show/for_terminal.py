"""The ways out to a terminal: what agents, engines and services say is made visible there."""

import sys
from dataclasses import replace
from typing import TextIO, cast

from ravi_agent.launcher.model.agents import Agent
from ravi_agent.launcher.model.lines import last_state
from ravi_agent.launcher.model.observer import Observer
from ravi_agent.terminal import visible


def say(text: str, out: TextIO | None = None) -> None:
    """Print a line on `out`, or standard output, at once."""
    out = out or sys.stdout
    print(visible(text) if out.isatty() else text, file=out, flush=True)


def plain_text(stream: TextIO) -> TextIO:
    """The stream for plain text alone. Whoever draws on a terminal needs the one below it."""
    return cast("TextIO", _PlainText(stream)) if stream.isatty() else stream


class _PlainText:
    """Writes to a terminal what the terminal has nothing to obey in."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(visible(text))

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return True


class VisibleObserver:
    """An observer that draws on a terminal, told nothing that the terminal would obey."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def changed(self, agent: Agent) -> None:
        if agent.error:
            agent = replace(agent, error=visible(agent.error))
        self._observer.changed(agent)

    def output(self, agent: Agent, line: str, *, is_error: bool) -> None:
        self._observer.output(agent, visible(last_state(line)), is_error=is_error)

    def note(self, text: str) -> None:
        self._observer.note(visible(text))

    def flush(self) -> None:
        self._observer.flush()
