"""The whole run at the bottom of a terminal, redrawn in place; everything else passes above it."""

import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TextIO

from ravi_agent.launcher.model.agents import Agent, State
from ravi_agent.launcher.model.lines import last_state
from ravi_agent.launcher.show.durations import short
from ravi_agent.launcher.show.prefix import Prefix, coloured
from ravi_agent.launcher.show.progress import describe

_REDRAW_S = 0.1
# What people count; together they are all agents of the run.
QUEUED, STARTING, RUNNING, OK, FAILED, STOPPED = (
    "queued",
    "starting",
    "running",
    "ok",
    "failed",
    "stopped",
)
_WORDS = (QUEUED, STARTING, RUNNING, OK, FAILED, STOPPED)
_COLOURS = {STARTING: 33, RUNNING: 36, OK: 32, FAILED: 31}
# In the order in which they are worth a line of the screen.
_RANK = {FAILED: 0, RUNNING: 1, STARTING: 2, STOPPED: 3, OK: 4, QUEUED: 5}
_OF_STATES = {
    State.WAITING: QUEUED,
    State.STARTING: STARTING,
    State.PROVISIONING: STARTING,
    State.RUNNING: RUNNING,
    State.PAUSED: RUNNING,
    State.STOPPED: STOPPED,
    State.FAILED: FAILED,
}


def is_plain(environ: Mapping[str, str]) -> bool:
    """Whether a terminal is to get steady lines only: it cannot move its cursor, or is CI's."""
    return environ.get("TERM", "") in {"", "dumb"} or environ.get("CI", "") not in {"", "false"}


def word_of(agent: Agent) -> str:
    """The agent's state as it is counted."""
    if agent.state == State.EXITED:
        return OK if agent.is_success else FAILED
    return _OF_STATES[agent.state]


class LiveProgress:
    """A line of counts, then a line an agent: failed ones first, with their cause.

    It takes half of the screen, or all of it where agents' output is shown elsewhere or not at
    all. size: columns and lines of the terminal.
    """

    def __init__(
        self,
        run: str,
        total: int,
        err: TextIO,
        agents_out: TextIO | None,
        prefix: Prefix,
        *,
        size: Callable[[], os.terminal_size] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run = run
        self._total = total
        self._err = err
        self._agents_out = agents_out
        self._prefix = prefix
        self._size = size or _size_of(err)
        self._clock = clock
        self._began_at = clock()
        self._agents: dict[int, Agent] = {}
        self._changed_at: dict[int, float] = {}
        self._counts: Counter[str] = Counter()
        self._drawn = 0  # lines on the screen
        self._drawn_at = 0.0
        self._is_over = False

    def changed(self, agent: Agent) -> None:
        index = agent.task.index
        if before := self._agents.get(index):
            self._counts[word_of(before)] -= 1
        self._agents[index] = agent
        self._changed_at[index] = self._clock()
        self._counts[word_of(agent)] += 1

    def output(self, agent: Agent, line: str, *, is_error: bool) -> None:
        if not self._agents_out:
            return
        is_above = self._agents_out.isatty() or is_error
        text = self._prefix.line(agent, last_state(line), is_coloured=is_above)
        if is_above:
            self._above(text)
        else:
            self._agents_out.write(f"{text}\n")

    def note(self, text: str) -> None:
        self._above(text)

    def flush(self) -> None:
        """Draw it anew, not more often than an eye follows."""
        if self._agents_out:
            self._agents_out.flush()
        if not self._is_over and (not self._drawn or self._clock() - self._drawn_at >= _REDRAW_S):
            self._drawn_at = self._clock()
            self._draw(self.frame())
        self._err.flush()

    def end(self) -> None:
        """Leave the counts as they are last, and the terminal to others."""
        self._is_over = True
        self._draw(self.frame()[:1])
        self._drawn = 0
        self._err.flush()

    def _above(self, text: str) -> None:
        self._draw([])
        self._err.write(f"{text}\n")

    def _draw(self, lines: list[str]) -> None:
        # ECMA-48: to the start of the first line drawn (CPL), and erase all below it (ED).
        back = f"\x1b[{self._drawn}F\x1b[J" if self._drawn else ""
        if back or lines:
            self._err.write(back + "".join(f"{line}\n" for line in lines))
        self._drawn = len(lines)

    def frame(self) -> list[str]:
        """The lines to draw, none wider than the terminal."""
        width, height = self._size()
        # A line that is as wide as the terminal would be wrapped by some.
        width = max(20, width - 1)
        is_shared = self._agents_out is not None and self._agents_out.isatty()
        room = max(1, (height // 2 if is_shared else height - 1) - 1)
        shown = sorted(self._agents.values(), key=self._rank)[:room]
        return [self._head(width), *(self._row(agent, width) for agent in shown)]

    def _head(self, width: int) -> str:
        counts = {**self._counts, QUEUED: self._total - self._counted()}
        words = [(f"{counts.get(word, 0)} {word}", word) for word in _WORDS]
        words = [(text, word) for text, word in words if not text.startswith("0 ")]
        ended = sum(counts.get(word, 0) for word in (OK, FAILED, STOPPED))
        tail = f"{ended}/{self._total}  {short(self._clock() - self._began_at)}"
        plain = "  ".join([self._run, *(text for text, _ in words), tail])
        if len(plain) > width:
            return plain[:width]
        return "  ".join([self._run, *(self._in_colour(*one) for one in words), tail])

    def _counted(self) -> int:
        """Agents that something has been heard of, without those that are queued (again)."""
        return sum(count for word, count in self._counts.items() if word != QUEUED)

    def _rank(self, agent: Agent) -> tuple[int, float, int]:
        word = word_of(agent)
        latest = self._changed_at[agent.task.index]
        # Of those that run, the ones that have run longest; of the others, the latest.
        return _RANK[word], latest if word == RUNNING else -latest, agent.task.index

    def _row(self, agent: Agent, width: int) -> str:
        """`0007      running  task-n-0007@ravi.id     start 2  1m12s  ready 0.9s`."""
        word = word_of(agent)
        name = f"{agent.task.id[:12]:<12} "
        if word in {FAILED, STOPPED} and (agent.error or agent.exit_code):
            text = f"{name}{word:<8} {describe(agent)}"[:width]
            return self._in_colour(text, word)
        times = []
        if agent.attempt > 1:
            times.append(f"start {agent.attempt}")
        if word == RUNNING:
            times.append(short(self._clock() - self._changed_at[agent.task.index]))
        if agent.ready_s is not None:
            times.append(f"ready {agent.ready_s:.1f}s")
        # The address is the point: all else gives way to it.
        email = agent.identity.email if agent.identity else agent.task.identity_name
        tail = "  ".join(times)
        rest = f" {email}  {tail}".rstrip()[: width - len(name) - 8]
        return name + self._in_colour(f"{word:<8}", word) + rest

    def _in_colour(self, text: str, word: str) -> str:
        number = _COLOURS.get(word)
        return coloured(text, number) if number and self._prefix.has_colour else text


def _size_of(stream: TextIO) -> Callable[[], os.terminal_size]:
    def size() -> os.terminal_size:
        try:
            found = os.get_terminal_size(stream.fileno())
        except (OSError, ValueError):
            return shutil.get_terminal_size()
        # A terminal that nobody has told its size.
        return found if all(found) else shutil.get_terminal_size()

    return size
