"""A proxy on loopback that writes down what a client sends to a service, and sends it on."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

import httpx

from listeners import Served


class Recorder(Served):
    """Forwards to `upstream`; `sent` has a line a request: method, path, fields, kind of key."""

    def __init__(self, upstream: str, port: int = 0) -> None:
        self.sent: list[str] = []
        recorder, client = self, httpx.Client(base_url=upstream, timeout=30)
        self._client = client

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def forward(self) -> None:
                length = int(self.headers.get("content-length") or 0)
                body = self.rfile.read(length)
                headers = {name: self.headers[name] for name in set(self.headers)}
                recorder.sent.append(_line(self.command, self.path, headers, body))
                answer = client.request(self.command, self.path, headers=headers, content=body)
                self.send_response(answer.status_code)
                for name in ("content-type", "retry-after"):
                    if name in answer.headers:
                        self.send_header(name, answer.headers[name])
                if answer.status_code != 204:
                    self.send_header("content-length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = forward  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Nothing to the terminal."""

        super().__init__(ThreadingHTTPServer(("127.0.0.1", port), Handler))
        self.url = f"http://127.0.0.1:{self.server_port}"

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, traceback)
        self._client.close()


def _line(method: str, path: str, headers: dict[str, str], body: bytes) -> str:
    named = {name.lower(): value for name, value in headers.items()}
    token = named.get("authorization", "").removeprefix("Bearer ")
    key = "identity" if token.startswith("ravi_id_") else "account" if token else "nobody"
    fields = ""
    if body and method != "PUT":
        fields = f" {{{', '.join(sorted(json.loads(body)))}}}"
    # An upload's address is signed, and so never the same.
    return f"{method} {path.partition('?')[0] if method == 'PUT' else path}{fields} as {key}"
