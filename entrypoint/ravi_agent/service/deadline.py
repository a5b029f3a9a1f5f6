"""Connections whose every step ends at the deadline of the call, whatever the peer does.

httpx counts a time-out anew for each read, so a byte now and then, or `100 Continue` without
end, would keep a call for ever. Here all reads and writes of a call share one deadline. It
belongs to the thread: one client serves many threads, and a connection goes from one to the next.
"""

import socket
import ssl
import threading
import time
from collections.abc import Iterable
from typing import Any

import httpcore

_CONNECT_TIMEOUT_S = 5.0  # for one address of a host
_WRITE_BYTES = 16 * 1024  # at a time, with a look at the clock after each


class Deadline:
    """When the call that this thread is making has to be over."""

    def __init__(self) -> None:
        self._of_thread = threading.local()

    def set(self, ends: float) -> None:
        """ends: `time.monotonic()` seconds."""
        self._of_thread.ends = ends

    def left_s(self, error: type[Exception]) -> float:
        """Seconds left, more than none; raises `error` where there are none."""
        left_s = getattr(self._of_thread, "ends", 0.0) - time.monotonic()
        if left_s <= 0:
            raise error("the deadline has passed")
        return float(left_s)


class DeadlineBackend(httpcore.NetworkBackend):
    """What httpcore connects with; the time-outs that it is given are not used."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """A connection to the first address of a host that answers."""
        options = list(socket_options or ())
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in self._addresses(host, port):
            left_s = self._deadline.left_s(httpcore.ConnectTimeout)
            try:
                stream = self._backend.connect_tcp(
                    address, port, min(left_s, _CONNECT_TIMEOUT_S), local_address, options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as exc:
                failure = exc
            else:
                return _Stream(stream, self._deadline)
        raise failure

    def _addresses(self, host: str, port: int) -> list[str]:
        """The addresses of a host. A resolver knows no time-out, so it gets a thread."""
        if _is_address(host):
            return [host]
        found: list[str] = []
        failures: list[Exception] = []

        def resolve() -> None:
            try:
                records = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            except (OSError, UnicodeError) as exc:  # a label of more than 63 characters
                failures.append(exc)
                return
            for family, _, _, _, address in records:
                scope = address[3] if family == socket.AF_INET6 and len(address) > 3 else 0
                found.append(f"{address[0]}%{scope}" if scope else str(address[0]))

        resolver = threading.Thread(target=resolve, name="resolve", daemon=True)
        left_s = self._deadline.left_s(httpcore.ConnectTimeout)
        try:
            resolver.start()
        except RuntimeError:  # no process slot left, or an engine that refuses clone3
            resolve()
        else:
            resolver.join(left_s)
        if failures:
            raise httpcore.ConnectError(f"{host}: {failures[0]}") from failures[0]
        if resolver.is_alive():
            raise httpcore.ConnectTimeout(f"{host} is not resolved in time")
        return found


def _is_address(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except (OSError, UnicodeError):
            continue
        return True
    return False


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        return self._stream.read(max_bytes, self._deadline.left_s(httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        for start in range(0, len(buffer), _WRITE_BYTES):
            left_s = self._deadline.left_s(httpcore.WriteTimeout)
            self._stream.write(buffer[start : start + _WRITE_BYTES], left_s)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        left_s = self._deadline.left_s(httpcore.ConnectTimeout)
        stream = self._stream.start_tls(ssl_context, server_hostname, left_s)
        return _Stream(stream, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
