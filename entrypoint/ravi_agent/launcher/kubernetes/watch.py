"""What changes in the cluster, as it changes: a list, then a watch, and again where that breaks."""

import json
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from ravi_agent.errors import EngineError
from ravi_agent.launcher.kubernetes.api import KubernetesApi, KubernetesError
from ravi_agent.launcher.kubernetes.names import Object

if TYPE_CHECKING:
    from ravi_agent.launcher.kubernetes.stream import Stream

_GONE = 410  # the server has forgotten that version: everything is listed anew
# Waits between attempts while the server is away: it restarts, and a fleet must not press it.
_RETRY_S = (0.5, 1, 2, 4, 8)

# Called with each object as it is now, and with True where it has been deleted.
Heard = Callable[[Object, bool], None]


class Watch:
    """Tells `heard` of every object of a resource that is there, and then of every change.

    Objects are told in the order of their changes, from a thread of its own; after a list anew,
    those that have gone meanwhile are told as deleted. `failed` gets what ends it before `close`.
    """

    def __init__(
        self,
        api: KubernetesApi,
        resource: str,
        heard: Heard,
        failed: Callable[[EngineError], None],
        **selectors: str,
    ) -> None:
        self._api = api
        self._resource = resource
        self._heard = heard
        self._failed = failed
        self._selectors = selectors
        self._known: dict[str, Object] = {}
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
        failures = 0
        while not self._is_closed.is_set():
            try:
                version = version or self._list()
                version = self._follow(version)
                failures = 0
            except KubernetesError as exc:
                if exc.status == _GONE:
                    version = ""
                elif exc.status < 500 and exc.status != 429:
                    self._failed(exc)
                    return
                else:
                    failures = self._hold_off(failures, exc)
            except EngineError as exc:
                failures = self._hold_off(failures, exc)

    def _hold_off(self, failures: int, exc: EngineError) -> int:
        if failures >= len(_RETRY_S):
            self._failed(exc)
            self._is_closed.set()
        else:
            self._is_closed.wait(_RETRY_S[failures])
        return failures + 1

    def _list(self) -> str:
        objects, version = self._api.list(self._resource, **self._selectors)
        gone = self._known
        self._known = {}
        for one in objects:
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
