"""The output of agents as it comes: a thread and a connection each, so only for some."""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from ravi_agent.errors import EngineError
from ravi_agent.launcher.kubernetes.api import KubernetesApi
from ravi_agent.launcher.model.agents import KEPT_LINES

if TYPE_CHECKING:
    from ravi_agent.launcher.kubernetes.stream import Stream

# Followed at once: each costs a connection to the API server and one to a kubelet.
FOLLOWED_LIMIT = 64
_END_WAIT_S = 5.0
_CLOSED_POLL_S = 0.5
_UNSHOWN_LIMIT = 64  # lines of one agent


class Show(Protocol):
    """Shows whole lines of the agent with that index; calls `shown` when it has."""

    def __call__(self, index: int, data: bytes, *, shown: Callable[[], None]) -> None: ...


class Followers:
    """Passes the output of pods to `show`, each as fast as it is shown."""

    def __init__(self, api: KubernetesApi, show: Show) -> None:
        self._api = api
        self._show = show
        self._threads: dict[str, threading.Thread] = {}
        self._streams: list[Stream] = []
        self._lock = threading.Lock()
        self._is_closed = False
        self._last: dict[int, deque[str]] = {}

    def follow(self, index: int, pod: str) -> None:
        """Begin with a pod whose agent has started, unless it is followed already."""
        if pod in self._threads or len(self._threads) >= FOLLOWED_LIMIT:
            return
        thread = threading.Thread(target=self._read, args=(index, pod), daemon=True)
        self._threads[pod] = thread
        thread.start()

    def last_lines(self, index: int) -> list[str]:
        """What the agent with that index has written last; empty where it is not followed."""
        with self._lock:
            return list(self._last.get(index, ()))

    def close(self, *, is_over: bool) -> None:
        """Cut them off; where the agents have all ended, once they have read to the end."""
        if is_over:
            ends_at = time.monotonic() + _END_WAIT_S
            for thread in self._threads.values():
                thread.join(max(0.0, ends_at - time.monotonic()))
        with self._lock:
            self._is_closed = True
            for stream in self._streams:
                stream.close()
        # None may be left in the client's native code when the interpreter ends: it would abort.
        for thread in self._threads.values():
            thread.join(_END_WAIT_S)

    def _read(self, index: int, pod: str) -> None:
        try:
            stream = self._api.open_log(pod, is_following=True)
        except EngineError:
            return  # gone before it could be heard; the watch tells what has become of it
        with self._lock:
            self._streams.append(stream)
            last = self._last[index] = deque(maxlen=KEPT_LINES)
            if self._is_closed:
                stream.close()
        # Some lines wait to be shown, and one is read: the rest stays with the kubelet.
        place = threading.Semaphore(_UNSHOWN_LIMIT)
        for line in stream.lines():
            with self._lock:
                last.append(line.decode(errors="replace"))
            while not place.acquire(timeout=_CLOSED_POLL_S):
                if self._is_closed:
                    return
            self._show(index, line + b"\n", shown=place.release)


def last_lines(api: KubernetesApi, pod: str, count: int) -> list[str]:
    """The last lines of an agent; none where its log is gone, or may not be read."""
    try:
        stream = api.open_log(pod, tail_lines=count)
    except EngineError:
        return []
    return [line.decode(errors="replace") for line in stream.lines()]
