"""When a call ends, and a connection that is there by then.

A time-out that counts anew for each read would let a peer keep a call for ever, with a byte now
and then, or `100 Continue` without end. Here everything that a call does shares one deadline. It
belongs to the thread: many threads share connections, and one goes from thread to thread.
"""

import socket
import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_CONNECT_TIMEOUT_S = 5.0  # for one address of a host


class Deadline:
    """When the call that this thread is making has to be over."""

    def __init__(self) -> None:
        self._of_thread = threading.local()

    def set(self, ends: float) -> None:
        """ends: `time.monotonic()` seconds."""
        self._of_thread.ends = ends

    def left_s(self) -> float:
        """Seconds left, more than none; raises TimeoutError where there are none."""
        left_s = getattr(self._of_thread, "ends", 0.0) - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the deadline has passed")
        return float(left_s)


def connect(host: str, port: int, deadline: Deadline) -> socket.socket:
    """A connection to the first address of a host that answers. Raises OSError."""
    failure = OSError(f"{host} has no address")
    for family, kind, protocol, _, address in _addresses(host, port, deadline):
        sock = None
        try:
            sock = socket.socket(family, kind, protocol)
            sock.settimeout(min(deadline.left_s(), _CONNECT_TIMEOUT_S))
            sock.connect(address)
            # A request goes out in two pieces; the second must not wait for an acknowledgement.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as exc:
            failure = exc
            if sock is not None:
                sock.close()
        except BaseException:
            if sock is not None:
                sock.close()
            raise
        else:
            return sock
    raise failure


def _addresses(host: str, port: int, deadline: Deadline) -> "list[Any]":
    """Where a host may be reached. A resolver knows no time-out, so it gets a thread."""
    # As bytes, since text would load Python's tables for international names.
    name = host.encode()
    try:
        return socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except OSError:
        pass  # a name
    found: list[Any] = []
    failures: list[OSError] = []

    def resolve() -> None:
        try:
            found.extend(socket.getaddrinfo(name, port, type=socket.SOCK_STREAM))
        except OSError as exc:
            failures.append(exc)

    resolver = threading.Thread(target=resolve, name="resolve", daemon=True)
    left_s = deadline.left_s()
    try:
        resolver.start()
    except RuntimeError:  # no process slot left, or an engine that refuses clone3
        resolve()
    else:
        resolver.join(left_s)
    if failures:
        raise OSError(f"{host}: {failures[0]}") from failures[0]
    if resolver.is_alive():
        raise TimeoutError(f"{host} is not resolved in time")
    return found
