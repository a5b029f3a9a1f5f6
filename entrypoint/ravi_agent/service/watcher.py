"""One thread that looks after the waiting of a whole fleet: a thread a call costs as much as it."""

import threading
from collections.abc import Callable

_LOOK_S, _END_WAIT_S = 0.25, 1.0


class Watcher:
    """Calls what looks whether it is time to say something, of all that wait, until it is closed.

    Safe to use from several threads. The thread begins with the first that waits.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: set[Callable[[], None]] = set()
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, look: Callable[[], None]) -> None:
        with self._lock:
            self._waiting.add(look)
            if self._thread is not None or self._is_over.is_set():
                return
            thread = threading.Thread(target=self._run, name="still-trying", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                return  # no process slot: nothing is said until there is one
            self._thread = thread

    def remove(self, look: Callable[[], None]) -> None:
        with self._lock:
            self._waiting.discard(look)

    def close(self) -> None:
        self._is_over.set()
        if self._thread:
            self._thread.join(_END_WAIT_S)  # it may be writing to a terminal that takes nothing

    def _run(self) -> None:
        while not self._is_over.wait(_LOOK_S):
            with self._lock:
                waiting = list(self._waiting)
            for look in waiting:  # without the lock: whoever calls waits for no terminal
                look()
