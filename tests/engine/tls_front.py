"""A host name of the internet that leads to a local Ravi, for clients whose host is built in.

They reach it through a proxy, `HTTPS_PROXY`, and trust its authority by `SSL_CERT_FILE`.
"""

import socket
import ssl
import threading
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer

import trustme

from listeners import Served

_CHUNK = 64 * 1024


class TlsFront(Served):
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

        super().__init__(ThreadingTCPServer((host, 0), Handler))
        self.url = f"http://{host}:{self.server_port}"


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(_CHUNK):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return  # the other side has gone
