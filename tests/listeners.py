"""Servers for tests: one of bytes that HTTP libraries would never send, and the start of others."""

import socket
import threading
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from socketserver import ThreadingTCPServer
from types import TracebackType
from typing import Any, Self


class Listener:
    """Takes connections on loopback and gives each to `serve`, in a thread of its own."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self.port}"
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def serve(self, peer: socket.socket) -> None:
        """What becomes of a connection; closes it."""
        raise NotImplementedError

    def start(self, what: Callable[..., None], *arguments: Any) -> threading.Thread:
        """A thread that `close` waits for."""
        thread = threading.Thread(target=what, args=arguments)
        self._threads.append(thread)
        thread.start()
        return thread

    def join(self) -> None:
        """Wait for every connection's end."""
        for thread in self._threads:
            thread.join()

    def close(self) -> None:
        """Take no more, and wait for the end of those that are there."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join()
        self.join()

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            self.start(self.serve, peer)


class Served:
    """What a server of the standard library answers, in threads of its own. A context manager."""

    def __init__(self, server: ThreadingTCPServer | ThreadingHTTPServer) -> None:
        server.daemon_threads = True
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, args=(0.02,))

    @property
    def server_port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
