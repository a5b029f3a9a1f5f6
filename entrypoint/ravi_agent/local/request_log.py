"""What was asked of the local Ravi: one JSON line a request, with no token in it."""

import json
import time
from collections import deque
from typing import TextIO

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Requests that are remembered: by a service inside a test, and where they are printed as well.
_KEPT, _KEPT_PRINTED = 100_000, 1_000
# Where in the scope of a request its handler finds what was asked before.
ENTRIES = "ravi_local.requests"


class RequestLog:
    """The outermost ASGI middleware: `time` (Unix seconds), `method`, `path`, `status` (0: none
    was sent), `ms` and `client` of every request, and `retry_after_s` where it was told to wait, in
    `entries` and as lines to `out`.
    """

    def __init__(self, app: ASGIApp, out: TextIO | None = None) -> None:
        self._app = app
        self._out = out
        self.entries: deque[dict[str, object]] = deque(maxlen=_KEPT_PRINTED if out else _KEPT)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.time()
        # There from the start: whoever has the answer finds the request that led to it.
        entry: dict[str, object] = {
            "time": round(started, 3),
            "method": scope["method"],
            "path": scope["path"],
            "status": 0,
            "ms": 0.0,
            "client": scope["client"][0] if scope.get("client") else None,
        }
        self.entries.append(entry)
        scope[ENTRIES] = self.entries

        async def note_status(message: Message) -> None:
            entry["status"] = message.get("status", entry["status"])
            await send(message)

        # ASGI has no way to reset a connection. uvicorn's `send` is a method of the request's
        # cycle, which has the transport; only the faults use this.
        scope["ravi_local.abort"] = lambda: send.__self__.transport.abort()  # type: ignore[attr-defined] # noqa: PLW0108
        try:
            await self._app(scope, receive, note_status)
        finally:
            if "ravi_local.retry_after_s" in scope:
                entry["retry_after_s"] = scope["ravi_local.retry_after_s"]
            entry["ms"] = round((time.time() - started) * 1000, 1)
            if self._out:
                print(json.dumps(entry), file=self._out, flush=True)
