"""The Docker SDK's client, with a shorter way to an engine's Unix socket.

The SDK keeps a pool of connections for each URL, so for each container and call, and connects anew
for nearly all of them; and its way through `requests` and `urllib3` takes ten times as much of the
processor. Everything else is the SDK's, and the whole way to other engines.
"""

import io
import socket
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException
from typing import Any
from urllib.parse import urlencode

import docker
import requests
from docker.transport.unixconn import UnixHTTPAdapter
from requests.structures import CaseInsensitiveDict

from ravi_agent.launcher.docker.socket_http import Connection, Head, Request

SOCKET_URL = "http+docker://"  # the SDK's own, of a Unix socket
# Of a part of a container's output (Docker Engine API, "Attach to a container").
_HEADER, _STDERR = 8, 2
# What the quick way understands of the arguments of `requests.Session.request`.
_KNOWN = frozenset({"params", "data", "headers", "timeout", "allow_redirects"})


@dataclass(frozen=True, kw_only=True)
class Hijacked:
    """A connection behind the headers of an answer. early: what came with them."""

    sock: socket.socket
    early: bytes
    is_chunked: bool


class Frame(bytes):
    """A part of what a container has written, of standard output or of standard error."""

    is_error = False


class SocketApi(docker.APIClient):
    """The SDK's low-level client. Safe to use from several threads."""

    def __init__(self, **params: Any) -> None:
        self._path: str | None = None
        self._idle: deque[Connection] = deque()  # at most one a thread
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
        request = self._request(method, url, options)
        connection = self._connection()
        try:
            head = connection.ask(request, options.get("timeout"))
            response = _response(url, head, connection.read(head))
        except BaseException as exc:
            connection.close()  # perhaps in the middle of an answer
            _raise_as_requests(exc)
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
        request = self._request(method, url, {"params": params, "headers": headers})
        connection = Connection(str(self._path))
        try:
            head = connection.ask(request, self.timeout)
            if head.status >= HTTPStatus.BAD_REQUEST:
                response = _response(url, head, connection.read(head))
                self._raise_for_status(response)  # type: ignore[attr-defined]
            sock, early = connection.take(handover)
            return Hijacked(sock=sock, early=early, is_chunked=head.is_chunked)
        except BaseException as exc:
            _raise_as_requests(exc)
            raise
        finally:
            connection.close()

    def close(self) -> None:
        super().close()
        while self._idle:
            self._idle.pop().close()

    def _multiplexed_response_stream_helper(self, response: Any) -> Iterator[Frame]:
        """The SDK's own takes the header off and forgets it."""
        client: Any = self
        client._disable_socket_timeout(  # noqa: SLF001
            client._get_raw_response_socket(response)  # noqa: SLF001
        )
        while header := response.raw.read(_HEADER):
            if size := int.from_bytes(header[4:], "big"):
                frame = Frame(response.raw.read(size))
                frame.is_error = header[0] == _STDERR
                yield frame

    def _request(self, method: str, url: str, options: Mapping[str, Any]) -> Request:
        params = {k: v for k, v in (options.get("params") or {}).items() if v is not None}
        data = options.get("data")
        target = url.removeprefix(self.base_url)
        if params:
            target += ("&" if "?" in target else "?") + urlencode(params, doseq=True)
        headers = {"User-Agent": self.headers["User-Agent"], **(options.get("headers") or {})}
        return Request(
            method.upper(),
            target,
            # The SDK has credentials of a registry as bytes.
            {k: v.decode() if isinstance(v, bytes) else v for k, v in headers.items()},
            data.encode() if isinstance(data, str) else data,
        )

    def _connection(self) -> Connection:
        """One that nobody uses and the engine has not left, or a new one."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return Connection(str(self._path))
            if connection.is_usable:
                return connection
            connection.close()


class SocketClient(docker.DockerClient):
    """The SDK's client over such a low-level one."""

    api: SocketApi

    def __init__(self, **params: Any) -> None:
        self.api = SocketApi(**params)


def _response(url: str, head: Head, body: bytes) -> requests.Response:
    response = requests.Response()
    response.raw = io.BytesIO(body)
    response.status_code, response.reason = head.status, head.reason
    response.headers = CaseInsensitiveDict(head.headers)
    response.encoding = "utf-8"  # of JSON, and of an engine's words
    response.url = url
    return response


def _raise_as_requests(exc: BaseException) -> None:
    """Raise what `requests` would for what goes wrong on the way; nothing for other errors."""
    if isinstance(exc, requests.RequestException):
        return
    if isinstance(exc, TimeoutError):
        raise requests.ReadTimeout(exc) from exc
    if isinstance(exc, OSError | HTTPException):
        raise requests.ConnectionError(exc) from exc
