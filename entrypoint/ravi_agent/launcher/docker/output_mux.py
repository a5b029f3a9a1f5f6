"""The output of all containers through one thread, however many there are."""

import os
import selectors
import ssl
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Protocol

from ravi_agent.launcher.docker.attach import Attached
from ravi_agent.launcher.docker.output_stream import Stream
from ravi_agent.launcher.model.events import (
    Event,
    OutputCut,
)

_CHUNK = 64 * 1024  # bytes a read
# Read of one container and not shown yet. More stays in its socket, and then in the container's
# pipe: one that writes without end waits for whoever reads, and takes no memory here.
_UNSHOWN_LIMIT = 64 * 1024  # bytes


class Show(Protocol):
    """Shows whole lines of the container with that index; calls `shown` when it has."""

    def __call__(
        self, index: int, data: bytes, *, is_error: bool, shown: Callable[[], None]
    ) -> None: ...


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
        self._streams: dict[int, Stream] = {}  # the last one of each container
        self._work: deque[Callable[[], None]] = deque()  # for the thread
        self._paused: set[Stream] = set()
        self._is_waiting = True
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="output", daemon=True)
        self._thread.start()

    def add(self, index: int, attached: Attached | None) -> None:
        """Read a new container's output from now on; `OutputCut` is emitted at its end.

        attached: None where the connection has been cut already.
        """

        def work() -> None:
            stream = self._new_stream(index)
            if attached:
                self._connect(stream, attached)
            else:
                self._drop(index)
                self._streams[index] = stream
                self.emit(OutputCut(index=index))

        self._do(work)

    def go_on(
        self, index: int, attached: Attached, *, is_last: bool = False, is_ready: bool = True
    ) -> None:
        """Read on after `OutputCut`, without what has been read already.

        is_last: the container has ended, and `OutputOver` is emitted at the end. is_ready: else its
        entrypoint is at work again.
        """

        def work() -> None:
            stream = self._streams.get(index)
            if stream is None:  # of another launcher's container
                stream = self._new_stream(index)
                stream.has_past = True
            stream.is_last = is_last
            stream.is_ready = stream.is_ready and is_ready
            self._connect(stream, attached)

        self._do(work)

    def finish(self, index: int) -> None:
        """Nothing more can be read of a container: emit `OutputOver`."""

        def work() -> None:
            self._close(self._streams.get(index) or self._new_stream(index))

        self._do(work)

    def _new_stream(self, index: int) -> Stream:
        return Stream(index, self.emit, self._pass_on)

    def _pass_on(self, stream: Stream, data: bytes, is_error: bool) -> None:
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
                self._do(lambda: self._register(stream))

        self._show(stream.index, data, is_error=is_error, shown=shown)

    def hurry(self) -> None:
        """Read to the end from now on, whether it is shown or not."""
        with self._lock:
            self._is_waiting = False
            paused, self._paused = self._paused, set()
            for stream in paused:
                stream.is_paused = False
        for stream in paused:
            self._work.append(partial(self._register, stream))
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

    def _do(self, work: Callable[[], None]) -> None:
        self._work.append(work)
        self._wake()

    def _wake(self) -> None:
        with self._lock:
            if self._wake_write >= 0:
                try:
                    os.write(self._wake_write, b"\0")
                except BlockingIOError:
                    return  # it is full: the thread is going to look

    def _connect(self, stream: Stream, attached: Attached) -> None:
        self._drop(stream.index)
        self._streams[stream.index] = stream
        try:
            stream.connect(attached)
        except ValueError:  # no answer of an engine
            self._end(stream)
            return
        if stream.is_over:
            self._end(stream)
        else:
            self._register(stream)

    def _drop(self, index: int) -> None:
        before = self._streams.get(index)
        if before:
            self._unregister(before)
            before.disconnect()

    def _register(self, stream: Stream) -> None:
        if stream.attached and stream.attached.sock.fileno() not in self._selector.get_map():
            self._selector.register(stream.attached.sock, selectors.EVENT_READ, stream)

    def _unregister(self, stream: Stream) -> None:
        if stream.attached and stream.attached.sock.fileno() in self._selector.get_map():
            self._selector.unregister(stream.attached.sock)
        with self._lock:
            stream.is_paused = False
            self._paused.discard(stream)

    def _end(self, stream: Stream) -> None:
        """A connection is over."""
        if stream.is_last:
            self._close(stream)
            return
        self._unregister(stream)
        stream.disconnect()
        self.emit(OutputCut(index=stream.index))

    def _close(self, stream: Stream) -> None:
        self._unregister(stream)
        self._streams.pop(stream.index, None)
        stream.close()

    def _run(self) -> None:
        while not self._is_closing:
            for key, _ in self._selector.select():
                if key.data is None:
                    os.read(self._wake_read, _CHUNK)
                    while self._work:
                        self._work.popleft()()
                elif key.fd in self._selector.get_map():  # else it has been left just now
                    self._read(key.data)
        for stream in self._streams.values():
            stream.disconnect()

    def _read(self, stream: Stream) -> None:
        attached = stream.attached
        if attached is None:
            return
        try:
            data = attached.sock.recv(_CHUNK)
            # TLS decrypts whole records: what is left of one shows on no selector.
            while data and isinstance(attached.sock, ssl.SSLSocket) and attached.sock.pending():
                data += attached.sock.recv(_CHUNK)
            stream.feed(data)
        except (BlockingIOError, ssl.SSLWantReadError):
            return
        except (OSError, ValueError):  # the engine went away
            data = b""
        if not data or stream.is_over:
            self._end(stream)
            return
        with self._lock:
            is_paused = self._is_waiting and stream.unshown > _UNSHOWN_LIMIT
            stream.is_paused = is_paused
            if is_paused:
                self._paused.add(stream)
        if is_paused:
            self._selector.unregister(attached.sock)
