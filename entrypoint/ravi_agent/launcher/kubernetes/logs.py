"""What agents write, while they write it: a thread and a connection each, so for some of them."""

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ravi_agent.errors import EngineError
from ravi_agent.launcher.kubernetes.api import KubernetesApi, KubernetesError

if TYPE_CHECKING:
    from ravi_agent.launcher.kubernetes.stream import Stream

# Followed at once: each costs a connection to the API server and one to a kubelet.
FOLLOWED_LIMIT = 64
_END_WAIT_S = 5.0
# While the API server or a kubelet is away; more than a minute in all.
_ATTEMPTS, _RETRY_S = 60, 1.0
_NO_LOG = frozenset({400, 404})  # the container has none any more, or the pod is gone


class Followers:
    """Tells `heard(index, line)` of every line of the pods that are followed.

    `lost(index, why)` is told where some of a pod's output cannot be had.
    """

    def __init__(
        self,
        api: KubernetesApi,
        heard: Callable[[int, str], None],
        lost: Callable[[int, str], None],
    ) -> None:
        self._api = api
        self._heard = heard
        self._lost = lost
        self._threads: dict[str, threading.Thread] = {}
        self._streams: list[Stream] = []
        self._lock = threading.Lock()
        self._is_closed = threading.Event()
        self._is_over = False

    def follow(self, index: int, pod: str) -> None:
        """Begin with a pod whose agent has started, unless it is followed already."""
        if pod in self._threads or len(self._threads) >= FOLLOWED_LIMIT:
            return
        thread = threading.Thread(target=self._read, args=(index, pod), daemon=True)
        self._threads[pod] = thread
        thread.start()

    def close(self, *, is_over: bool) -> None:
        """Cut them off; where the agents have all ended, once they have read to the end."""
        self._is_over = is_over
        if is_over:
            ends_at = time.monotonic() + _END_WAIT_S
            for thread in self._threads.values():
                thread.join(max(0.0, ends_at - time.monotonic()))
        with self._lock:
            self._is_closed.set()
            for stream in self._streams:
                stream.close()
        # None may be left in the client's native code when the interpreter ends: it would abort.
        for thread in self._threads.values():
            thread.join(_END_WAIT_S)

    def _read(self, index: int, pod: str) -> None:
        """Read a log to its end, again from where it broke off where the connection did."""
        last = ""  # the time of the last line that was told
        failures = 0
        while not self._is_closed.is_set():
            try:
                told, is_whole = self._read_once(index, pod, last)
            except EngineError as exc:
                is_gone = isinstance(exc, KubernetesError) and exc.status in _NO_LOG
                if is_gone or failures >= _ATTEMPTS:
                    self._lost(index, exc.why)
                    return
            else:
                if is_whole:
                    return
                failures = failures if told == last else 0
                last = told
            failures += 1
            self._is_closed.wait(_RETRY_S)

    def _read_once(self, index: int, pod: str, last: str) -> tuple[str, bool]:
        """Tell the lines later than `last`; the time of the last one, and whether that is all.

        A connection that breaks looks like the end of a log, so the pod says which it was.
        """
        stream = self._api.open_log(pod, is_following=True, timestamps=True)
        with self._lock:
            self._streams.append(stream)
            if self._is_closed.is_set():
                stream.close()
        for line in stream.lines():
            stamp, _, text = line.decode(errors="replace").partition(" ")
            if _nanoseconds(stamp) > _nanoseconds(last):
                last = stamp
                self._heard(index, text)
        return last, self._is_closed.is_set() or self._api.has_ended(pod, "agent")


def _nanoseconds(stamp: str) -> tuple[str, str]:
    """Times of one log in an order: their fractions have as many digits as they need."""
    whole, _, fraction = stamp.removesuffix("Z").partition(".")
    return whole, fraction.ljust(9, "0")


def last_lines(api: KubernetesApi, pod: str, count: int) -> list[str]:
    """What an agent wrote last; nothing where its log is gone, or may not be read."""
    try:
        stream = api.open_log(pod, tail_lines=count)
    except EngineError:
        return []
    return [line.decode(errors="replace") for line in stream.lines()]
