"""One thread that looks after the waiting of a whole fleet: a thread a call costs as much as it."""

import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ravi_agent.service.still_trying import StillTrying

_LOOK_S, _END_WAIT_S = 0.25, 1.0


class Watcher:
    """Has all that wait for a service look whether it is time to say so, until it is closed.

    Safe to use from several threads. The thread begins with the first that waits.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: set[StillTrying] = set()
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, notice: "StillTrying") -> None:
        with self._lock:
            self._waiting.add(notice)
            if self._thread is None and not self._is_over.is_set():
                self._thread = threading.Thread(target=self._run, name="still-trying", daemon=True)
                self._thread.start()

    def remove(self, notice: "StillTrying") -> None:
        with self._lock:
            self._waiting.discard(notice)

    def close(self) -> None:
        self._is_over.set()
        if self._thread:
            self._thread.join(_END_WAIT_S)  # it may be writing to a terminal that takes nothing

    def _run(self) -> None:
        while not self._is_over.wait(_LOOK_S):
            with self._lock:
                waiting = list(self._waiting)
            for notice in waiting:  # without the lock: whoever calls waits for no terminal
                notice.look()
