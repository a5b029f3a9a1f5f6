"""What is to be done later, by the thread that asks for it."""

import heapq
import itertools
import time
from collections.abc import Callable


class Timers:
    """Actions with a time (`time.monotonic()`), carried out by whoever calls `run_due`."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def after(self, delay_s: float, action: Callable[[], None]) -> None:
        at = time.monotonic() + max(0.0, delay_s)
        heapq.heappush(self._heap, (at, next(self._order), action))

    def wait_s(self) -> float | None:
        """Seconds until the next action, None if there is none."""
        return max(0.0, self._heap[0][0] - time.monotonic()) if self._heap else None

    def run_due(self) -> None:
        while self._heap and self._heap[0][0] <= time.monotonic():
            heapq.heappop(self._heap)[2]()
