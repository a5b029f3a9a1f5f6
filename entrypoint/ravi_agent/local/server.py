"""The local Ravi as a running server: in this process, or in a thread of a test."""

import asyncio
import socket
import threading
from types import TracebackType
from typing import TextIO

import uvicorn

from ravi_agent.errors import UsageError
from ravi_agent.local.app import create_app
from ravi_agent.local.faults import Fault, Faults
from ravi_agent.local.request_log import RequestLog
from ravi_agent.local.smtp import protocol
from ravi_agent.local.store import Store


class LocalRavi:
    """One service on one database; `faults` may be changed while it runs.

    Ports of 0 take free ones, known as `port` and `smtp_port` at once. `with` starts it in a
    thread and stops it.
    """

    def __init__(
        self,
        *,
        database: str,
        management_key: str,
        host: str = "127.0.0.1",
        port: int = 0,
        smtp_port: int = 0,
        out: TextIO | None = None,
    ) -> None:
        self._socket = _listen(host, port)
        self.port: int = self._socket.getsockname()[1]
        try:
            self._smtp_socket = _listen(host, smtp_port)
        except UsageError:
            self._socket.close()
            raise
        self.smtp_port: int = self._smtp_socket.getsockname()[1]
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
            asyncio.run(self._serve())
        finally:
            self.store.close()

    async def _serve(self) -> None:
        # One loop for both, because the store is for one thread.
        mail = await asyncio.get_running_loop().create_server(
            lambda: protocol(self.store), sock=self._smtp_socket
        )
        try:
            await self._server.serve(sockets=[self._socket])
        finally:
            mail.close()

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
            f"cannot listen on {host}:{port}",
            str(exc.strerror),
            "give another --host, --port or --smtp-port",
        ) from None
    return listener
