"""Connections to one service, straight or through a proxy, each used again while it is good."""

import threading
import time
from http.client import HTTPException
from urllib.parse import urlsplit

from ravi_agent.errors import NotSentError
from ravi_agent.service.deadline import Deadline, connect
from ravi_agent.service.exchange import exchange, explain
from ravi_agent.service.wire import Wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ravi_agent.service.proxy import Proxy

_PORTS = {"http": 80, "https": 443}
_IDLE_LIMIT = 20
# Servers close a connection that rests; a request that meets that has an unknown outcome.
_IDLE_S = 5.0


class Connections:
    """Connections to the service at a URL; for several threads, each with its own deadline.

    `headers` go with each request, to which `target` gives the URL. Raises OSError for a CA file
    that cannot be read, ValueError for a URL that is none.
    """

    def __init__(
        self, url: str, proxy: "Proxy | None", deadline: Deadline, environ: "Mapping[str, str]"
    ) -> None:
        parts = urlsplit(url)
        self._is_tls = parts.scheme == "https"
        self._host, self._port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        self._root = f"{parts.scheme}://{parts.netloc}"
        self._proxy = urlsplit(proxy.url) if proxy else None
        self._proxy_variable = proxy.variable if proxy else ""
        self._deadline = deadline
        self._idle: list[tuple[Wire, float]] = []
        self._is_closed = False
        self._lock = threading.Lock()
        self._context = None
        if self._is_tls or (self._proxy and self._proxy.scheme == "https"):
            from ravi_agent.service.tls import tls_context

            self._context = tls_context(environ)
        self._proxy_headers: dict[str, str] = {}
        if proxy and proxy.credentials:
            from base64 import b64encode

            user_and_password = ":".join(proxy.credentials).encode()
            basic = f"Basic {b64encode(user_and_password).decode()}"
            self._proxy_headers["Proxy-Authorization"] = basic
        self.headers = {"Host": parts.netloc}
        if self._proxy and not self._is_tls:
            self.headers |= self._proxy_headers

    def target(self, path: str) -> str:
        """What a request for a path asks for: of a proxy the whole URL."""
        return path if self._is_tls or not self._proxy else self._root + path

    def take(self, what: str) -> Wire:
        """A connection, to be given back or closed. Raises NotSentError."""
        while (wire := self._take_idle()) is not None:
            if wire.is_silent():
                return wire
            wire.close()
        try:
            return self._open(what)
        except (OSError, HTTPException) as exc:
            raise self._not_connected(exc, what) from exc

    def give_back(self, wire: Wire) -> None:
        """Keep a connection, whose last answer was read to its end, for the next request."""
        if wire.is_silent():
            with self._lock:
                if not self._is_closed and len(self._idle) < _IDLE_LIMIT:
                    self._idle.append((wire, time.monotonic() + _IDLE_S))
                    return
        wire.close()

    def close(self) -> None:
        """Close what is idle now, and the rest when it is given back."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for wire, _ in idle:
            wire.close()

    def _take_idle(self) -> Wire | None:
        """The connection that was used last."""
        now = time.monotonic()
        with self._lock:
            stale = [wire for wire, until in self._idle if until < now]
            self._idle = [(wire, until) for wire, until in self._idle if until >= now]
            wire = self._idle.pop()[0] if self._idle else None
        for one in stale:
            one.close()
        return wire

    def _open(self, what: str) -> Wire:
        proxy = self._proxy
        if proxy:
            host, port = proxy.hostname or "", proxy.port or _PORTS[proxy.scheme]
        else:
            host, port = self._host, self._port
        wire = Wire(connect(host, port, self._deadline), self._deadline)
        try:
            if proxy and proxy.scheme == "https" and self._context:
                wire.start_tls(self._context, host)
            if self._is_tls and self._context:
                if proxy:
                    self._tunnel(wire, what)
                wire.start_tls(self._context, self._host)
        except BaseException:
            wire.close()
            raise
        return wire

    def _tunnel(self, wire: Wire, what: str) -> None:
        """Have the proxy connect to the service (RFC 9110, 9.3.6)."""
        place = f"[{self._host}]" if ":" in self._host else self._host
        place = f"{place}:{self._port}"
        headers = {"Host": place, "Accept": "*/*", **self._proxy_headers}
        answer = exchange(wire, "CONNECT", place, headers, None, what)
        if not 200 <= answer.status < 300:
            reason = answer.reason if answer.reason.isprintable() else ""
            fix = self._proxy_fix()
            if answer.status == 407:
                fix = f"put the proxy's user and password into {self._proxy_variable}"
            raise NotSentError(
                what,
                f"the proxy says {answer.status} {reason[:100]}".rstrip(),
                fix,
                # It may know the service later, and its rules do not change while a start waits.
                is_final=400 <= answer.status < 500 and answer.status not in {408, 425, 429},
            )
        if not wire.is_silent():
            why = "the proxy hung up after its answer, or sent more than that"
            raise NotSentError(what, why, self._proxy_fix())

    def _not_connected(self, exc: Exception, what: str) -> NotSentError:
        unverified = getattr(exc, "verify_message", None)  # ssl.SSLCertVerificationError
        if unverified is not None:
            return NotSentError(
                what,
                f"the certificate does not verify: {unverified}",
                "set SSL_CERT_FILE to the CA that signed it",
                is_final=True,
            )
        if self._proxy is None:
            return NotSentError(what, explain(exc))
        where = f"through the proxy {self._proxy.geturl()} of {self._proxy_variable}"
        return NotSentError(what, f"{where}: {explain(exc)}", self._proxy_fix())

    def _proxy_fix(self) -> str:
        return f"check {self._proxy_variable}, or add {self._host} to NO_PROXY"
