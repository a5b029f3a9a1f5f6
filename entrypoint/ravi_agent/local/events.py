"""What happened, in order: the log behind `GET /api/events/`, the streams and the webhooks."""

import asyncio
import json
import uuid
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from ravi_agent.local.database import Database, Row, now

TYPES = (
    "email.message.received",
    "email.message.sent",
    "sms.message.received",
    "sms.message.sent",
    "call.started",
    "call.answered",
    "call.ended",
    "call.failed",
    "call.transcript.final",
    "webhook.test",
)
Envelope = dict[str, object]
# Who listens: one identity's, or (None) everything.
Scope = str | None


class Listener:
    """Told that there may be more to read; what there is stays in the log, so nothing piles up."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Event()

    async def wait(self, timeout_s: float | None = None) -> bool:
        """Until something came since the last wait; False when the time is up."""
        try:
            await asyncio.wait_for(self._news.wait(), timeout_s)
        except TimeoutError:
            return False
        self._news.clear()
        return True

    def tell(self) -> None:
        """From any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._news.set)


class EventLog:
    """Events of every identity; `seq` grows by each."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._listeners: defaultdict[Scope, set[Listener]] = defaultdict(set)
        self._watchers: set[Listener] = set()
        db.on_change = self.changed
        self.is_closing = False

    def add(self, identity_uuid: str, kind: str, data: dict[str, object]) -> None:
        """Log an event, and plan its delivery to the webhooks that want it."""
        moment = now()
        with self._db.transaction():
            seq = self._db.insert(
                "events",
                id=str(uuid.uuid4()),
                identity_uuid=identity_uuid,
                type=kind,
                data=json.dumps(data),
            )
            for hook in self._db.all(
                "SELECT * FROM webhooks WHERE enabled"
                " AND (identity_uuid IS NULL OR identity_uuid = ?)",
                (identity_uuid,),
            ):
                wanted = json.loads(hook["event_types"])
                if not wanted or kind in wanted:
                    self._db.insert(
                        "deliveries",
                        uuid=str(uuid.uuid4()),
                        webhook_id=hook["id"],
                        event_seq=seq,
                        status="pending",
                        next_attempt_at=moment,
                        created_dt=moment,
                        updated_dt=moment,
                    )
        for scope in (identity_uuid, None):
            for listener in list(self._listeners.get(scope, ())):
                listener.tell()

    def since(
        self, seq: int, limit: int, scope: Scope = None, kinds: Collection[str] = ()
    ) -> list[Envelope]:
        """Events after `seq`, oldest first; of one identity, and of some types, where named."""
        conditions, parameters = ["seq > ?"], [seq]
        values: list[object] = [*parameters]
        if scope is not None:
            conditions.append("identity_uuid = ?")
            values.append(scope)
        if kinds:
            conditions.append(f"type IN ({', '.join('?' * len(kinds))})")
            values.extend(kinds)
        rows = self._db.all(
            f"SELECT * FROM events WHERE {' AND '.join(conditions)} ORDER BY seq LIMIT ?",  # noqa: S608
            [*values, limit],
        )
        return [envelope(row) for row in rows]

    def close(self) -> None:
        """Tell every listener that this server ends, from any thread; `is_closing` says so."""
        self.is_closing = True
        for listeners in list(self._listeners.values()):
            for listener in list(listeners):
                listener.tell()
        self.changed()

    def changed(self) -> None:
        """Tell every watcher, from any thread, that there is something else to see."""
        for watcher in list(self._watchers):
            watcher.tell()

    def last(self) -> int:
        """The newest event's `seq`; 0 where there is none."""
        row = self._db.one("SELECT MAX(seq) AS seq FROM events")
        return int(row["seq"] or 0) if row else 0

    @contextmanager
    def listening(self, scope: Scope) -> Iterator[Listener]:
        """A listener for as long as it is used."""
        listener = Listener()
        self._listeners[scope].add(listener)
        try:
            yield listener
        finally:
            self._listeners[scope].discard(listener)
            if not self._listeners[scope]:
                del self._listeners[scope]

    @contextmanager
    def watching(self) -> Iterator[Listener]:
        """A listener that is told of every change: of events, and of all else that is kept."""
        watcher = Listener()
        self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)


def envelope(row: Row) -> Envelope:
    """An event as clients get it."""
    return {
        "id": row["id"],
        "seq": row["seq"],
        "type": row["type"],
        "data": json.loads(row["data"]),
    }
