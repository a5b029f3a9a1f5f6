"""A server of bytes for tests: what HTTP libraries would never send."""

import socket
import threading
from collections.abc import Callable
from typing import Any


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
