"""Ravi's REST API over HTTP: one attempt a call, every failure sorted by what it means.

Whether to try again is decided by `provision`, which knows what a call costs. The one module
that imports httpx.
"""

import json
import os
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import httpcore
import httpx

from ravi_agent.credential import Credential
from ravi_agent.errors import (
    AnswerError,
    NotSentError,
    OutcomeUnknownError,
    RaviError,
    RefusedError,
)
from ravi_agent.service.calls import OBJECT_LIMIT, Answer, Calls
from ravi_agent.service.deadline import Deadline, DeadlineBackend
from ravi_agent.service.event_socket import EventSocket, check_upgrade, upgrade_headers
from ravi_agent.service.proxy import Proxy, find_proxy
from ravi_agent.service.status import check_status, unix_time

_ERROR_LIMIT = 64 * 1024  # bytes of an error that are read


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
            self._client = httpx.Client(
                base_url=f"{api_url}/api/",
                headers={
                    "Accept": "application/json",
                    # A small packed answer can fill the memory once it is unpacked.
                    "Accept-Encoding": "identity",
                    "User-Agent": "ravi-agent-base",
                },
                transport=_Transport(api_url, proxy, self._deadline),
                trust_env=False,
            )
        except (OSError, ValueError, httpx.InvalidURL) as exc:
            raise NotSentError(
                f"cannot call {self._host}",
                str(exc) or type(exc).__name__,
                "check SSL_CERT_FILE and SSL_CERT_DIR",
                is_final=True,
            ) from exc

    def __enter__(self) -> "RaviApi":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __repr__(self) -> str:
        return f"RaviApi({self.api_url!r})"

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None,
        *,
        timeout_s: float,
        limit: int,
    ) -> Answer:
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

    def listen(self, *, timeout_s: float) -> EventSocket:
        """An open WebSocket for the identity's events; RefusedError where the service has none."""
        what = f"GET {self._host}/ws/events/"
        headers = upgrade_headers()
        self._deadline.set(time.monotonic() + timeout_s)
        try:
            request = self._client.build_request(
                "GET",
                f"{self.api_url.removesuffix('/api')}/ws/events/",
                params={"identity": self._identity_uuid} if self._identity_uuid else None,
                headers={**headers, "Authorization": f"Bearer {self._token}"},
            )
            response = self._client.send(request, stream=True)
            try:
                if response.status_code != 101:
                    content = _read(response, _ERROR_LIMIT, what)
                    check_status(response.status_code, response.headers, content, what)
                    raise AnswerError(what, f"status {response.status_code} for a WebSocket")
                check_upgrade(headers, response.headers, what)
            except BaseException:
                response.close()
                raise
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise _failure(exc, what) from exc
        stream = response.extensions["network_stream"]
        return EventSocket(stream, self._deadline, what, response.close)

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

    def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None,
        timeout_s: float,
        limit: int,
    ) -> Answer:
        what = f"{method} {self._host}/api/{path.partition('?')[0]}"
        headers = {"Authorization": f"Bearer {self._token}"}
        if self._identity_uuid:
            headers["X-Ravi-Identity"] = self._identity_uuid
        self._deadline.set(time.monotonic() + timeout_s)
        try:
            request = self._client.build_request(
                method, path, json=body, headers=headers, timeout=timeout_s
            )
            response = self._client.send(request, stream=True)
            try:
                content = _read(response, limit, what)
            finally:
                response.close()
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise _failure(exc, what) from exc
        self.server_time = unix_time(response.headers.get("date", ""))
        secrets = [text for text in (self._token, self._refresh_token) if text]
        check_status(response.status_code, response.headers, content, what, secrets)
        if not content:
            return None, 0
        try:
            return json.loads(content), len(content)
        except (ValueError, RecursionError) as exc:
            raise AnswerError(
                what, f"status {response.status_code} with a body that is not JSON"
            ) from exc


class _Transport(httpx.HTTPTransport):
    """httpx's own, over connections that keep the deadline."""

    def __init__(self, api_url: str, proxy: Proxy | None, deadline: Deadline) -> None:
        is_encrypted = api_url.startswith("https:") or (proxy and proxy.url.startswith("https:"))
        # Reading the CA bundle takes 30 ms, which a plain connection need not wait for.
        context = httpx.create_ssl_context() if is_encrypted else None
        limits = httpx.Limits(max_connections=100, max_keepalive_connections=20)
        kept: dict[str, Any] = {
            "ssl_context": context,
            "max_connections": limits.max_connections,
            "max_keepalive_connections": limits.max_keepalive_connections,
            "keepalive_expiry": limits.keepalive_expiry,
            "network_backend": DeadlineBackend(deadline),
        }
        if proxy is None:
            self._pool = httpcore.ConnectionPool(**kept)
            return
        auth = None
        if proxy.credentials:
            user, password = proxy.credentials
            auth = (user.encode(), password.encode())
        self._pool = httpcore.HTTPProxy(
            proxy.url, proxy_auth=auth, proxy_ssl_context=context, **kept
        )


def _read(response: httpx.Response, limit: int, what: str) -> bytes:
    """The body as it was sent; of an error only its beginning, which says enough."""
    is_success = 200 <= response.status_code < 300
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"", "identity"}:
        if is_success:
            raise AnswerError(what, f"the body is encoded ({encoding[:20]!r}), which was not asked")
        return b""
    if not is_success:
        limit = _ERROR_LIMIT
    declared = response.headers.get("content-length", "")
    too_much = AnswerError(what, f"more than {limit} bytes where few were expected")
    if is_success and declared.isdecimal() and int(declared) > limit:
        raise too_much
    content = bytearray()
    for chunk in response.iter_raw():
        content += chunk
        if len(content) > limit:
            if is_success:
                raise too_much
            break
    return bytes(content)


def _failure(exc: Exception, what: str) -> RaviError:
    """What an httpx error means for whether the request was carried out."""
    cause: BaseException | None = exc
    while cause is not None:
        # ssl is loaded by httpx already; its name is enough and spares naming a second module.
        if type(cause).__name__ == "SSLCertVerificationError":
            return NotSentError(
                what,
                f"the certificate does not verify: {getattr(cause, 'verify_message', cause)}",
                "set SSL_CERT_FILE to the CA that signed it",
                is_final=True,
            )
        cause = cause.__cause__ or cause.__context__
    if isinstance(exc, httpx.ConnectTimeout):
        return NotSentError(what, str(exc) or "no connection in time")
    if isinstance(exc, httpx.ConnectError | httpx.PoolTimeout | httpx.ProxyError):
        return NotSentError(what, str(exc) or "no connection")
    if isinstance(exc, httpx.UnsupportedProtocol | httpx.InvalidURL):
        return NotSentError(what, str(exc), is_final=True)
    if isinstance(exc, httpx.TimeoutException):
        return OutcomeUnknownError(what, "no answer in time", may_still_run=True)
    return OutcomeUnknownError(what, str(exc) or type(exc).__name__)
