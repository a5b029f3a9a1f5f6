"""Ravi's REST API over HTTP: one attempt a call, every failure sorted by what it means.

Whether to try again is decided by `provision`, which knows what a call costs.
"""

import json
import os
import threading
import time
from http.client import HTTPException
from urllib.parse import quote, urlsplit

from ravi_agent.credential import Credential
from ravi_agent.errors import AnswerError, NotSentError, RefusedError
from ravi_agent.service.calls import OBJECT_LIMIT, Calls
from ravi_agent.service.connections import Connections
from ravi_agent.service.deadline import Deadline
from ravi_agent.service.exchange import exchange, failure
from ravi_agent.service.proxy import find_proxy
from ravi_agent.service.status import check_status, unix_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from ravi_agent.service.calls import Answer
    from ravi_agent.service.event_socket import EventSocket
    from ravi_agent.service.exchange import Answer as HttpAnswer
    from ravi_agent.service.wire import Wire

_ERROR_LIMIT = 64 * 1024  # bytes of an error that are read
_HEADERS = {
    "Accept": "application/json",
    # A small packed answer can fill the memory once it is unpacked.
    "Accept-Encoding": "identity",
    "User-Agent": "ravi-agent-base",
}
# What a path and its query may hold as they are (RFC 3986), and the % of what is quoted already.
_SAFE = "/?%:@!$&'()*+,;=-._~[]|^\\"


class RaviApi(Calls):
    """The calls this project makes, for one account or identity; `with RaviApi(…) as api:`.

    identity_uuid: the identity that every call is about. It goes along as a parameter and as a
    header: the newest service reads the one, an older one the other, and a key selects none.
    Raises NotSentError, OutcomeUnknownError, ThrottledError, AnswerError or RefusedError, whose
    texts hold neither token nor body. Follows no redirect, so the token stays with its host.
    Safe to use from several threads.
    """

    def __init__(
        self, api_url: str, credential: Credential, *, identity_uuid: str | None = None
    ) -> None:
        super().__init__(api_url, identity_uuid)
        # Unix seconds, by the service's own clock, of the last answer that said.
        self.server_time: float | None = None
        self._token = credential.token
        self._refresh_token = credential.refresh_token
        self._is_expired = bool(credential.expires_at and credential.expires_at < time.time())
        self._renewing = threading.Lock()
        self._deadline = Deadline()
        proxy = find_proxy(api_url, os.environ)
        try:
            self._path = urlsplit(api_url).path
            self._connections = Connections(api_url, proxy, self._deadline, os.environ)
        except (OSError, ValueError) as exc:
            raise NotSentError(
                f"cannot call {self._host}",
                str(exc) or type(exc).__name__,
                "check SSL_CERT_FILE, SSL_CERT_DIR and SSLKEYLOGFILE",
                is_final=True,
            ) from exc

    def __enter__(self) -> "RaviApi":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: "TracebackType | None",
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()

    def __repr__(self) -> str:
        return f"RaviApi({self.api_url!r})"

    def call(
        self,
        method: str,
        path: str,
        body: "Mapping[str, object] | None",
        *,
        timeout_s: float,
        limit: int,
    ) -> "Answer":
        """One call; an access token that has expired is renewed once, and nothing else repeated."""
        if self._is_expired:
            self._renew(self._token, timeout_s)
        token = self._token
        try:
            return self._send(method, path, body, timeout_s, limit)
        except RefusedError as exc:
            if exc.status != 401 or not self._refresh_token:
                raise
        self._renew(token, timeout_s)  # a 401 has changed nothing, so the call may be made again
        return self._send(method, path, body, timeout_s, limit)

    def listen(self, *, timeout_s: float) -> "EventSocket":
        """An open WebSocket for the identity's events; RefusedError where the service has none."""
        from ravi_agent.service.event_socket import EventSocket, check_upgrade, upgrade_headers

        what = f"GET {self._host}/ws/events/"
        asked = upgrade_headers()
        path = f"{self._path.removesuffix('/api')}/ws/events/"
        if self._identity_uuid:
            path = f"{path}?identity={quote(self._identity_uuid, safe='')}"
        self._deadline.set(time.monotonic() + timeout_s)
        wire = self._connections.take(what)
        try:
            answer = self._exchange(wire, "GET", path, asked, None, what)
            if answer.status != 101:
                content = _read(answer, _ERROR_LIMIT, what)
                check_status(answer.status, answer.headers, content, what)
                raise AnswerError(what, f"status {answer.status} for a WebSocket")
            check_upgrade(asked, answer.headers, what)
        except (OSError, HTTPException) as exc:
            wire.close()
            raise failure(exc, what) from exc
        except BaseException:
            wire.close()
            raise
        return EventSocket(wire, self._deadline, what)

    def _renew(self, stale: str, timeout_s: float) -> None:
        """A new access token for `stale`, unless another thread has got one meanwhile."""
        with self._renewing:
            if self._token != stale or not self._refresh_token:
                return
            self._is_expired = False
            answer, _ = self._send(
                "POST",
                "auth/token/refresh/",
                {"refresh": self._refresh_token},
                timeout_s,
                OBJECT_LIMIT,
            )
            access = answer.get("access") if isinstance(answer, dict) else None
            if not isinstance(access, str) or not access.isascii() or not access.isprintable():
                raise AnswerError(
                    "access token not understood", "the field 'access' is not a token"
                )
            self._token = access

    def _exchange(
        self,
        wire: "Wire",
        method: str,
        path: str,
        headers: "Mapping[str, str]",
        body: bytes | None,
        what: str,
    ) -> "HttpAnswer":
        """The answer's head to a request that carries the token."""
        headers = {
            **self._connections.headers,
            **_HEADERS,
            **headers,
            "Authorization": f"Bearer {self._token}",
        }
        target = self._connections.target(quote(path, safe=_SAFE))
        return exchange(wire, method, target, headers, body, what)

    def _send(
        self,
        method: str,
        path: str,
        body: "Mapping[str, object] | None",
        timeout_s: float,
        limit: int,
    ) -> "Answer":
        what = f"{method} {self._host}/api/{path.partition('?')[0]}"
        headers = {"X-Ravi-Identity": self._identity_uuid} if self._identity_uuid else {}
        encoded = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
            encoded = text.encode()
        self._deadline.set(time.monotonic() + timeout_s)
        wire = self._connections.take(what)
        is_reusable = False
        try:
            response = self._exchange(
                wire, method, f"{self._path}/api/{path}", headers, encoded, what
            )
            content = _read(response, limit, what)
            is_reusable = response.leaves_reusable
        except (OSError, HTTPException) as exc:
            raise failure(exc, what) from exc
        finally:
            if is_reusable:
                self._connections.give_back(wire)
            else:
                wire.close()
        self.server_time = unix_time(response.headers.get("date", ""))
        secrets = [text for text in (self._token, self._refresh_token) if text]
        check_status(response.status, response.headers, content, what, secrets)
        if not content:
            return None, 0
        try:
            return json.loads(content), len(content)
        except (ValueError, RecursionError) as exc:
            raise AnswerError(
                what, f"status {response.status} with a body that is not JSON"
            ) from exc


def _read(answer: "HttpAnswer", limit: int, what: str) -> bytes:
    """The body as it was sent; of an error only its beginning, which says enough."""
    is_success = 200 <= answer.status < 300
    encoding = (answer.getheader("content-encoding") or "identity").strip().lower()
    if encoding not in {"", "identity"}:
        if is_success:
            raise AnswerError(what, f"the body is encoded ({encoding[:20]!r}), which was not asked")
        return b""
    if not is_success:
        return answer.read_to(_ERROR_LIMIT)
    if (answer.length or 0) > limit or len(content := answer.read_to(limit)) > limit:
        raise AnswerError(what, f"more than {limit} bytes where few were expected")
    return content
