"""Between a launcher and the API server: one request is held, and what else is asked passes."""

import base64
import http.client
import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import yaml

from listeners import Served

_HOP = {"connection", "transfer-encoding", "host"}


@dataclass(frozen=True)
class Hold:
    """One request, which waits from `is_held` on until `cut`; it gets no answer then.

    is_passed: the server carries it out before.
    """

    method: str
    path: str
    is_passed: bool
    is_held: threading.Event = field(default_factory=threading.Event)
    is_cut: threading.Event = field(default_factory=threading.Event)

    def cut(self) -> None:
        self.is_cut.set()

    def wait(self) -> None:
        self.is_held.set()
        self.is_cut.wait()


def _text(data: str | None) -> str | None:
    return base64.b64decode(data).decode() if data else None


class Gate(Served):
    """A port on loopback that passes HTTP requests on to the API server of a kubeconfig.

    A context manager.
    """

    def __init__(self, kubeconfig: Path, directory: Path) -> None:
        """directory: where the launcher's kubeconfig is put, and a client's certificate."""
        config = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
        (cluster,) = [one["cluster"] for one in config["clusters"]]
        (user,) = [one["user"] for one in config["users"]]
        self._target = urlsplit(cluster["server"])
        self._trust = ssl.create_default_context(
            cafile=cluster.get("certificate-authority"),
            cadata=_text(cluster.get("certificate-authority-data")),
        )
        if "client-certificate-data" in user:  # that of kind; the launcher cannot show it here
            both = directory / "client.pem"
            names = ("client-certificate-data", "client-key-data")
            both.write_text("".join(f"{_text(user[name])}\n" for name in names), encoding="utf-8")
            self._trust.load_cert_chain(both)
        self.kubeconfig = directory / "kubeconfig"
        self._holds: list[Hold] = []
        gate = self

        class Handler(_Handler):
            owner = gate

        super().__init__(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        address = f"http://127.0.0.1:{self.server_port}"
        clusters = [{**one, "cluster": {"server": address}} for one in config["clusters"]]
        changed = {**config, "clusters": clusters}
        self.kubeconfig.write_text(yaml.safe_dump(changed), encoding="utf-8")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for one in self._holds:
            one.cut()
        super().__exit__(kind, error, traceback)

    def hold(self, method: str, resource: str, *, is_passed: bool) -> Hold:
        """The first request of that method whose path has `/resource` in it."""
        self._holds.append(Hold(method, f"/{resource}", is_passed))
        return self._holds[-1]

    def connect(self) -> http.client.HTTPSConnection:
        host, port = str(self._target.hostname), self._target.port
        return http.client.HTTPSConnection(host, port, context=self._trust)

    def find(self, method: str, path: str) -> Hold | None:
        """What holds this request."""
        for one in self._holds:
            if one.method == method and one.path in path and not one.is_held.is_set():
                return one
        return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: Gate

    def log_message(self, *_: Any) -> None:
        """Nothing."""

    def _pass_on(self) -> None:
        self.close_connection = True
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        hold = self.owner.find(self.command, urlsplit(self.path).path)
        if hold and not hold.is_passed:
            hold.wait()
            return
        headers = {key: one for key, one in self.headers.items() if key.lower() not in _HOP}
        server = self.owner.connect()
        try:
            server.request(self.command, self.path, body or None, headers)
            answer = server.getresponse()
            if hold:
                hold.wait()
                return
            self.send_response(answer.status)
            for key, one in answer.getheaders():
                if key.lower() not in _HOP:
                    self.send_header(key, one)
            self.send_header("Connection", "close")
            if answer.chunked:
                self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            while part := answer.read1(1 << 16):
                self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part) if answer.chunked else part)
            if answer.chunked:
                self.wfile.write(b"0\r\n\r\n")
        except (OSError, http.client.HTTPException):
            return  # either end has gone: the other one sees the same
        finally:
            server.close()

    do_GET = do_POST = do_PATCH = do_DELETE = _pass_on  # noqa: N815 - the names are http.server's
