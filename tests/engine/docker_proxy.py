"""A proxy before an engine's socket that does what proxies, tunnels and networks do."""

import os
import selectors
import shutil
import socket
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

_CHUNK = 64 * 1024


class DockerProxy:
    """A Unix socket that leads to the engine's. A context; `url` is what a client names.

    cut_idle_s: after so many seconds without a byte, a connection is closed, unless its request is
    still to be answered. has_events: without, the engine's events come from nobody. cuts_at_start:
    once a container has been started, nothing comes through until `is_open` is set again, not even
    the answer. `cuts` counts connections that were closed.
    """

    def __init__(self, host: str | None = None) -> None:
        """host: a Unix socket's address; by default the engine of the other tests."""
        host = host or os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
        self._upstream = host.removeprefix("unix://")
        self._directory = Path(tempfile.mkdtemp(prefix="ravi-proxy-"))
        self.url = f"unix://{self._directory / 's'}"
        self.cut_idle_s: float | None = None
        self.has_events = True
        self.cuts_at_start = False
        self.is_open = True
        self.cuts = 0
        self._is_over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._listener = socket.socket(socket.AF_UNIX)

    def __enter__(self) -> Self:
        self._listener.bind(str(self._directory / "s"))
        self._listener.listen(64)
        self._listener.settimeout(0.1)
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()
        shutil.rmtree(self._directory)

    def _start(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._is_over.is_set():
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        server = socket.socket(socket.AF_UNIX)
        with client, server, selectors.DefaultSelector() as selector:
            try:
                server.connect(self._upstream)
                self._pass(client, server, selector)
            except OSError:
                return  # either side has left

    def _pass(
        self, client: socket.socket, server: socket.socket, selector: selectors.BaseSelector
    ) -> None:
        others = {client: server, server: client}
        for one in others:
            selector.register(one, selectors.EVENT_READ)
        heard_at = time.monotonic()
        is_silent = is_answered = is_start = False
        while others and not self._is_over.is_set():
            if not self.is_open:
                self.cuts += 1
                return
            for key, _ in selector.select(0.05):
                source = key.fileobj
                assert isinstance(source, socket.socket)
                data = source.recv(_CHUNK)
                heard_at = time.monotonic()
                is_answered = source is server
                if source is client:
                    is_silent = not self.has_events and b"GET /v" in data and b"/events" in data
                    is_start = b"/start HTTP/" in data
                elif is_start and self.cuts_at_start:
                    self.cuts_at_start = self.is_open = False
                    break
                if not data:
                    selector.unregister(source)
                    if source is server:
                        return
                    others.pop(source)
                    server.shutdown(socket.SHUT_WR)
                elif source is client or not is_silent or data.startswith(b"HTTP/"):
                    # Of a silent stream the head alone goes through.
                    head = data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if is_silent else data
                    others[source].sendall(data if source is client else head)
            limit_s = self.cut_idle_s if is_answered else None
            if limit_s is not None and time.monotonic() - heard_at > limit_s:
                self.cuts += 1
                return
