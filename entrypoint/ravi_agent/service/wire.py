"""A connection of which every read and write ends at the deadline of the thread's call."""

import io
from functools import partial

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable
    from typing import Any

    from ravi_agent.service.deadline import Deadline

_READ_BYTES = 64 * 1024
_WRITE_BYTES = 16 * 1024  # at a time, with a look at the clock after each


class Wire:
    """A connected socket, and TLS over it once `start_tls` was called; reads through a buffer.

    Raises OSError, a TimeoutError at the deadline. For one thread at a time.
    """

    def __init__(self, sock: "socket.socket", deadline: "Deadline") -> None:
        self._socket = sock
        self._layer: _Tcp | _Tls = _Tcp(sock, deadline)
        self._is_waiting = True
        self._has_heard = False
        self._reader = io.BufferedReader(_Raw(self._fill), _READ_BYTES)

    def start_tls(self, context: "ssl.SSLContext", host: str) -> None:
        """Encrypt what follows, over TLS also where there is TLS to a proxy already."""
        self._layer = _Tls(self._layer, context, host)

    def read(self, size: int) -> bytes:
        """What has come, once something has; nothing once the peer has hung up."""
        return self._reader.read1(size)

    def sendall(self, data: bytes) -> None:
        """Send it."""
        self._layer.send(data)

    def makefile(self, _mode: str) -> "_AnswerFile":
        """For one answer to be read from, as `http.client` asks of a socket."""
        return _AnswerFile(self._reader)

    def is_silent(self) -> bool:
        """Whether the peer has neither said what was not asked for nor hung up; waits for nothing.

        A connection that is not would give the next request another one's answer, or none.
        """
        self._is_waiting, self._has_heard = False, False
        try:
            return not self._reader.peek(1) and not self._has_heard
        except OSError:
            return False
        finally:
            self._is_waiting = True

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _fill(self, buffer: memoryview) -> int | None:
        data = self._layer.receive(len(buffer), is_waiting=self._is_waiting)
        if data is None:
            return None
        self._has_heard = True
        buffer[: len(data)] = data
        return len(data)


class _Raw(io.RawIOBase):
    """What io.BufferedReader reads from."""

    def __init__(self, fill: "Callable[[memoryview], int | None]") -> None:
        self._fill = fill

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "Any") -> int | None:
        return self._fill(buffer)


class _AnswerFile:
    """One answer's share of a connection: closing it leaves the connection open."""

    def __init__(self, reader: "io.BufferedReader[_Raw]") -> None:
        self._reader = reader
        self._is_begun = False

    def readline(self, limit: int) -> bytes:
        """A line, or its first `limit` bytes; nothing where the peer hangs up without an answer."""
        line = self._reader.readline(limit)
        if not line.endswith(b"\n") and len(line) < limit and (line or self._is_begun):
            raise ConnectionError("the connection was closed in the middle of the answer")
        self._is_begun = True
        return line

    def read(self, size: int) -> bytes:
        if size < 0:  # a chunk of negative size: it would be all that ever comes
            raise ConnectionError("the answer has a chunk of negative size")
        return self._reader.read(size)

    def flush(self) -> None:
        """As io.IOBase has it."""

    def close(self) -> None:
        """As io.IOBase has it."""


class _Tcp:
    def __init__(self, sock: "socket.socket", deadline: "Deadline") -> None:
        self._socket = sock
        self._deadline = deadline

    def receive(self, size: int, *, is_waiting: bool = True) -> bytes | None:
        """Up to `size` bytes, none at the end; None where nothing has come and nobody waits."""
        self._socket.settimeout(self._deadline.left_s() if is_waiting else 0)
        try:
            return self._socket.recv(size)
        except BlockingIOError:
            return None

    def send(self, data: bytes) -> None:
        for start in range(0, len(data), _WRITE_BYTES):
            self._socket.settimeout(self._deadline.left_s())
            self._socket.sendall(data[start : start + _WRITE_BYTES])


class _Tls:
    """TLS over a connection of any kind, for `SSLContext.wrap_socket` knows sockets alone."""

    def __init__(self, below: "_Tcp | _Tls", context: "ssl.SSLContext", host: str) -> None:
        import ssl  # only who calls an https:// service waits for it

        self._below = below
        self._is_hungry: type[Exception] = ssl.SSLWantReadError
        self._is_over: type[Exception] = ssl.SSLEOFError
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        # As bytes, for the reason that `deadline` names.
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host.encode())
        try:
            self._run(self._tls.do_handshake)
        except ssl.SSLError:
            try:
                self._flush()  # an alert that says why
            except OSError:
                pass  # the peer does not listen any more
            raise

    def receive(self, size: int, *, is_waiting: bool = True) -> bytes | None:
        try:
            data: bytes | None = self._run(partial(self._tls.read, size), is_waiting=is_waiting)
        except self._is_over:
            return b""  # hung up without a farewell; whether that was too early, HTTP knows
        return data

    def send(self, data: bytes) -> None:
        for start in range(0, len(data), _WRITE_BYTES):
            piece = data[start : start + _WRITE_BYTES]
            self._run(partial(self._tls.write, piece))

    def _run(self, step: "Callable[[], Any]", *, is_waiting: bool = True) -> "Any":
        """The result of a step, once the peer has sent what it needs; None if nobody waits."""
        while True:
            try:
                result = step()
            except self._is_hungry:
                self._flush()
            else:
                self._flush()
                return result
            data = self._below.receive(_READ_BYTES, is_waiting=is_waiting)
            if data is None:
                return None
            if data:
                self._incoming.write(data)
            else:
                self._incoming.write_eof()

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._below.send(self._outgoing.read())
