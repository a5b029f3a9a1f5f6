"""A host name of the internet that leads to a local Ravi, for clients whose host is built in.

They reach it through a proxy, `HTTPS_PROXY`, and trust its authority by `SSL_CERT_FILE`.
"""

import socket
import ssl
import threading
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from types import TracebackType

import trustme

_CHUNK = 64 * 1024


class TlsFront:
    """Answers CONNECT to `name`:443 itself, and hands what comes on to `address`."""

    def __init__(self, name: str, address: tuple[str, int], host: str, authority: Path) -> None:
        issuer = trustme.CA()
        issuer.cert_pem.write_to_path(str(authority))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issuer.issue_cert(name).configure_cert(context)
        self.refused: list[str] = []
        front = self

        class Handler(StreamRequestHandler):
            def handle(self) -> None:
                target = self.rfile.readline().decode().split()[1]
                while self.rfile.readline().strip():
                    pass
                if target != f"{name}:443":
                    front.refused.append(target)
                    return
                self.connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                with (
                    context.wrap_socket(self.connection, server_side=True) as client,
                    socket.create_connection(address) as service,
                ):
                    back = threading.Thread(target=_copy, args=(service, client))
                    back.start()
                    _copy(client, service)
                    back.join()

        self._server = ThreadingTCPServer((host, 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever)
        self.url = f"http://{host}:{self._server.server_address[1]}"

    def __enter__(self) -> "TlsFront":
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


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(_CHUNK):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return  # the other side has gone
