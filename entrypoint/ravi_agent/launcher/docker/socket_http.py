"""HTTP/1.1 over a Unix socket, as little of it as an engine's client needs (RFC 9112).

`http.client` reads the head of an answer with the parser of mail headers, which takes more than
half of a call's processor time.
"""

import select
import socket
from collections.abc import Mapping
from http import HTTPStatus
from http.client import HTTPException
from typing import NamedTuple

_LINE_LIMIT = 64 * 1024
_HEADERS_LIMIT = 200
_NO_BODY = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}


class Request(NamedTuple):
    """target: path and query. headers: besides `Host` and `Content-Length`."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes | None

    def to_bytes(self) -> bytes:
        """Raises HTTPException for what would be more than one request."""
        lines = [f"{self.method} {self.target} HTTP/1.1", "Host: localhost"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.body is not None:
            lines.append(f"Content-Length: {len(self.body)}")
        elif self.method != "GET":
            lines.append("Content-Length: 0")
        if any(not (line.isascii() and line.isprintable()) for line in lines):
            raise HTTPException("a character that no request may have")
        return "\r\n".join([*lines, "", ""]).encode() + (self.body or b"")


class Head(NamedTuple):
    """The first lines of an answer; the names of headers are in lower case."""

    status: int
    reason: str
    headers: dict[str, str]

    @property
    def is_chunked(self) -> bool:
        """Whether the body comes in chunks."""
        return self.headers.get("transfer-encoding", "").lower() == "chunked"


class Connection:
    """One connection; it connects with the first request. For one thread at a time.

    Its methods raise OSError and HTTPException, and it is of no use behind them.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._reader = self._socket.makefile("rb")
        self._is_connected = self._is_over = False
        self._method = ""

    @property
    def is_usable(self) -> bool:
        """Whether the engine waits for a request: what can be read now is the end."""
        if self._is_over:
            return False
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return not poll.poll(0)

    def ask(self, request: Request, timeout_s: float | None) -> Head:
        """Send a request and read the head of its answer, past every interim one."""
        data = request.to_bytes()
        self._socket.settimeout(timeout_s)
        if not self._is_connected:
            self._socket.connect(self._path)
            self._is_connected = True
        self._is_over = True  # until the whole answer has been read
        self._method = request.method
        self._socket.sendall(data)
        head = self._head()
        while head.status < HTTPStatus.OK and head.status != HTTPStatus.SWITCHING_PROTOCOLS:
            head = self._head()
        return head

    def read(self, head: Head) -> bytes:
        """The body behind a head."""
        length = head.headers.get("content-length")
        if head.status in _NO_BODY or self._method == "HEAD":
            body = b""
        elif head.is_chunked:
            body = b"".join(iter(self._chunk, b""))
            while self._line():  # trailers
                continue
        elif length is None:
            return self._reader.read()
        else:
            body = self._exactly(_number(length, 10))
        self._is_over = "close" in head.headers.get("connection", "").lower()
        return body

    def take(self, handover: bytes | None) -> tuple[socket.socket, bytes]:
        """The socket behind a head, and what has come with that; the socket does not block.

        handover: all that is written to it.
        """
        if handover is not None:
            self._socket.sendall(handover)
            self._socket.shutdown(socket.SHUT_WR)
        self._socket.setblocking(False)
        early = self._reader.peek()
        return self._socket.dup(), early  # outlives this connection

    def close(self) -> None:
        """Hang up."""
        self._reader.close()
        self._socket.close()

    def _head(self) -> Head:
        version, _, rest = self._line().partition(" ")
        status, _, reason = rest.partition(" ")
        if not (version.startswith("HTTP/1.") and len(status) == 3):
            raise HTTPException("what came is not an answer")
        headers: dict[str, str] = {}
        while line := self._line():
            name, colon, value = line.partition(":")
            if not colon or len(headers) == _HEADERS_LIMIT:
                raise HTTPException("the head of an answer does not end")
            headers[name.lower()] = value.strip()
        return Head(_number(status, 10), reason, headers)

    def _line(self) -> str:
        line = self._reader.readline(_LINE_LIMIT)
        if not line:
            raise ConnectionResetError("the connection was closed without an answer")
        if not line.endswith(b"\n"):
            raise HTTPException("a line of an answer does not end")
        return line.rstrip(b"\r\n").decode("latin-1")

    def _chunk(self) -> bytes:
        size = _number(self._line().partition(";")[0], 16)
        chunk = self._exactly(size)
        if size and self._line():
            raise HTTPException("a chunk is longer than it says")
        return chunk

    def _exactly(self, size: int) -> bytes:
        data = self._reader.read(size)
        if len(data) < size:
            raise ConnectionResetError("the connection was closed in the middle of an answer")
        return data


def _number(text: str, base: int) -> int:
    try:
        return int(text.strip(), base)
    except ValueError:
        raise HTTPException("a number of an answer is none") from None
