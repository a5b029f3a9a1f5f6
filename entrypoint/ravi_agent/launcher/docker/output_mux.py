"""The output of all containers through one thread, however many there are."""

import os
import selectors
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from ravi_agent import contract
from ravi_agent.launcher.docker.attach import Attached
from ravi_agent.launcher.model.agents import KEPT_LINES, EntrypointFailed, Event, OutputOver, Ready
from ravi_agent.launcher.model.lines import Lines

_CHUNK = 64 * 1024  # bytes a read
# Read of one container and not shown yet. More stays in its socket, and then in the container's
# pipe: one that writes without end waits for whoever reads, and takes no memory here.
_UNSHOWN_LIMIT = 64 * 1024  # bytes
_KEPT_BYTES = 1024  # of each of an agent's last lines
_STDERR = 2
_READY_PREFIX = contract.READY_PREFIX.encode()
_ERROR_PREFIX = b"ravi-entrypoint: error: "


class Show(Protocol):
    """Shows whole lines of the container with that index; calls `shown` when it has."""

    def __call__(
        self, index: int, data: bytes, *, is_error: bool, shown: Callable[[], None]
    ) -> None: ...


class _Stream:
    """One attached container: Docker's multiplexed stream, cut into lines.

    Each frame is a header (1 byte stream, 3 zero bytes, 4 bytes length, big-endian) and that
    many bytes (Docker Engine API, "Attach to a container").
    """

    def __init__(
        self,
        mux: "OutputMux",
        index: int,
        attached: Attached,
        *,
        is_ready: bool = False,
        has_past: bool = False,
    ) -> None:
        self.sock = attached.sock
        self.index = index
        self.unshown = 0  # bytes; guarded by the mux's lock
        self.is_paused = False
        self._mux = mux
        self._owner = attached.owner
        self._is_ready = is_ready
        self._has_past = has_past
        self._buffer = bytearray()
        self._lines = {1: Lines(), _STDERR: Lines()}
        self._last: deque[bytes] = deque(maxlen=KEPT_LINES)

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
        for stream, lines in self._lines.items():
            if rest := lines.end():
                self._pass_on(stream, rest)
        self.sock.close()
        self._owner = None
        last = tuple(line.decode(errors="replace") for line in self._last)
        self._mux.emit(OutputOver(index=self.index, last_lines=last))

    def _add(self, stream: int, payload: bytearray) -> None:
        if whole := self._lines.setdefault(stream, Lines()).feed(bytes(payload)):
            self._pass_on(stream, whole)

    def _pass_on(self, stream: int, data: bytes) -> None:
        if stream == _STDERR:
            data = self._listen(data)
        if data:
            last = data.removesuffix(b"\n").rsplit(b"\n", KEPT_LINES)[-KEPT_LINES:]
            self._last.extend(line[:_KEPT_BYTES] for line in last)
            self._mux.show(self, data, is_error=stream == _STDERR)

    def _listen(self, data: bytes) -> bytes:
        """Hear what the entrypoint says to the launcher; the rest is for people.

        Once the agent may have started, it can write the same lines, and nothing is heard any more.
        """
        if self._is_ready:
            return data
        kept = []
        for line in data.splitlines(keepends=True):
            if line.startswith(_READY_PREFIX) and not self._is_ready:
                self._is_ready = True
                ready = Ready(index=self.index, line=line.rstrip(b"\n"), at=time.monotonic())
                self._mux.emit(ready)
                continue
            if line.startswith(_ERROR_PREFIX) and not self._is_ready and not self._has_past:
                text = line.removeprefix(_ERROR_PREFIX).decode(errors="replace").rstrip("\n")
                self._mux.emit(EntrypointFailed(index=self.index, error=text))
            kept.append(line)
        return b"".join(kept)


class OutputMux:
    """Reads every attached socket in one thread, as fast as its output is shown.

    What control has to know of the output goes to `emit` as events; all of it goes to `show`.
    """

    def __init__(self, emit: Callable[[Event], None], show: Show) -> None:
        self.emit = emit
        self._show = show
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._lock = threading.Lock()
        self._ready: deque[_Stream] = deque()  # to be read from now on, or again
        self._paused: set[_Stream] = set()
        self._is_waiting = True
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="output", daemon=True)
        self._thread.start()

    def add(
        self, index: int, attached: Attached, *, is_ready: bool = False, has_past: bool = False
    ) -> None:
        """Read this from now on; it is closed at its end.

        is_ready: its agent has started. has_past: it may have, and its log begins somewhere.
        """
        stream = _Stream(self, index, attached, is_ready=is_ready, has_past=has_past)
        stream.feed(attached.early)
        self._ready.append(stream)
        self._wake()

    def show(self, stream: _Stream, data: bytes, *, is_error: bool) -> None:
        """Have lines shown, and know when they have been."""
        size = len(data)
        with self._lock:
            stream.unshown += size

        def shown() -> None:
            with self._lock:
                stream.unshown -= size
                is_wanted = stream.is_paused and stream.unshown <= _UNSHOWN_LIMIT // 2
                if is_wanted:
                    stream.is_paused = False
                    self._paused.discard(stream)
            if is_wanted:
                self._ready.append(stream)
                self._wake()

        self._show(stream.index, data, is_error=is_error, shown=shown)

    def hurry(self) -> None:
        """Read to the end from now on, whether it is shown or not."""
        with self._lock:
            self._is_waiting = False
            paused, self._paused = self._paused, set()
            for stream in paused:
                stream.is_paused = False
        self._ready.extend(paused)
        self._wake()

    def close(self) -> None:
        """Drop what is still open and end the thread."""
        self._is_closing = True
        self._wake()
        self._thread.join()
        self._selector.close()
        os.close(self._wake_read)
        with self._lock:
            os.close(self._wake_write)
            self._wake_write = -1

    def _wake(self) -> None:
        with self._lock:
            if self._wake_write >= 0:
                try:
                    os.write(self._wake_write, b"\0")
                except BlockingIOError:
                    return  # it is full: the thread is going to look

    def _run(self) -> None:
        while not self._is_closing:
            for key, _ in self._selector.select():
                if key.data is None:
                    os.read(self._wake_read, _CHUNK)
                    while self._ready:
                        stream = self._ready.popleft()
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
        if not data:
            self._selector.unregister(stream.sock)
            stream.close()
            return
        stream.feed(data)
        with self._lock:
            is_paused = self._is_waiting and stream.unshown > _UNSHOWN_LIMIT
            stream.is_paused = is_paused
            if is_paused:
                self._paused.add(stream)
        if is_paused:
            self._selector.unregister(stream.sock)
