"""What keeps out before anything is handled: foreign web pages, bodies too large or too slow."""

import asyncio
import ipaddress
from collections.abc import Collection, Mapping

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ravi_agent.local.files_api import MAX_BYTES, UPLOADS
from ravi_agent.local.refusals import Errors, RefusalError, refuse

BODY_LIMIT = 2 * 1024 * 1024
BODY_S = 30.0
# Names that no foreign site can have: on this machine, in a private network, or reserved.
_PRIVATE_SUFFIXES = (".localhost", ".local", ".internal", ".test", ".svc", ".home.arpa")


class Guard:
    """ASGI middleware in front of the service.

    A page of another site reaches a server on loopback from its reader's browser. It cannot forge
    `Origin`, and by a name of its own that leads here (DNS rebinding) it gives itself away in
    `Host`. allowed_hosts: further names that this server goes by.
    """

    def __init__(self, app: ASGIApp, errors: Errors, allowed_hosts: Collection[str] = ()) -> None:
        self._app = app
        self._errors = errors
        self._allowed_hosts = frozenset(host.lower() for host in allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            self._check_page(headers)
            if scope["type"] == "http":
                receive = _Body(receive, headers, _limit(scope["path"]))
                send = receive.closing(send)
        except RefusalError as exc:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            else:
                exc.headers = {**(exc.headers or {}), "connection": "close"}
                await refuse(self._errors, Request(scope), exc)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check_page(self, headers: Mapping[str, str]) -> None:
        host = headers.get("host", "")
        if not self._is_ours(_name(host)):
            raise RefusalError(
                403,
                f"This server is not called {_name(host)[:100]!r}; --allow-host lets it be.",
                code="request.host",
            )
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2].lower() != host.lower():
            raise RefusalError(
                403, "Pages of other sites may not call this.", code="request.origin"
            )
        # Where a browser sends no Origin: an image, a frame. A link to here may be followed.
        is_foreign = headers.get("sec-fetch-site") in {"cross-site", "same-site"}
        if is_foreign and headers.get("sec-fetch-mode") != "navigate":
            raise RefusalError(
                403, "Pages of other sites may not call this.", code="request.origin"
            )

    def _is_ours(self, name: str) -> bool:
        if name in self._allowed_hosts or name.endswith(_PRIVATE_SUFFIXES):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return "." not in name  # a machine or a container: no site is called so
        return True


class _Body:
    """`receive` that refuses a body that is too large at once, and one that takes too long."""

    def __init__(self, receive: Receive, headers: Mapping[str, str], limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self._length = 0
        self._is_whole = "transfer-encoding" not in headers and not _stated_length(headers)
        self._ends: float | None = None
        if _stated_length(headers) > limit:
            raise self._too_large()

    async def __call__(self) -> Message:
        if self._is_whole:
            return await self._receive()  # the end of the connection may take as long as it likes
        now = asyncio.get_running_loop().time()
        self._ends = self._ends or now + BODY_S
        try:
            message = await asyncio.wait_for(self._receive(), self._ends - now)
        except TimeoutError as exc:
            raise RefusalError(408, f"The body did not end within {BODY_S:.0f} s.") from exc
        if message["type"] == "http.request":
            self._length += len(message.get("body", b""))
            if self._length > self._limit:
                raise self._too_large()
            self._is_whole = not message.get("more_body", False)
        return message

    def closing(self, send: Send) -> Send:
        """`send` that ends the connection where the answer comes before the end of the body.

        The rest would have to be received otherwise, however much it is.
        """

        async def close_early(message: Message) -> None:
            if message["type"] == "http.response.start" and not self._is_whole:
                message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        return close_early

    def _too_large(self) -> RefusalError:
        return RefusalError(413, f"At most {self._limit} bytes here.")


def _limit(path: str) -> int:
    return MAX_BYTES if path.startswith(UPLOADS) else BODY_LIMIT


def _stated_length(headers: Mapping[str, str]) -> int:
    stated = headers.get("content-length", "")
    return int(stated[:20]) if stated.isascii() and stated.isdecimal() else 0


def _name(host: str) -> str:
    """The name in a Host header, without its port and in small letters."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0].lower() if ":" in host else host.lower()
