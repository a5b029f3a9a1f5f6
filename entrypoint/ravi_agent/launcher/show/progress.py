"""What people see of a run while it goes on. Standard error; agents' output where it is wanted."""

import time
from collections import Counter, deque
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from ravi_agent.launcher.model.agents import FINAL, Agent, State
from ravi_agent.launcher.model.lines import last_state

_SHOWN = 3  # slowest agents, last failures
_REDRAW_S = 0.1


class PlainProgress:
    """One line a step, for logs and pipes: `0007 running: task-…-0007, …@…, +1555…, 1.2 s`.

    err: where steps go. agents_out: where agents' output goes, None for nowhere.
    """

    def __init__(self, err: TextIO, agents_out: TextIO | None, *, is_quiet: bool = False) -> None:
        self._err = err
        self._agents_out = agents_out
        self._is_quiet = is_quiet

    def changed(self, agent: Agent) -> None:
        if not self._is_quiet and agent.state not in {State.STARTING, State.PROVISIONING}:
            self._err.write(f"{agent.task.id} {describe(agent)}\n")

    def output(self, agent: Agent, line: str, *, is_error: bool) -> None:
        if self._agents_out:
            out = self._err if is_error else self._agents_out
            out.write(f"{agent.task.id} | {last_state(line)}\n")

    def note(self, text: str) -> None:
        self._err.write(f"{text}\n")

    def flush(self) -> None:
        self._err.flush()
        if self._agents_out:
            self._agents_out.flush()


class LiveProgress:
    """At the bottom of a terminal: a bar, counts by state, the slowest agents, the last failures.

    Output, notes and whatever else is said pass above.
    """

    def __init__(self, total: int, err: TextIO, agents_out: TextIO | None) -> None:
        self._console = Console(file=err, emoji=False)
        self._agents_out = agents_out
        self._open: dict[int, Agent] = {}
        self._states: dict[int, State] = {}
        self._counts: Counter[State] = Counter()
        self._failures: deque[str] = deque(maxlen=_SHOWN)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
        )
        self._row = self._bar.add_task("", total=total)
        # Drawn by the thread that shows; another one would write in between.
        self._live = Live(
            get_renderable=self._render,
            console=self._console,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._drawn_at = 0.0
        self._is_started = False

    def flush(self) -> None:
        """Draw the bar anew, not more often than an eye follows."""
        if self._agents_out:
            self._agents_out.flush()
        if not self._is_started:
            self._is_started = True
            self._live.start()
        if time.monotonic() - self._drawn_at >= _REDRAW_S:
            self._drawn_at = time.monotonic()
            self._live.refresh()

    def end(self) -> None:
        """Leave the bar as it is last, and the terminal to others."""
        self._open.clear()
        self._failures.clear()
        if self._is_started:
            self._live.stop()

    def changed(self, agent: Agent) -> None:
        index = agent.task.index
        if index in self._states:
            self._counts[self._states[index]] -= 1
        self._states[index] = agent.state
        self._counts[agent.state] += 1
        if agent.is_final or agent.state == State.WAITING:
            self._open.pop(index, None)
        else:
            self._open[index] = agent
        if agent.is_final and not agent.is_success:
            self._failures.append(f"{agent.task.id} {describe(agent)}")
        words = [f"{self._counts[state]} {state}" for state in State if self._counts[state]]
        ended = sum(self._counts[state] for state in FINAL)
        self._bar.update(self._row, description=", ".join(words), completed=ended)

    def output(self, agent: Agent, line: str, *, is_error: bool) -> None:
        if not self._agents_out:
            return
        text = f"{agent.task.id} | {last_state(line)}"
        if self._agents_out.isatty() or is_error:
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            self._agents_out.write(f"{text}\n")

    def note(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _render(self) -> Group:
        now = time.monotonic()
        started = [agent for agent in self._open.values() if agent.asked_at]
        slowest = sorted(started, key=lambda agent: agent.asked_at)[:_SHOWN]
        lines = [
            f"  {agent.task.id} {agent.state} for {now - agent.asked_at:.0f} s" for agent in slowest
        ]
        lines += [f"  {failure}" for failure in self._failures]
        return Group(self._bar, *(Text(line, no_wrap=True, overflow="ellipsis") for line in lines))


def describe(agent: Agent) -> str:
    """A state in a few words."""
    identity = agent.identity
    if agent.state == State.RUNNING and identity:
        phone = identity.phone or "no phone"
        after = "" if agent.ready_s is None else f", {agent.ready_s:.1f} s"
        return f"running: {identity.name}, {identity.email}, {phone}{after}"
    if agent.exit_code is not None:
        return f"{agent.state} {agent.exit_code}" + (f": {agent.error}" if agent.error else "")
    return f"{agent.state}: {agent.error}" if agent.error else str(agent.state)
