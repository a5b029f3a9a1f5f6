"""A container's standard streams as one socket."""

import socket
import ssl
from dataclasses import dataclass
from io import BufferedReader

import docker


@dataclass(frozen=True, kw_only=True)
class Attached:
    """A container's output: a non-blocking socket, and what has been read of it already.

    owner: keeps a TLS socket open as long as it lives.
    """

    sock: socket.socket
    early: bytes
    owner: object = None


def attach(
    api: docker.APIClient, container: str, handover: bytes | None, *, has_past: bool = False
) -> Attached:
    """What the container writes from now on, or from its beginning; `handover` goes to its input.

    Raises the SDK's errors, and OSError.
    """
    params = {
        "stdin": int(handover is not None),
        "stdout": 1,
        "stderr": 1,
        "stream": 1,
        "logs": int(has_past),
    }
    raw = api.attach_socket(container, params=params)
    # The SDK gives a SocketIO over a plain socket, and a TLS socket as it is.
    sock: socket.socket = getattr(raw, "_sock", raw)
    response = raw._response  # noqa: SLF001 - the SDK keeps the connection alive through it
    if handover is not None:
        sock.sendall(handover)  # some hundred bytes: they fit into any buffer
    sock.setblocking(False)
    early = _buffered(response.raw._fp.fp)  # noqa: SLF001
    if isinstance(sock, ssl.SSLSocket):  # it can be neither duplicated nor half closed
        return Attached(sock=sock, early=early, owner=response)
    duplicate = sock.dup()  # outlives the HTTP response that owns the original
    if handover is not None:
        duplicate.shutdown(socket.SHUT_WR)
    response.close()
    return Attached(sock=duplicate, early=early)


def _buffered(reader: BufferedReader) -> bytes:
    """What came right behind the headers; the socket under the reader does not block."""
    try:
        return reader.peek()
    except ssl.SSLWantReadError:
        return b""
