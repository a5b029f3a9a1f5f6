"""What changes in the cluster, as it changes: a list, then a watch, and again where that breaks."""

import json
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ravi_agent.errors import EngineError
from ravi_agent.launcher.kubernetes.api import KubernetesApi
from ravi_agent.launcher.kubernetes.names import Object
from ravi_agent.launcher.kubernetes.patience import RETRY_S, Patience
from ravi_agent.launcher.kubernetes.refusal import KubernetesError

if TYPE_CHECKING:
    from ravi_agent.launcher.kubernetes.stream import Stream

_GONE = 410  # the server has forgotten that version: everything is listed anew
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
        self._patience = Patience(has_answered=has_answered)
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
                pause_s = self._patience.pause_s(exc)
                if pause_s is None:
                    self._failed(exc)
                    return
                if self._patience.failures == 1 and self._patience.has_answered and self._away:
                    self._away(exc)
                self._is_closed.wait(pause_s)

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
        self._patience.answered()
        self._patience.may_be_refused = True
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
            self._is_closed.wait(RETRY_S[0])  # a server that accepts and hangs up is not pressed
        return version
