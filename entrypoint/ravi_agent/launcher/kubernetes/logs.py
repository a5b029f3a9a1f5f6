"""What agents write, while they write it: a thread and a connection each, so for some of them."""

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ravi_agent.errors import EngineError
from ravi_agent.launcher.kubernetes.api import KubernetesApi

if TYPE_CHECKING:
    from ravi_agent.launcher.kubernetes.stream import Stream

# Followed at once: each costs a connection to the API server and one to a kubelet.
FOLLOWED_LIMIT = 64
_END_WAIT_S = 5.0


class Followers:
    """Tells `heard(index, line)` of every line of the pods that are followed."""

    def __init__(self, api: KubernetesApi, heard: Callable[[int, str], None]) -> None:
        self._api = api
        self._heard = heard
        self._threads: dict[str, threading.Thread] = {}
        self._streams: list[Stream] = []
        self._lock = threading.Lock()
        self._is_closed = False

    def follow(self, index: int, pod: str) -> None:
        """Begin with a pod whose agent has started; again is nothing."""
        if pod in self._threads or len(self._threads) >= FOLLOWED_LIMIT:
            return
        thread = threading.Thread(target=self._read, args=(index, pod), daemon=True)
        self._threads[pod] = thread
        thread.start()

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
            return  # gone before it could be heard; what became of it the watch tells
        with self._lock:
            self._streams.append(stream)
            if self._is_closed:
                stream.close()
        for line in stream.lines():
            self._heard(index, line.decode(errors="replace"))


def last_lines(api: KubernetesApi, pod: str, count: int) -> list[str]:
    """What an agent wrote last; nothing where its log is gone, or may not be read."""
    try:
        stream = api.open_log(pod, tail_lines=count)
    except EngineError:
        return []
    return [line.decode(errors="replace") for line in stream.lines()]
