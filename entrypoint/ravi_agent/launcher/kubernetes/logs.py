"""The output of agents as it comes: a thread and a connection each, so only for some."""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from ravi_agent.errors import EngineError
from ravi_agent.launcher.kubernetes.api import KubernetesApi
from ravi_agent.launcher.kubernetes.refusal import KubernetesError
from ravi_agent.launcher.model.agents import KEPT_LINES, Agent

if TYPE_CHECKING:
    from ravi_agent.launcher.kubernetes.stream import Stream

# Followed at once: each costs a connection to the API server and one to a kubelet.
FOLLOWED_LIMIT = 64
# Of failed agents, how many have the end of their log fetched for the report.
_EXPLAINED_LIMIT = 10
_END_WAIT_S = 5.0
_CLOSED_POLL_S = 0.5
_UNSHOWN_LIMIT = 64  # lines of one agent
# While the API server or a kubelet is away: as long as the watches wait. A graceful restart of the
# server alone takes a minute, because it waits for the streams that are open.
_ATTEMPTS, _RETRY_S = 300, 1.0
_NO_LOG = frozenset({400, 404})  # the container has none any more, or the pod is gone


class Show(Protocol):
    """Shows whole lines of the agent with that index; calls `shown` when it has."""

    def __call__(self, index: int, data: bytes, *, shown: Callable[[], None]) -> None: ...


class Followers:
    """Passes the output of pods to `show`, each as fast as it is shown.

    `lose(index, why)` is called where some of a pod's output cannot be had.
    """

    def __init__(self, api: KubernetesApi, show: Show, lose: Callable[[int, str], None]) -> None:
        self._api = api
        self._show = show
        self._lose = lose
        self._threads: dict[str, threading.Thread] = {}
        self._streams: list[Stream] = []
        self._lock = threading.Lock()
        self._is_closed = threading.Event()
        self._last: dict[str, deque[str]] = {}

    def follow(self, index: int, pod: str, **limits: int) -> bool:
        """Begin with a pod whose agent has started, unless it is followed already.

        limits: what of its log so far is read, in the API's words; all of it without one. False
        where too many are followed at the moment.
        """
        if pod in self._threads:
            return True
        if sum(thread.is_alive() for thread in self._threads.values()) >= FOLLOWED_LIMIT:
            return False
        thread = threading.Thread(target=self._read, args=(index, pod, limits), daemon=True)
        self._threads[pod] = thread
        thread.start()
        return True

    def join(self) -> None:
        """Wait until all that is followed has been read to its end."""
        for thread in self._threads.values():
            thread.join()

    def last_lines(self, pod: str) -> list[str]:
        """What the agent in that pod has written last; empty where it is not followed."""
        with self._lock:
            return list(self._last.get(pod, ()))

    def close(self, *, is_over: bool) -> None:
        """Cut them off; where the agents have all ended, once they have read to the end."""
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

    def _read(self, index: int, pod: str, limits: Mapping[str, int]) -> None:
        """Read a log to its end, again from where it broke off if the connection did."""
        reader = _Reader()
        failures = 0
        while not self._is_closed.is_set():
            before = reader.last
            try:
                if self._read_once(index, pod, reader, {} if reader.last else limits):
                    return
            except EngineError as exc:
                is_gone = isinstance(exc, KubernetesError) and exc.status in _NO_LOG
                if is_gone or failures >= _ATTEMPTS:
                    self._lose(index, exc.why)
                    return
            failures = failures + 1 if reader.last == before else 0
            self._is_closed.wait(_RETRY_S)

    def _read_once(
        self, index: int, pod: str, reader: "_Reader", limits: Mapping[str, int]
    ) -> bool:
        """Pass on the lines that are later than the last one; True where that is all.

        A connection that breaks looks like the end of a log, so the pod says which it was.
        Raises EngineError where the log, or the pod, cannot be read.
        """
        stream = self._api.open_log(pod, is_following=True, timestamps=True, **limits)
        with self._lock:
            self._streams.append(stream)
            kept = self._last.setdefault(pod, deque(maxlen=KEPT_LINES))
            if self._is_closed.is_set():
                stream.close()
        for stamped in stream.lines():
            stamp, _, line = stamped.partition(b" ")
            if not reader.is_new(stamp.decode(errors="replace")):
                continue
            with self._lock:
                kept.append(line.decode(errors="replace"))
            while not reader.place.acquire(timeout=_CLOSED_POLL_S):
                if self._is_closed.is_set():
                    return True
            self._show(index, line + b"\n", shown=reader.place.release)
        return self._is_closed.is_set() or self._api.has_ended(pod, "agent")


class _Reader:
    """How far one log has been read, over all connections to it.

    place: some lines wait to be shown, and one is read; the rest stays with the kubelet.
    """

    def __init__(self) -> None:
        self.last = ""  # the time of the last line
        self.place = threading.Semaphore(_UNSHOWN_LIMIT)

    def is_new(self, stamp: str) -> bool:
        """Whether a line with that time comes after the last one, which it then is."""
        if _in_order(stamp) <= _in_order(self.last):
            return False
        self.last = stamp
        return True


def _in_order(stamp: str) -> tuple[str, str]:
    """A time of a log as it compares: its fraction has only as many digits as it needs."""
    whole, _, fraction = stamp.removesuffix("Z").partition(".")
    return whole, fraction.ljust(9, "0")


def explain(api: KubernetesApi, agents: Sequence[Agent], followers: Followers | None) -> None:
    """Note what agents wrote last, and fetch it for failed ones that were not followed."""
    if followers:
        for agent in agents:
            agent.lines.extend(followers.last_lines(str(agent.container)))
    failed = [agent for agent in agents if agent.exit_code and not agent.lines]
    for agent in failed[:_EXPLAINED_LIMIT]:
        agent.lines.extend(last_lines(api, str(agent.container), KEPT_LINES))


def last_lines(api: KubernetesApi, pod: str, count: int) -> list[str]:
    """The last lines of an agent; none where its log is gone, or may not be read."""
    try:
        stream = api.open_log(pod, tail_lines=count)
    except EngineError:
        return []
    return [line.decode(errors="replace") for line in stream.lines()]
