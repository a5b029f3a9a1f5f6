"""Shows a run from a thread of its own, so that nothing that shows can hold up what controls."""

import copy
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from ravi_agent.launcher.model.agents import Agent
from ravi_agent.launcher.model.observer import Observer
from ravi_agent.launcher.show.streams import write_now

# Redrawn so often where nothing happens; times on the screen go on.
_TICK_S = 0.25
# Once the run is being stopped its output may be dropped: as much waits to be shown.
_STOPPING_LIMIT = 1 << 20  # bytes


class Presenter:
    """A `Reporter`: puts what it is told into a queue, and its thread passes it to the observers.

    States and notes are as many as agents and starts. Output waits in the queue too, but only as
    much as its readers allow: they read on when `shown` is called. An observer that fails is left
    out from then on, which standard error is told once.
    """

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = list(observers)
        self._queue: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._waiting = 0  # bytes of output in the queue
        self._dropped = 0
        self._is_stopping = False
        self._is_over = threading.Event()
        # A daemon: nobody waits for a terminal that takes nothing.
        self._thread = threading.Thread(target=self._run, name="presenter", daemon=True)
        self._is_started = False

    def changed(self, agent: Agent) -> None:
        # A copy: the fleet goes on changing its own.
        seen = copy.copy(agent)
        seen.lines = deque()
        self._put(lambda: self._tell(lambda one: one.changed(seen)))

    def note(self, text: str) -> None:
        self._put(lambda: self._tell(lambda one: one.note(text)))

    def output(
        self, agent: Agent, data: bytes, *, is_error: bool, shown: Callable[[], None]
    ) -> None:
        with self._lock:
            is_dropped = self._is_stopping and self._waiting + len(data) > _STOPPING_LIMIT
            if is_dropped:
                self._dropped += len(data)
            else:
                self._waiting += len(data)
        if is_dropped:
            shown()
            return

        def show() -> None:
            for line in data.removesuffix(b"\n").split(b"\n"):
                text = line.decode(errors="replace")
                self._tell(lambda one: one.output(agent, text, is_error=is_error))  # noqa: B023
            with self._lock:
                self._waiting -= len(data)
            shown()

        self._put(show)

    def stopping(self, text: str) -> None:
        """Say at once that the run is being stopped, and from now on never wait for a reader."""
        with self._lock:
            self._is_stopping = True
        threading.Thread(target=write_now, args=(text,), daemon=True).start()

    def call(self, show: Callable[[], None]) -> None:
        """Show something else behind what has been told so far, as an observer would."""
        self._put(lambda: self._guard(None, show))

    def close(self, timeout_s: float | None = None) -> bool:
        """Whether all that was told has been shown, waiting for that at most so many seconds."""
        if self._dropped:
            self.note(f"{self._dropped} bytes of output came too late to be shown")
        self._put(None)
        return self._is_over.wait(timeout_s)

    def _put(self, show: Callable[[], None] | None) -> None:
        self._queue.put(show)
        with self._lock:
            is_first, self._is_started = not self._is_started, True
        if is_first:
            self._thread.start()

    def _run(self) -> None:
        is_open = True
        flushed_at = 0.0
        while is_open:
            try:
                show = self._queue.get(timeout=_TICK_S)
            except queue.Empty:
                show = None
            else:
                is_open = show is not None
            if show:
                show()
            if self._queue.empty() or time.monotonic() - flushed_at > _TICK_S:
                flushed_at = time.monotonic()
                self._tell(lambda one: one.flush())
        self._is_over.set()

    def _tell(self, tell: Callable[[Observer], None]) -> None:
        for one in list(self._observers):
            self._guard(one, lambda: tell(one))  # noqa: B023

    def _guard(self, observer: Observer | None, show: Callable[[], None]) -> None:
        try:
            show()
        except Exception as exc:  # noqa: BLE001 - whatever it is, the agents go on
            if observer:
                self._observers.remove(observer)
            why = exc.strerror if isinstance(exc, OSError) else repr(exc)
            write_now(f"ravi-launch: warning: the run is not shown any more: {why}; it goes on\n")
