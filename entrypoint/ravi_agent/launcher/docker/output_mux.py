"""The output of all containers through one thread, however many there are."""

import os
import selectors
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable

from ravi_agent.launcher.docker.attach import Attached
from ravi_agent.launcher.model.agents import Event, Output, OutputOver

_CHUNK = 64 * 1024  # bytes a read
_LINE_LIMIT = 64 * 1024  # a line without an end is cut here
_STDERR = 2


class _Stream:
    """One attached container: Docker's multiplexed stream, cut into lines.

    Each frame is a header (1 byte stream, 3 zero bytes, 4 bytes length, big-endian) and that
    many bytes (Docker Engine API, "Attach to a container").
    """

    def __init__(self, index: int, attached: Attached, emit: Callable[[Event], None]) -> None:
        self.sock = attached.sock
        self.index = index
        self._owner = attached.owner
        self._emit = emit
        self._buffer = bytearray()
        self._lines = {1: bytearray(), _STDERR: bytearray()}

    def feed(self, data: bytes) -> None:
        self._buffer += data
        start = 0
        while len(self._buffer) - start >= 8:
            end = start + 8 + int.from_bytes(self._buffer[start + 4 : start + 8], "big")
            if len(self._buffer) < end:
                break
            self._add(self._buffer[start], self._buffer[start + 8 : end])
            start = end
        del self._buffer[:start]

    def close(self) -> None:
        for stream, rest in self._lines.items():
            if rest:
                self._line(stream, bytes(rest))
        self.sock.close()
        self._owner = None
        self._emit(OutputOver(index=self.index))

    def _add(self, stream: int, payload: bytearray) -> None:
        rest = self._lines.setdefault(stream, bytearray())
        rest += payload
        *lines, last = rest.split(b"\n")
        for line in lines:
            self._line(stream, bytes(line))
        if len(last) > _LINE_LIMIT:
            self._line(stream, bytes(last))
            last = bytearray()
        self._lines[stream] = last

    def _line(self, stream: int, line: bytes) -> None:
        self._emit(
            Output(index=self.index, line=line, is_error=stream == _STDERR, at=time.monotonic())
        )


class OutputMux:
    """Reads every attached socket in one thread and passes on what it hears as events."""

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self._emit = emit
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe()
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._new: deque[_Stream] = deque()
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="output", daemon=True)
        self._thread.start()

    def add(self, index: int, attached: Attached) -> None:
        """Read this from now on; it is closed at its end."""
        stream = _Stream(index, attached, self._emit)
        stream.feed(attached.early)
        self._new.append(stream)
        os.write(self._wake_write, b"\0")

    def close(self) -> None:
        """Drop what is still open and end the thread."""
        self._is_closing = True
        os.write(self._wake_write, b"\0")
        self._thread.join()
        self._selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _run(self) -> None:
        while not self._is_closing:
            for key, _ in self._selector.select():
                if key.data is None:
                    os.read(self._wake_read, _CHUNK)
                    while self._new:
                        stream = self._new.popleft()
                        self._selector.register(stream.sock, selectors.EVENT_READ, stream)
                else:
                    self._read(key.data)
        for key in list(self._selector.get_map().values()):
            if key.data is not None:
                key.data.sock.close()

    def _read(self, stream: _Stream) -> None:
        try:
            data = stream.sock.recv(_CHUNK)
            # TLS decrypts whole records: what is left of one shows on no selector.
            while data and isinstance(stream.sock, ssl.SSLSocket) and stream.sock.pending():
                data += stream.sock.recv(_CHUNK)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        except OSError:  # the engine went away
            data = b""
        if data:
            stream.feed(data)
        else:
            self._selector.unregister(stream.sock)
            stream.close()
