"""What passes between the launcher and the API server, and what the API server says was asked."""

import contextlib
import json
import socket
import threading
from collections import Counter
from collections.abc import Iterable

_PART = 1 << 18


class Wire:
    """A port on loopback that passes TCP connections on to another, and counts their bytes.

    What passes is TLS from end to end: nothing of it is read. A context manager.
    """

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.sent = 0  # to the target
        self.received = 0  # from it
        self.connections = 0

    def __enter__(self) -> "Wire":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            for one in (self._server, *self._sockets):
                # A blocked accept or recv returns only by this.
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:  # closed
                return
            server = socket.create_connection(self._target)
            with self._lock:
                self.connections += 1
                self._sockets += [client, server]
            for source, sink, is_sent in ((client, server, True), (server, client, False)):
                threading.Thread(
                    target=self._pass_on, args=(source, sink, is_sent), daemon=True
                ).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, is_sent: bool) -> None:
        with contextlib.suppress(OSError):  # either end may hang up at any time
            while part := source.recv(_PART):
                sink.sendall(part)
                with self._lock:
                    if is_sent:
                        self.sent += len(part)
                    else:
                        self.received += len(part)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


def calls(audit: Iterable[str]) -> Counter[str]:
    """Calls by verb and resource, `list pods`, of an API server's audit log.

    A watch is noted twice, when it starts and when it ends.
    """
    seen = set()
    counted: Counter[str] = Counter()
    for line in audit:
        event = json.loads(line)
        if event["auditID"] in seen:
            continue
        seen.add(event["auditID"])
        target = event.get("objectRef") or {"resource": event["requestURI"].partition("?")[0]}
        resource = "/".join(filter(None, (target["resource"], target.get("subresource"))))
        counted[f"{event['verb']} {resource}"] += 1
    return counted
