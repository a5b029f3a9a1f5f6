"""What people see of a run while it goes on. Standard error; agents' output where it is wanted."""

import sys
from collections import Counter
from collections.abc import Sequence
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ravi_agent.launcher.agents import Agent, State


class PlainProgress:
    """One line a step, for logs and pipes: `0007 running: task-…-0007, …@…, +1555…, 1.2 s`."""

    def __init__(self, agents_out: TextIO, *, is_quiet: bool = False) -> None:
        self._agents_out = agents_out
        self._is_quiet = is_quiet

    def __enter__(self) -> "PlainProgress":
        return self

    def __exit__(self, *_: object) -> None:
        return

    def changed(self, agent: Agent) -> None:
        if not self._is_quiet and agent.state not in {State.STARTING, State.PROVISIONING}:
            print(f"{agent.task.id} {describe(agent)}", file=sys.stderr, flush=True)

    def output(self, agent: Agent, line: str, *, is_error: bool) -> None:
        out = sys.stderr if is_error else self._agents_out
        print(f"{agent.task.id} | {line}", file=out, flush=True)


class LiveProgress:
    """A bar and counts by state that stay at the bottom of a terminal, output above them."""

    def __init__(self, total: int, agents_out: TextIO) -> None:
        self._console = Console(stderr=True)
        self._agents_out = agents_out
        self._states: dict[int, State] = {}
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
        )
        self._total = total
        self._row = self._bar.add_task("", total=total)
        self._live = Live(self._bar, console=self._console, refresh_per_second=8)

    def __enter__(self) -> "LiveProgress":
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def changed(self, agent: Agent) -> None:
        self._states[agent.task.index] = agent.state
        counts = Counter(self._states.values())
        words = [f"{counts[state]} {state}" for state in State if counts[state]]
        ended = sum(counts[state] for state in (State.EXITED, State.STOPPED, State.FAILED))
        self._bar.update(self._row, description=", ".join(words), completed=ended)

    def output(self, agent: Agent, line: str, *, is_error: bool) -> None:
        text = f"{agent.task.id} | {line}"
        if self._agents_out.isatty() or is_error:
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, file=self._agents_out, flush=True)


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


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on standard output: whole lines where that is no terminal."""
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, width=200)
    console.print(table)
