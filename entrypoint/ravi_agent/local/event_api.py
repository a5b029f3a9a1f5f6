"""Events over HTTP: replayed, as server-sent events, and over a WebSocket.

A stream reads the log whenever something was added to it, so a slow listener costs no memory, and
none misses an event that came while it was away: `since` and `Last-Event-ID` are places in the log.
"""

import asyncio
import json
from collections.abc import AsyncIterator

from starlette.responses import Response, StreamingResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from ravi_agent.local.endpoints import Call, Endpoint, Service, Who
from ravi_agent.local.events import TYPES, EventLog, Scope
from ravi_agent.local.fields import number, text
from ravi_agent.local.refusals import RefusalError, StoreError

_BATCH = 100
_MOST = 2**53
_KEEP_ALIVE_S = 15
# The names that older clients listen for.
_STREAMED = {"email.message.received": "email", "sms.message.received": "sms"}
# Close codes: RFC 6455, 7.4.1 and 7.4.2.
_GOING_AWAY = 1001
_POLICY_VIOLATION = 1008
_SINCE = number(0, _MOST)


def _replay(call: Call) -> object:
    kinds = [kind for kind in str(call.query.get("event_types", "")).split(",") if kind]
    if unknown := set(kinds) - set(TYPES):
        raise StoreError(f"event_types: there is no {min(unknown)!r}")
    since, limit = call.query.get("since", 0), call.query.get("limit", 100)
    assert isinstance(since, int)
    assert isinstance(limit, int)
    return {"events": call.store.events.since(since, limit, _scope(call), kinds)}


def _stream(call: Call) -> Response:
    """Mail and SMS as they arrive; those after `Last-Event-ID` first, where it is sent."""
    last = call.request.headers.get("last-event-id", "")
    is_place = last.isascii() and last.isdecimal() and len(last) <= len(str(_MOST))
    since = int(last) if is_place else call.store.events.last()
    lines = _server_sent(call.store.events, _scope(call), since)
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(lines, media_type="text/event-stream", headers=headers)


async def _server_sent(log: EventLog, scope: Scope, since: int) -> AsyncIterator[str]:
    yield ": connected\n\n"
    kinds = tuple(_STREAMED)
    with log.listening(scope) as listener:
        while not log.is_closing:
            batch = log.since(since, _BATCH, scope, kinds)
            for event in batch:
                since = int(str(event["seq"]))
                name, data = _STREAMED[str(event["type"])], json.dumps(event["data"])
                yield f"id: {since}\nevent: {name}\ndata: {data}\n\n"
            if not batch:
                await listener.wait(_KEEP_ALIVE_S)
                yield ": still here\n\n"


def _scope(call: Call) -> Scope:
    owner = call.service.callers.scope(call.request, call.caller)
    return owner.uuid if owner else None


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/api/events/",
        answer=_replay,
        does="Replay events, oldest first: the identity's, or the whole account's",
        who=Who.CALLER,
        query={
            "since": _SINCE,
            "limit": number(1, 1000),
            "event_types": text(),
            "identity": text(),
        },
        returns="Events",
    ),
    Endpoint(
        method="GET",
        path="/api/events/stream/",
        answer=_stream,
        does="Receive mail and SMS as server-sent events",
        who=Who.CALLER,
    ),
)


def socket_route(service: Service) -> WebSocketRoute:
    """`/ws/events/`: the envelopes as they happen, after `?since=` where that is given."""

    async def connect(socket: WebSocket) -> None:
        try:
            caller = service.callers.authenticate(socket)
            owner = service.callers.scope(socket, caller)
        except RefusalError:
            # Before it is accepted: the client sees HTTP status 403.
            await socket.close(_POLICY_VIOLATION)
            return
        log = service.store.events
        asked = socket.query_params.get("since", "")
        since = int(asked) if asked.isascii() and asked.isdecimal() else log.last()
        await socket.accept()
        await _serve_socket(socket, log, owner.uuid if owner else None, since)

    return WebSocketRoute("/ws/events/", connect)


async def _serve_socket(socket: WebSocket, log: EventLog, scope: Scope, since: int) -> None:
    async def send_all() -> None:
        nonlocal since
        with log.listening(scope) as listener:
            while not log.is_closing:
                batch = log.since(since, _BATCH, scope)
                for event in batch:
                    since = int(str(event["seq"]))
                    await socket.send_json(event)
                if not batch:
                    await listener.wait()
            await socket.close(_GOING_AWAY)

    async def until_closed() -> None:
        while (await socket.receive())["type"] != "websocket.disconnect":
            continue

    tasks = [asyncio.ensure_future(send_all()), asyncio.ensure_future(until_closed())]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            exc = task.exception()
            # A peer that goes away in the middle of a message has not failed.
            if exc is not None and not isinstance(exc, WebSocketDisconnect | OSError):
                raise exc
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
