"""The local Ravi as a running server: in this process, or in a thread of a test."""

import asyncio
import errno
import socket
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TextIO

import uvicorn

from ravi_agent.errors import UsageError
from ravi_agent.local.app import create_app
from ravi_agent.local.connection import Connection
from ravi_agent.local.endpoints import Options
from ravi_agent.local.faults import Fault, Faults
from ravi_agent.local.logins import Logins
from ravi_agent.local.request_log import RequestLog
from ravi_agent.local.smtp import protocol
from ravi_agent.local.store import Store
from ravi_agent.local.webhooks import Deliverer

_BACKLOG = 1024


class LocalRavi:
    """One service on one database; `faults` may be changed while it runs.

    Ports of 0 take free ones, known as `port` and `smtp_port` at once. `with` starts it in a
    thread and stops it. refresh_token: what older accounts renew their access token with.
    """

    def __init__(
        self,
        *,
        database: str,
        management_key: str,
        refresh_token: str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        smtp_port: int = 0,
        out: TextIO | None = None,
        options: Options | None = None,
        allowed_hosts: Collection[str] = (),
    ) -> None:
        self._socket = _listen(host, port, "--port")
        self.port: int = self._socket.getsockname()[1]
        try:
            self._smtp_socket = _listen(host, smtp_port, "--smtp-port")
        except UsageError:
            self._socket.close()
            raise
        self.smtp_port: int = self._smtp_socket.getsockname()[1]
        self.store = Store(database)
        self.faults: list[Fault] = []
        self.host = host
        options = options or Options()
        self.logins = Logins(approve_all=options.approve_logins)
        app = create_app(
            self.store,
            management_key,
            refresh_token=refresh_token,
            options=options,
            logins=self.logins,
            allowed_hosts=allowed_hosts,
        )
        self.requests = RequestLog(Faults(app, self.faults), out)
        config = uvicorn.Config(
            self.requests,
            http=Connection,
            ws="wsproto",
            ws_max_size=64 * 1024,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=1,
            lifespan="off",
        )
        self._server = _Server(config)
        self._thread = threading.Thread(target=self.run, name="ravi-local", daemon=True)

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def run(self) -> None:
        """Serve until stopped."""
        try:
            asyncio.run(self._serve())
        finally:
            self.store.close()

    def close(self) -> None:
        """Give up what has not served: its ports and its database."""
        self._socket.close()
        self._smtp_socket.close()
        self.store.close()

    def stop(self) -> None:
        """End what `run` serves; from a signal handler too."""
        self._server.should_exit = True
        self.store.events.close()

    async def _serve(self) -> None:
        # One loop for both: the store's calls are short, and each waits for no other.
        mail = await asyncio.get_running_loop().create_server(
            lambda: protocol(self.store), sock=self._smtp_socket
        )
        deliveries = asyncio.create_task(Deliverer(self.store).run())
        try:
            await self._server.serve(sockets=[self._socket])
        finally:
            mail.close()
            deliveries.cancel()
            await asyncio.gather(deliveries, return_exceptions=True)

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
        self.stop()
        self._thread.join(10)


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the command's: uvicorn would raise them again once it has ended."""
        yield


def _listen(host: str, port: int, flag: str) -> socket.socket:
    """A listening socket; raises UsageError where the address cannot be had.

    The protocol is named because asyncio turns Nagle's algorithm off only then; with it on, every
    answer waits 40 ms for the client's delayed acknowledgement.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as exc:
        listener.close()
        is_host = exc.errno in {errno.EADDRNOTAVAIL, errno.ENOENT} or isinstance(
            exc, socket.gaierror
        )
        fix = "--host 127.0.0.1" if is_host else f"{flag} 0 takes a free one"
        raise UsageError(f"cannot listen on {host}:{port}", str(exc.strerror), fix) from exc
    return listener
