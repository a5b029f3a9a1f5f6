"""What changes in the cluster, as it changes: a list, then a watch, and again where that breaks."""

import json
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ravi_agent.errors import EngineError
from ravi_agent.launcher.kubernetes.api import KubernetesApi
from ravi_agent.launcher.kubernetes.names import Object
from ravi_agent.launcher.kubernetes.refusal import KubernetesError

if TYPE_CHECKING:
    from ravi_agent.launcher.kubernetes.stream import Stream

_GONE = 410  # the server has forgotten that version: everything is listed anew
# Waits between attempts while the server is away: it restarts, and a fleet must not press it.
_RETRY_S = (0.5, 1, 2, 4, 8)
# How long a server that has answered before may be away: an upgrade of a control plane takes
# minutes, and the run goes on without it.
_AWAY_S = 300.0
# It refuses everybody for a moment after its start, while it reads who may do what.
_REFUSED_S = 30.0

# Called with each object as it is now, and with True where it has been deleted.
Heard = Callable[[Object, bool], None]


class Watch:
    """Tells `heard` of every object of a resource that is there, and then of every change.

    Objects are told in the order of their changes, from a thread of its own; those of a list in the
    order of their creation, and those that have gone meanwhile as deleted. A server that does not
    answer, or refuses after it has answered before, is waited for. `failed` gets what ends the
    watch before `close`; `away` is told once each time the server stops answering.

    has_answered: it has answered the caller a moment ago, so that it is waited for as long if it
    stops before the first list. known: an object that the caller has been told of.
    """

    def __init__(
        self,
        api: KubernetesApi,
        resource: str,
        heard: Heard,
        failed: Callable[[EngineError], None],
        away: Callable[[EngineError], None] | None = None,
        *,
        has_answered: bool = False,
        known: Object | None = None,
        **selectors: str,
    ) -> None:
        self._api = api
        self._resource = resource
        self._heard = heard
        self._failed = failed
        self._away = away
        self._has_answered = has_answered
        self._has_watched = False
        self._failures = 0  # in a row
        self._away_since = 0.0
        self._selectors = selectors
        self._known: dict[str, Object] = {}
        if known:
            self._note(known)
        self._is_closed = threading.Event()
        self._lock = threading.Lock()
        self._stream: Stream | None = None
        self._thread = threading.Thread(target=self._run, name=f"watch-{resource}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop; when it returns `heard` is called no more."""
        with self._lock:
            self._is_closed.set()
            if self._stream:
                self._stream.close()
        self._thread.join(10)

    def _run(self) -> None:
        version = ""
        while not self._is_closed.is_set():
            try:
                version = version or self._list()
                version = self._follow(version)
            except EngineError as exc:
                if isinstance(exc, KubernetesError) and exc.status == _GONE:
                    version = ""
                    continue
                if self._failures == 0:
                    self._away_since = time.monotonic()
                if not self._may_pass(exc):
                    self._failed(exc)
                    return
                if self._failures == 0 and self._has_answered and self._away:
                    self._away(exc)
                self._is_closed.wait(_RETRY_S[min(self._failures, len(_RETRY_S) - 1)])
                self._failures += 1

    def _may_pass(self, exc: EngineError) -> bool:
        """Whether the same call may succeed later."""
        is_refusal = isinstance(exc, KubernetesError) and exc.status in {401, 403}
        is_answer = isinstance(exc, KubernetesError) and exc.status < 500 and exc.status != 429
        if is_answer and not (is_refusal and self._has_watched):
            return False
        if not self._has_answered:
            return self._failures < len(_RETRY_S)
        limit_s = _REFUSED_S if is_refusal else _AWAY_S
        return time.monotonic() - self._away_since < limit_s

    def _list(self) -> str:
        objects, version = self._api.list(self._resource, **self._selectors)
        gone = self._known
        self._known = {}
        # A list is alphabetical; of two attempts the earlier one is told first, as in a watch.
        for one in sorted(objects, key=lambda one: one["metadata"].get("creationTimestamp") or ""):
            gone.pop(self._note(one), None)
            self._heard(one, False)
        for one in gone.values():
            self._heard(one, True)
        return version

    def _note(self, one: Object) -> str:
        name = str(one["metadata"]["name"])
        # Enough to say later that it has gone; ten thousand whole pods would be a hundred MB.
        kept = {key: one["metadata"].get(key) for key in ("name", "labels", "annotations")}
        self._known[name] = {"metadata": kept}
        return name

    def _follow(self, version: str) -> str:
        """Tell of the changes since `version`; the version to go on from."""
        stream = self._api.open_watch(self._resource, version, **self._selectors)
        self._has_answered, self._has_watched, self._failures = True, True, 0
        with self._lock:
            if self._is_closed.is_set():
                stream.close()
            self._stream = stream
        began = time.monotonic()
        is_empty = True
        for line in stream.lines():
            is_empty = False
            event = json.loads(line)
            one = event["object"]
            if event["type"] == "ERROR":
                raise KubernetesError(
                    f"the watch of {self._resource} ended",
                    str(one.get("message", "")),
                    status=int(one.get("code", 500)),
                    reason=str(one.get("reason", "")),
                )
            version = one["metadata"]["resourceVersion"]
            if event["type"] == "BOOKMARK":
                continue
            name = self._note(one)
            if event["type"] == "DELETED":
                del self._known[name]
            self._heard(one, event["type"] == "DELETED")
        if is_empty and time.monotonic() - began < 1:
            self._is_closed.wait(_RETRY_S[0])  # a server that accepts and hangs up is not pressed
        return version
