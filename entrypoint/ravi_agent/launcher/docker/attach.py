"""A container's standard streams, or its log, as one socket."""

import socket
import ssl
from dataclasses import dataclass
from io import BufferedReader
from typing import Any

from ravi_agent.launcher.docker.socket_api import Hijacked, SocketApi

_UPGRADE = {"Connection": "Upgrade", "Upgrade": "tcp"}


@dataclass(frozen=True, kw_only=True)
class Attached:
    """A container's output: a non-blocking socket, and what has been read of it already.

    owner: keeps a TLS socket open as long as it lives. is_chunked: as HTTP sends what has no known
    length. has_past: it begins with the container's first line.
    """

    sock: socket.socket
    early: bytes
    owner: object = None
    is_chunked: bool = False
    has_past: bool = False


def attach(api: SocketApi, container: str, handover: bytes | None) -> Attached:
    """What the container writes from now on; `handover` goes to its standard input.

    Raises the SDK's errors, and OSError.
    """
    params = {"stdin": int(handover is not None), "stdout": 1, "stderr": 1, "stream": 1}
    if api.has_quick_way:
        path = f"/containers/{container}/attach"
        return _hijacked(api.hijack("POST", path, params, headers=_UPGRADE, handover=handover))
    raw = api.attach_socket(container, params=params)
    # The SDK gives a SocketIO over a plain socket, and a TLS socket as it is.
    sock: socket.socket = getattr(raw, "_sock", raw)
    response = raw._response  # noqa: SLF001 - the SDK keeps the connection alive through it
    if handover is not None:
        sock.sendall(handover)  # some hundred bytes: they fit into any buffer
    return _taken(sock, response, is_closed=handover is not None)


def attach_log(api: SocketApi, container: str, *, is_following: bool) -> Attached:
    """All that the container has written; following, also what it writes until it ends.

    Raises the SDK's errors, and OSError.
    """
    params = {"stdout": 1, "stderr": 1, "follow": int(is_following)}
    if api.has_quick_way:
        path = f"/containers/{container}/logs"
        quick = api.hijack("GET", path, params, headers={}, handover=None)
        return _hijacked(quick, has_past=True)
    # The SDK's own `logs` gives no socket, and one thread a container would be too many.
    client: Any = api
    url = client._url("/containers/{0}/logs", container)  # noqa: SLF001
    response = client._get(url, params=params, stream=True)  # noqa: SLF001
    client._raise_for_status(response)  # noqa: SLF001
    raw = client._get_raw_response_socket(response)  # noqa: SLF001
    is_chunked = response.headers.get("Transfer-Encoding", "").lower() == "chunked"
    sock: socket.socket = getattr(raw, "_sock", raw)
    return _taken(sock, response, has_past=True, is_chunked=is_chunked)


def _hijacked(quick: Hijacked, *, has_past: bool = False) -> Attached:
    return Attached(
        sock=quick.sock, early=quick.early, is_chunked=quick.is_chunked, has_past=has_past
    )


def _taken(
    sock: socket.socket,
    response: Any,
    *,
    is_closed: bool = False,
    has_past: bool = False,
    is_chunked: bool = False,
) -> Attached:
    """The socket below a response, for reading alone; is_closed: nothing more will be written."""
    sock.setblocking(False)
    early = _buffered(response.raw._fp.fp)  # noqa: SLF001
    if isinstance(sock, ssl.SSLSocket):  # it can be neither duplicated nor half closed
        return Attached(
            sock=sock, early=early, owner=response, has_past=has_past, is_chunked=is_chunked
        )
    duplicate = sock.dup()  # outlives the HTTP response that owns the original
    if is_closed:
        duplicate.shutdown(socket.SHUT_WR)
    response.close()
    return Attached(sock=duplicate, early=early, has_past=has_past, is_chunked=is_chunked)


class Chunks:
    """What a body in chunks holds (RFC 9112, section 7.1)."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._left = 0  # of the chunk that has begun, with the line end behind it
        self.is_over = False

    def feed(self, data: bytes) -> bytes:
        """The content of what has come. Raises ValueError for what is not a chunk."""
        self._buffer += data
        content = bytearray()
        while not self.is_over:
            if not self._left:
                line, end, _ = self._buffer.partition(b"\r\n")
                if not end:
                    break
                size = int(line.partition(b";")[0], 16)
                del self._buffer[: len(line) + 2]
                self.is_over = size == 0
                self._left = size + 2
            part = self._buffer[: self._left]
            content += part[: max(0, self._left - 2)]
            self._left -= len(part)
            del self._buffer[: len(part)]
            if self._left:
                break
        return bytes(content)


def _buffered(reader: BufferedReader) -> bytes:
    """What came right behind the headers; the socket under the reader does not block."""
    try:
        return reader.peek()
    except ssl.SSLWantReadError:
        return b""
