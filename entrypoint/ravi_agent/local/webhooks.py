"""Webhooks that are really sent: events posted to subscribers, signed, and tried again."""

import asyncio
import hashlib
import hmac
import json
import time
from datetime import UTC, datetime, timedelta

import httpx

from ravi_agent.local.database import Row, now
from ravi_agent.local.store import Store

_TRIES = 5
_TIMEOUT_S = 10.0
_AT_ONCE = 8
_PREVIEW = 200  # characters of an answer that are kept
_DUE = """
SELECT d.*, w.url, w.sealed, e.id AS event_id, e.type, e.data, e.seq
FROM deliveries d JOIN webhooks w ON w.id = d.webhook_id JOIN events e ON e.seq = d.event_seq
WHERE d.status IN ('pending', 'retrying') AND d.next_attempt_at <= ?
ORDER BY d.id LIMIT ?
"""


class Deliverer:
    """Sends what is due, for as long as `run` runs. What is due is in the database, so a restart
    loses nothing of it; an attempt that a restart cut short is made again, as the service does.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def run(self) -> None:
        """Until cancelled."""
        limits = httpx.Limits(max_connections=_AT_ONCE)
        # Subscribers are given by URL alone: no proxy of this machine stands between.
        async with httpx.AsyncClient(
            timeout=_TIMEOUT_S, limits=limits, trust_env=False, follow_redirects=False
        ) as client:
            with self._store.events.listening(None) as listener:
                while True:
                    due = self._store.db.all(_DUE, (now(), _AT_ONCE))
                    await asyncio.gather(*(self._deliver(client, row) for row in due))
                    if not due:
                        await listener.wait(self._until_next())

    def _until_next(self) -> float | None:
        """Seconds until the next attempt is due; None where none is planned."""
        row = self._store.db.one(
            "SELECT MIN(next_attempt_at) AS at FROM deliveries"
            " WHERE status IN ('pending', 'retrying')"
        )
        if row is None or row["at"] is None:
            return None
        wait = datetime.fromisoformat(row["at"]) - datetime.now(UTC)
        return max(0.0, wait.total_seconds())

    async def _deliver(self, client: httpx.AsyncClient, row: Row) -> None:
        body = payload(row)
        headers = signed(body, self._store.seal.open(row["sealed"])["signing_secret"])
        headers |= {"content-type": "application/json", "x-ravi-event-id": row["event_id"]}
        status, preview, error = None, "", ""
        try:
            async with client.stream("POST", row["url"], content=body, headers=headers) as answer:
                status = answer.status_code
                preview = await _beginning(answer)
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            error = f"{type(exc).__name__}: {exc}"[:_PREVIEW]
        attempts = row["attempts"] + 1
        is_over = status is not None and 200 <= status < 300
        outcome = "delivered" if is_over else "failed" if attempts >= _TRIES else "retrying"
        again_at = datetime.now(UTC) + timedelta(seconds=2 ** (attempts - 1))
        self._store.db.update(
            "deliveries",
            row["id"],
            status=outcome,
            attempts=attempts,
            next_attempt_at=again_at.isoformat() if outcome == "retrying" else None,
            response_status=status,
            response_preview=preview,
            last_error=error,
            updated_dt=now(),
        )


def payload(row: Row) -> bytes:
    """The body of a delivery: the event's envelope."""
    event = {"id": row["event_id"], "seq": row["seq"], "type": row["type"], "data": row["data"]}
    return json.dumps({**event, "data": json.loads(row["data"])}).encode()


def signed(body: bytes, secret: str) -> dict[str, str]:
    """The headers by which a subscriber knows that a delivery is the service's."""
    moment = str(int(time.time()))
    signature = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256)
    return {"x-ravi-timestamp": moment, "x-ravi-signature": f"sha256={signature.hexdigest()}"}


async def _beginning(answer: httpx.Response) -> str:
    content = b""
    async for chunk in answer.aiter_raw():
        content += chunk
        if len(content) >= _PREVIEW:
            break
    return content[:_PREVIEW].decode(errors="replace")
