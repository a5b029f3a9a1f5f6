"""A proxy in front of a local Ravi that answers as other generations of the service do.

It turns every list into pages and every error into another envelope, and passes on all else:
what the service does, connections that it resets, answers that never come.
"""

import json
import select
import socket
import struct
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from listeners import Served
from ravi_agent.local.server import LocalRavi

Envelope = Callable[[int, dict[str, Any]], dict[str, Any]]
_PASSED_ON = ("authorization", "content-type", "x-ravi-identity", "x-ravi-local-fault")
_PASSED_BACK = ("content-type", "date", "location", "retry-after")


def text_envelope(_status: int, record: dict[str, Any]) -> dict[str, Any]:
    """`{"error": "…"}`."""
    return {"error": record.get("detail", "refused")}


def coded_envelope(status: int, record: dict[str, Any]) -> dict[str, Any]:
    """`{"error": {"code", "message", "details"}}`, the newest."""
    codes = {400: "validation.failed", 401: "auth.unauthenticated", 403: "auth.forbidden"}
    message = record.get("detail", "refused")
    return {"error": {"code": codes.get(status, "x"), "message": message, "details": {}}}


class Generation(Served):
    """The service behind `local`, at `url`; `with` starts and stops it.

    page_size: None leaves lists bare. `asked` has every request as `METHOD path?query`.
    """

    def __init__(
        self, local: LocalRavi, *, page_size: int | None = None, envelope: Envelope | None = None
    ) -> None:
        self.page_size = page_size
        self.envelope = envelope
        self.upstream = local.port
        self.asked: list[str] = []
        handler = type("Handler", (_Handler,), {"generation": self})
        super().__init__(ThreadingHTTPServer(("127.0.0.1", 0), handler))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    generation: Generation

    def _answer(self) -> None:
        self.generation.asked.append(f"{self.command} {self.path}")
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        page = int(query.pop("page", ["1"])[0])
        rest = urlencode(query, doseq=True)
        try:
            got = self._ask(f"{parts.path}{'?' if rest else ''}{rest}", body)
        except (HTTPException, OSError):
            self._reset()
            return
        if got is None:
            self.close_connection = True
            return
        response, content = got
        status = response.status
        try:
            record = json.loads(content)
        except (ValueError, RecursionError):
            record = None
        headers = {name: value for name in _PASSED_BACK if (value := response.headers[name])}
        if isinstance(record, list) and self.generation.page_size:
            where = f"http://{self.headers['host']}{parts.path}?{rest}{'&' if rest else ''}"
            status, record = _page(record, page, self.generation.page_size, where)
        if isinstance(record, dict) and "detail" in record and self.generation.envelope:
            if "retry_after_seconds" in record:
                headers["retry-after"] = str(record["retry_after_seconds"])
            record = self.generation.envelope(status, record)
        if record is not None:
            content = json.dumps(record).encode()
        self.send_response_only(status)
        for name, value in {**headers, "content-length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815

    def _ask(self, path: str, body: bytes) -> tuple[HTTPResponse, bytes] | None:
        """The service's answer; None where the client went away before there was one."""
        upstream = HTTPConnection("127.0.0.1", self.generation.upstream)
        try:
            headers = {name: value for name in _PASSED_ON if (value := self.headers[name])}
            upstream.request(self.command, path, body, headers)
            assert upstream.sock
            ready, _, _ = select.select([upstream.sock, self.connection], [], [])
            if upstream.sock not in ready:
                return None
            response = upstream.getresponse()
            return response, response.read()
        finally:
            upstream.close()

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


def _page(records: list[Any], number: int, size: int, where: str) -> tuple[int, dict[str, Any]]:
    """A page of a list, with the status it comes with."""
    first = (number - 1) * size
    if number < 1 or (first >= len(records) and number > 1):
        return 404, {"detail": "Invalid page."}
    more = first + size < len(records)
    return 200, {
        "count": len(records),
        "next": f"{where}page={number + 1}" if more else None,
        "previous": f"{where}page={number - 1}" if number > 1 else None,
        "results": records[first : first + size],
    }


class Service:
    """A local Ravi as tests see it, and the address at which it answers as one generation does."""

    def __init__(self, local: LocalRavi, url: str) -> None:
        self.url = url
        self.store = local.store
        self.faults = local.faults
        self.requests = local.requests


# What each generation does to lists and errors.
GENERATIONS: dict[str, dict[str, Any]] = {
    "bare lists": {},
    "pages of one": {"page_size": 1},
    "error as text": {"envelope": text_envelope},
    "error with a code": {"page_size": 1, "envelope": coded_envelope},
}
