"""TLS before a service on this host, as a proxy ends it."""

import contextlib
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from socketserver import BaseRequestHandler, ThreadingTCPServer
from urllib.parse import urlsplit

import trustme

_CHUNK = 64 * 1024


@contextlib.contextmanager
def tls_front(url: str, directory: str) -> Iterator[tuple[str, str]]:
    """The https:// URL of the service at `url`, and the file of the authority to trust.

    The file has the name by which OpenSSL looks for the authority in a directory of them.
    """
    host, port = urlsplit(url).hostname, urlsplit(url).port
    assert host
    assert port
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(context)
    trusted = os.path.join(directory, f"{_hash(authority.cert_pem.bytes())}.0")
    authority.cert_pem.write_to_path(trusted)

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            with (
                context.wrap_socket(self.request, server_side=True) as client,
                socket.create_connection((host, port)) as service,
            ):
                back = threading.Thread(target=_copy, args=(service, client))
                back.start()
                _copy(client, service)
                back.join()

    with ThreadingTCPServer((host, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"https://{host}:{server.server_address[1]}", trusted
        finally:
            server.shutdown()


def _hash(certificate: bytes) -> str:
    command = ["openssl", "x509", "-noout", "-subject_hash"]
    hashed = subprocess.run(command, input=certificate, stdout=subprocess.PIPE, check=True)
    return hashed.stdout.decode().strip()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):  # either side has left
        while data := source.recv(_CHUNK):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
