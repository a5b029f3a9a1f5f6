"""A line now and then while the service does not answer, for whoever waits for the agent."""

import threading
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from ravi_agent.log import Log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ravi_agent.errors import RaviError
    from ravi_agent.service.watcher import Watcher

_FIRST_S = 2.0
_LONGEST_GAP_S = 30.0


class StillTrying:
    """Says after 2 s, and then after 4, 8, 16 and 30 s more, that a service has not answered.

    From a thread, because a connection that nobody refuses keeps the caller waiting in the
    kernel: one of its own, or the watcher's. cause: the last failure, None while the first attempt
    is under way. may_say: asked with the seconds since the last line, False to leave one out.
    """

    def __init__(
        self,
        api_url: str,
        log: Log,
        fix: str,
        may_say: Callable[[float], bool] = lambda _gap: True,
        watcher: "Watcher | None" = None,
    ) -> None:
        self.cause: RaviError | None = None
        self._host = urlsplit(api_url).netloc
        self._log = log
        self._fix = fix
        self._may_say = may_say
        self._silent_since = self._since = time.monotonic()
        self._gap_s = _FIRST_S
        self._at = self._since + _FIRST_S
        self._watcher = watcher
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> "StillTrying":
        if self._watcher:
            self._watcher.add(self.look)
            return self
        thread = threading.Thread(target=self._watch, name="still-trying", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return self  # no process slot: the start goes on without these lines
        self._thread = thread
        return self

    def __exit__(self, *_: object) -> None:
        if self._watcher:
            self._watcher.remove(self.look)
        if self._thread:
            self._is_over.set()
            self._thread.join()

    def answered(self) -> None:
        """The service has answered: the time runs anew."""
        self.cause = None
        self._silent_since = time.monotonic()

    def _watch(self) -> None:
        while not self._is_over.wait(max(0.0, self._at - time.monotonic())):
            self.look()

    def look(self) -> None:
        """Say a line if it is time for one; always called by the same thread."""
        now = time.monotonic()
        if now < self._at:
            return
        if self._since != self._silent_since:
            self._since, self._gap_s = self._silent_since, _FIRST_S
            self._at = self._since + _FIRST_S
            return
        if self._may_say(self._gap_s):
            self._say(now - self._since)
        self._gap_s = min(self._gap_s * 2, _LONGEST_GAP_S)
        self._at += self._gap_s

    def _say(self, silent_s: float) -> None:
        cause = self.cause
        why = f"{cause}" if cause else "no answer yet"
        fix = (cause and cause.fix) or self._fix
        self._log.warning(f"still trying {self._host} after {silent_s:.0f} s: {why}", fix)


def how_to_reach(api_url: str, *, is_in_container: bool) -> str:
    """What to check where a service cannot be reached."""
    scheme, host = urlsplit(api_url).scheme, urlsplit(api_url).hostname or ""
    is_loopback = host in {"localhost", "::1"} or host.startswith("127.")
    if is_in_container and (is_loopback or host.endswith(".localhost")):
        return (
            f"{host} is this container itself: name the service's container instead, or for one "
            "on the host --add-host=host.docker.internal:host-gateway and host.docker.internal"
            + (", with RAVI_ALLOW_HTTP=1" if scheme == "http" else "")
        )
    return "check RAVI_API_URL and the network" + (" of the container" if is_in_container else "")
