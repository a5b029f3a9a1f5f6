"""The Docker SDK's client, with a shorter way to an engine's Unix socket.

The SDK keeps a pool of connections for each URL, so for each container and call, and connects anew
for nearly all of them; and its way through `requests` and `urllib3` takes five times as much of the
processor as `http.client` alone. Everything else is the SDK's, and the whole way to other engines.
"""

import io
import select
import socket
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any
from urllib.parse import urlencode

import docker
import requests
from docker.transport.unixconn import UnixHTTPAdapter
from requests.structures import CaseInsensitiveDict

SOCKET_URL = "http+docker://"  # the SDK's own, of a Unix socket
# What the quick way understands of the arguments of `requests.Session.request`.
_KNOWN = frozenset({"params", "data", "headers", "timeout", "allow_redirects"})


@dataclass(frozen=True, kw_only=True)
class Hijacked:
    """A connection behind the headers of an answer. early: what came with them."""

    sock: socket.socket
    early: bytes
    is_chunked: bool


class SocketApi(docker.APIClient):
    """The SDK's low-level client. Safe to use from several threads."""

    def __init__(self, **params: Any) -> None:
        self._path: str | None = None
        self._idle: deque[_Connection] = deque()  # at most one a thread
        super().__init__(**params)
        if self.base_url.startswith(SOCKET_URL):
            # No proxy and no ~/.netrc counts there, and `requests` looks for both at every call.
            self.trust_env = False
            adapter = self.get_adapter(SOCKET_URL)
            self._path = adapter.socket_path if isinstance(adapter, UnixHTTPAdapter) else None

    @property
    def has_quick_way(self) -> bool:
        """Whether the engine is at a Unix socket."""
        return self._path is not None

    def request(self, method: Any, url: Any, *rest: Any, **options: Any) -> requests.Response:
        """Raises requests.ConnectionError, requests.ReadTimeout."""
        data = options.get("data")
        is_known = not rest and isinstance(data, str | bytes | None)
        known = {name for name, value in options.items() if value is not None}
        if not (self.has_quick_way and is_known and _KNOWN.issuperset(known)):
            return super().request(method, url, *rest, **options)
        request = self._prepared(method, url, options)
        connection = self._connection()
        try:
            answer = connection.ask(request, options.get("timeout"))
            response = _response(request, answer)
        except BaseException as exc:
            connection.close()  # perhaps in the middle of an answer
            _raise_as_requests(exc, request)
            raise
        self._idle.append(connection)
        return response

    def hijack(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any],
        *,
        headers: Mapping[str, str],
        handover: bytes | None,
    ) -> Hijacked:
        """Ask for what has no end yet; its caller reads it as it comes.

        handover: all that is written to it. Raises docker.errors.APIError,
        requests.ConnectionError and requests.ReadTimeout.
        """
        url = f"{self.base_url}/v{self.api_version}{path}"
        request = self._prepared(method, url, {"params": params, "headers": headers})
        connection = _Connection(str(self._path))
        try:
            answer = connection.ask(request, self.timeout)
            if answer.status >= 400:
                self._raise_for_status(_response(request, answer))  # type: ignore[attr-defined]
            return connection.taken(answer, handover)
        except BaseException as exc:
            _raise_as_requests(exc, request)
            raise
        finally:
            connection.close()

    def close(self) -> None:
        super().close()
        while self._idle:
            self._idle.pop().close()

    def _prepared(
        self, method: str, url: str, options: Mapping[str, Any]
    ) -> requests.PreparedRequest:
        params = {k: v for k, v in (options.get("params") or {}).items() if v is not None}
        data = options.get("data")
        prepared = requests.PreparedRequest()
        prepared.method = method.upper()
        prepared.url = f"{url}?{urlencode(params, doseq=True)}" if params else url
        own = {"User-Agent": str(self.headers["User-Agent"])}
        prepared.headers = CaseInsensitiveDict({**own, **(options.get("headers") or {})})
        prepared.body = data.encode() if isinstance(data, str) else data
        return prepared

    def _connection(self) -> "_Connection":
        """One that nobody uses and the engine has not left, or a new one."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return _Connection(str(self._path))
            if connection.is_usable:
                return connection
            connection.close()


class SocketClient(docker.DockerClient):
    """The SDK's client over such a low-level one."""

    api: SocketApi

    def __init__(self, **params: Any) -> None:
        self.api = SocketApi(**params)


class _Connection(HTTPConnection):
    """One connection to the socket; it connects with the first request."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)

    @property
    def is_usable(self) -> bool:
        """Whether the engine waits for a request: what can be read now is the end."""
        if self.sock is None:  # the engine said that it would close it
            return False
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return not poll.poll(0)

    def ask(self, request: requests.PreparedRequest, timeout_s: float | None) -> HTTPResponse:
        """Raises OSError, HTTPException."""
        self.timeout = timeout_s
        if self.sock:
            self.sock.settimeout(timeout_s)
        headers = dict(request.headers)
        self.request(str(request.method), request.path_url, request.body, headers)
        # A connection that ends with its answer is closed as soon as that is read.
        self.asked = self.sock
        return self.getresponse()

    def taken(self, answer: HTTPResponse, handover: bytes | None) -> Hijacked:
        """The socket below an answer, for whoever reads it; it does not block."""
        if handover is not None:
            self.asked.sendall(handover)
            self.asked.shutdown(socket.SHUT_WR)
        self.asked.setblocking(False)
        early = answer.fp.peek()
        sock = self.asked.dup()  # outlives the answer, which owns the original
        answer.close()
        return Hijacked(sock=sock, early=early, is_chunked=bool(answer.chunked))


def _response(request: requests.PreparedRequest, answer: HTTPResponse) -> requests.Response:
    response = requests.Response()
    response.raw = io.BytesIO(answer.read())
    response.status_code, response.reason = answer.status, answer.reason
    response.headers = CaseInsensitiveDict(answer.getheaders())
    response.encoding = "utf-8"  # of JSON, and of an engine's words
    response.request, response.url = request, str(request.url)
    return response


def _raise_as_requests(exc: BaseException, request: requests.PreparedRequest) -> None:
    """Raise what `requests` would for what goes wrong on the way; nothing for other errors."""
    if isinstance(exc, requests.RequestException):
        return
    if isinstance(exc, TimeoutError):
        raise requests.ReadTimeout(exc, request=request) from exc
    if isinstance(exc, OSError | HTTPException):
        raise requests.ConnectionError(exc, request=request) from exc
