"""The local Ravi as a running server: in this process, or in a thread of a test."""

import socket
import threading
from types import TracebackType
from typing import TextIO

import uvicorn

from ravi_agent.errors import UsageError
from ravi_agent.local.app import create_app
from ravi_agent.local.faults import Fault, Faults
from ravi_agent.local.request_log import RequestLog
from ravi_agent.local.store import Store


class LocalRavi:
    """One service on one database; `faults` may be changed while it runs.

    port 0 takes a free one, known as `port` once `start` has returned. `with` starts it in a
    thread and stops it.
    """

    def __init__(
        self,
        *,
        database: str,
        management_key: str,
        host: str = "127.0.0.1",
        port: int = 0,
        out: TextIO | None = None,
    ) -> None:
        self._socket = _listen(host, port)
        self.port: int = self._socket.getsockname()[1]
        self.store = Store(database)
        self.faults: list[Fault] = []
        self.host = host
        self.requests = RequestLog(Faults(create_app(self.store, management_key), self.faults), out)
        config = uvicorn.Config(
            self.requests,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=1,
            lifespan="off",
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self.run, name="ravi-local", daemon=True)

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def run(self) -> None:
        """Serve until stopped; as the main thread also until SIGTERM or SIGINT."""
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self.store.close()

    def __enter__(self) -> "LocalRavi":
        # The socket listens already: a client that comes before the loop runs just waits.
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.should_exit = True
        self._thread.join(10)


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket; raises UsageError where the address cannot be had.

    The protocol is named because asyncio turns Nagle's algorithm off only then; with it on, every
    answer waits 40 ms for the client's delayed acknowledgement.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as exc:
        listener.close()
        raise UsageError(
            f"cannot listen on {host}:{port}", str(exc.strerror), "give another --host or --port"
        ) from None
    return listener
