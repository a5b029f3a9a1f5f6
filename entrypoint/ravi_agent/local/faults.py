"""Misbehaving on request, as services do: for tests of whoever calls one.

A fault is a JSON object; every field is optional:
  method, path          only requests with this method, and a path that begins with this
  skip, count           not the first `skip` matching requests; only `count` of them (default all)
  probability           only this share of them, 0 to 1
  status                answer with this status, without handling the request
  commit                true: handle it first, and answer with `status` all the same
  body, headers         the body, text or JSON, and headers of that answer
  delay_s               wait before handling the request
  drop                  "before" or "after" it is handled: reset the connection, answer nothing
  stall                 "before" or "after": answer nothing, and keep the connection
  rate_per_s            429 with `retry_after_seconds` above this many requests a second
"""

import asyncio
import json
import random
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# A request may bring one fault of its own along, as JSON.
HEADER = b"x-ravi-local-fault"


@dataclass(kw_only=True)
class Fault:
    """One way to misbehave, and how often it has matched."""

    method: str = ""
    path: str = ""
    skip: int = 0
    count: int | None = None
    probability: float = 1.0
    status: int = 0
    commit: bool = False
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    drop: str = ""
    stall: str = ""
    rate_per_s: float = 0.0
    _matched: int = 0
    _recent: deque[float] = field(default_factory=deque)

    def applies(self, method: str, path: str) -> bool:
        """Whether this request is to suffer it. Counts, so ask once a request."""
        if (self.method and method != self.method) or not path.startswith(self.path):
            return False
        self._matched += 1
        if self._matched <= self.skip:
            return False
        if self.count is not None and self._matched > self.skip + self.count:
            return False
        if self.rate_per_s:
            return self._is_too_fast()
        return random.random() < self.probability  # noqa: S311

    def answer(self) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers to answer with."""
        if self.rate_per_s:
            wait_s = 1.0 - (time.monotonic() - self._recent[0])
            body = {"detail": "Request was throttled.", "retry_after_seconds": round(wait_s, 3)}
            return 429, json.dumps(body).encode(), {}
        if isinstance(self.body, str):
            return self.status, self.body.encode(), {"content-type": "text/html", **self.headers}
        answer = {"detail": f"local fault {self.status}"} if self.body is None else self.body
        return self.status, json.dumps(answer).encode(), self.headers

    def _is_too_fast(self) -> bool:
        now = time.monotonic()
        while self._recent and now - self._recent[0] >= 1.0:
            self._recent.popleft()
        if len(self._recent) >= self.rate_per_s:
            return True
        self._recent.append(now)
        return False


class Faults:
    """ASGI middleware that lets the faults in `active` happen; the list may change at any time."""

    def __init__(self, app: ASGIApp, active: list[Fault] | None = None) -> None:
        self._app = app
        self.active: list[Fault] = active if active is not None else []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        fault = self._choose(scope)
        if fault is None:
            await self._app(scope, receive, send)
            return
        await asyncio.sleep(fault.delay_s)
        if fault.commit or "after" in {fault.drop, fault.stall}:
            await self._app(scope, receive, _swallow)
        if fault.drop:
            scope["ravi_local.abort"]()
            await _until_disconnected(receive)
        elif fault.stall:
            await _until_disconnected(receive)
        elif fault.status or fault.rate_per_s:
            status, body, headers = fault.answer()
            if fault.rate_per_s:
                scope["ravi_local.retry_after_s"] = json.loads(body)["retry_after_seconds"]
            raw = {"content-type": "application/json", **headers}
            await send(
                {
                    "type": "http.response.start",
                    "status": status,
                    "headers": [(name.encode(), value.encode()) for name, value in raw.items()],
                }
            )
            await send({"type": "http.response.body", "body": body})
        else:
            await self._app(scope, receive, send)

    def _choose(self, scope: Scope) -> Fault | None:
        for name, value in scope["headers"]:
            if name == HEADER:
                return _brought(value)
        for fault in self.active:
            if fault.applies(scope["method"], scope["path"]):
                return fault
        return None


def parse_faults(text: str) -> list[Fault]:
    """Faults from a JSON array; raises ValueError naming what is wrong."""
    records: Any = json.loads(text)
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise ValueError("faults are a JSON array of objects")
    known = {name for name in Fault.__dataclass_fields__ if not name.startswith("_")}
    for record in records:
        if unknown := set(record) - known:
            raise ValueError(f"a fault has no field {min(unknown)!r}")
    return [Fault(**record) for record in records]


def _brought(header: bytes) -> Fault:
    """The fault that a request brought along; status 400 where it is none."""
    try:
        return parse_faults(f"[{header.decode()}]")[0]
    except (ValueError, TypeError, IndexError, RecursionError):
        return Fault(status=400, body={"detail": "x-ravi-local-fault: not a fault"})


async def _swallow(_: Message) -> None:
    return None


async def _until_disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
