"""SMS and calls of the local identities; no phone rings."""

import uuid
from typing import TYPE_CHECKING

from ravi_agent.local.database import Database, Row, now
from ravi_agent.local.events import EventLog
from ravi_agent.local.mailbox import PREVIEW, Message, filtered, one_of
from ravi_agent.local.pages import Listing

if TYPE_CHECKING:
    from ravi_agent.local.record import Record

_CONVERSATIONS = f"""
SELECT g.*, substr(latest.body, 1, {PREVIEW}) AS preview,
    latest.created_dt AS latest_message_dt, latest.phone
FROM (
    SELECT peer, COUNT(*) AS message_count, SUM(NOT is_read) AS unread_count, MAX(id) AS latest_id
    FROM sms WHERE identity_uuid = ? GROUP BY peer
) g JOIN sms latest ON latest.id = g.latest_id
"""  # noqa: S608
_SMS_FIELDS = (
    *("id", "from_number", "to_number", "body", "message_sid", "phone", "direction"),
    "created_dt",
)
_CALL_FIELDS = (
    *("id", "uuid", "phone", "from_number", "to_number", "direction", "status"),
    *("answered_at", "ended_at", "end_reason", "created_dt"),
)
# What both sides of every call here say.
_SCRIPT = (
    ("agent", "Hello, this is a local Ravi calling."),
    ("caller", "Hello. Nobody is here: this call is not real."),
)


class Phones:
    """Messages and calls by their owner; lists come with the newest first."""

    def __init__(self, db: Database, events: EventLog) -> None:
        self._db = db
        self._events = events

    def add_sms(
        self, owner: "Record", *, peer: str, body: str, is_incoming: bool = True
    ) -> Message:
        """Keep an SMS between its owner's number and another."""
        assert owner.phone
        sender, recipient = (peer, owner.phone) if is_incoming else (owner.phone, peer)
        with self._db.transaction():
            sms_id = self._db.insert(
                "sms",
                identity_uuid=owner.uuid,
                from_number=sender,
                to_number=recipient,
                peer=peer,
                body=body,
                message_sid=f"SM{uuid.uuid4().hex}",
                phone=str(owner.id),
                direction="incoming" if is_incoming else "outgoing",
                is_read=not is_incoming,
                created_dt=now(),
            )
            self._events.add(
                owner.uuid,
                f"sms.message.{'received' if is_incoming else 'sent'}",
                {
                    "message_id": sms_id,
                    "phone_id": owner.id,
                    "from_number": sender,
                    "to_number": recipient,
                    "body": body,
                },
            )
        added = self.sms(owner, str(sms_id))
        assert added is not None
        return added

    def all_sms(self, owner: "Record", *, is_read: bool | None = None) -> list[Message]:
        return self.sms_listing(owner, is_read=is_read).rows()

    def sms_listing(self, owner: "Record", **wanted: object) -> Listing:
        """SMS whose columns have the values of `wanted`, None being any."""
        query, parameters = filtered("sms", owner, wanted)
        return Listing(self._db, query, parameters, "id DESC", _sms)

    def sms(self, owner: "Record", sms_id: str) -> Message | None:
        row = one_of("sms", self._db, owner, sms_id)
        return _sms(row) if row else None

    def mark_sms(self, sms_id: object, *, is_read: bool) -> None:
        self._db.run("UPDATE sms SET is_read = ? WHERE id = ?", (is_read, sms_id))

    def conversation_listing(self, owner: "Record", *, unread_only: bool = False) -> Listing:
        """Conversations without their messages."""
        query = f"{_CONVERSATIONS} WHERE g.unread_count > 0" if unread_only else _CONVERSATIONS
        return Listing(
            self._db, query, (owner.uuid,), "latest_id DESC", lambda row: _conversation(row, owner)
        )

    def conversation(self, owner: "Record", conversation_id: str) -> Message | None:
        """One conversation with its `messages`, oldest first."""
        number, _, peer = conversation_id.partition("_")
        row = self._db.one(f"{_CONVERSATIONS} WHERE g.peer = ?", (owner.uuid, peer))
        if row is None or number != str(owner.id):
            return None
        messages = self.sms_listing(owner, peer=peer).rows()
        return {**_conversation(row, owner), "messages": messages[::-1]}

    # --- calls ---------------------------------------------------------------------------------

    def call(self, owner: "Record", to_number: str) -> Message:
        """A call that is taken, says its few words and is over at once."""
        assert owner.phone
        moment = now()
        with self._db.transaction():
            call_id = self._db.insert(
                "calls",
                uuid=str(uuid.uuid4()),
                identity_uuid=owner.uuid,
                phone=owner.id,
                from_number=owner.phone,
                to_number=to_number,
                direction="outgoing",
                status="ended",
                answered_at=moment,
                ended_at=moment,
                end_reason="completed",
                created_dt=moment,
            )
            for place, (speaker, words) in enumerate(_SCRIPT):
                self._db.insert(
                    "segments",
                    call_id=call_id,
                    speaker=speaker,
                    text=words,
                    sequence_number=place,
                    created_dt=moment,
                )
            call = self.find_call(owner, str(call_id))
            assert call
            for kind, status in (
                ("call.started", "ringing"),
                ("call.answered", "answered"),
                ("call.transcript.final", "ended"),
                ("call.ended", "ended"),
            ):
                self._events.add(owner.uuid, kind, _call_event(call, status))
        return call

    def call_listing(self, owner: "Record") -> Listing:
        query, parameters = filtered("calls", owner, {})
        return Listing(self._db, query, parameters, "id DESC", _call)

    def find_call(self, owner: "Record", call_id: str) -> Message | None:
        row = one_of("calls", self._db, owner, call_id)
        return _call(row) if row else None

    def transcript(self, call_id: object) -> Listing:
        """What was said in a call, in order."""
        query = "SELECT * FROM segments WHERE call_id = ?"
        return Listing(self._db, query, (call_id,), "sequence_number", _segment)


def _sms(row: Row) -> Message:
    return {**{field: row[field] for field in _SMS_FIELDS}, "is_read": bool(row["is_read"])}


def _conversation(row: Row, owner: "Record") -> Message:
    return {
        "conversation_id": f"{owner.id}_{row['peer']}",
        "from_number": row["peer"],
        "phone": row["phone"],
        "phone_number": owner.phone or "",
        "preview": row["preview"],
        "message_count": row["message_count"],
        "unread_count": row["unread_count"],
        "latest_message_dt": row["latest_message_dt"],
    }


def _call(row: Row) -> Message:
    return {field: row[field] for field in _CALL_FIELDS}


def _call_event(call: Message, status: str) -> Message:
    return {
        "call_id": call["uuid"],
        "phone_id": call["phone"],
        "direction": call["direction"],
        "status": status,
        "from_number": call["from_number"],
        "to_number": call["to_number"],
    }


def _segment(row: Row) -> Message:
    return {
        "id": row["id"],
        "speaker": row["speaker"],
        "text": row["text"],
        "is_final": True,
        "confidence": 1.0,
        "sequence_number": row["sequence_number"],
        "occurred_at": row["created_dt"],
        "created_dt": row["created_dt"],
    }
