"""Mail and SMS of the local identities, in the tables beside theirs.

Column names are the service's field names. The service marks nothing as read when it is read,
as far as its documentation says, and neither does this.
"""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

    from ravi_agent.local.store import Record

MAILBOX_SCHEMA = """
CREATE TABLE IF NOT EXISTS mails (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    identity_uuid TEXT NOT NULL REFERENCES identities (uuid) ON DELETE CASCADE,
    thread_id TEXT NOT NULL,
    message_id TEXT NOT NULL,
    from_email TEXT NOT NULL,
    to_email TEXT NOT NULL,
    cc TEXT NOT NULL,
    subject TEXT NOT NULL,
    text_content TEXT NOT NULL,
    html_content TEXT NOT NULL,
    direction TEXT NOT NULL,
    is_read INTEGER NOT NULL,
    created_dt TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS mails_of ON mails (identity_uuid, message_id);
CREATE TABLE IF NOT EXISTS sms (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    identity_uuid TEXT NOT NULL REFERENCES identities (uuid) ON DELETE CASCADE,
    from_number TEXT NOT NULL,
    to_number TEXT NOT NULL,
    body TEXT NOT NULL,
    message_sid TEXT NOT NULL,
    phone TEXT NOT NULL,
    direction TEXT NOT NULL,
    is_read INTEGER NOT NULL,
    created_dt TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS sms_of ON sms (identity_uuid);
"""
_PREVIEW = 100  # characters


@dataclass(frozen=True, kw_only=True)
class Mail:
    """A mail on its way; `answers` are the message ids it refers to, `cc` addresses with commas."""

    from_email: str
    to_email: str
    subject: str
    text_content: str
    html_content: str
    message_id: str
    cc: str = ""
    answers: tuple[str, ...] = ()


Message = dict[str, object]


class Mailbox:
    """Messages by their owner; lists come with the newest first."""

    def __init__(self, db: "sqlite3.Connection") -> None:
        self._db = db

    def add_mail(self, owner: "Record", mail: Mail, *, is_incoming: bool = True) -> Message:
        """Keep a mail in its owner's mailbox, in the thread of what it answers."""
        cursor = self._db.execute(
            "INSERT INTO mails (identity_uuid, thread_id, message_id, from_email, to_email, cc,"
            " subject, text_content, html_content, direction, is_read, created_dt)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                owner.uuid,
                self._thread_of(owner, mail.answers) or uuid.uuid4().hex,
                mail.message_id,
                mail.from_email,
                mail.to_email,
                mail.cc,
                mail.subject,
                mail.text_content,
                mail.html_content,
                "incoming" if is_incoming else "outgoing",
                not is_incoming,
                datetime.now(UTC).isoformat(),
            ),
        )
        added = self.mail(owner, str(cursor.lastrowid))
        assert added is not None
        return added

    def mails(self, owner: "Record", *, unread_only: bool = False) -> list[Message]:
        return self._all("mails", owner, unread_only=unread_only)

    def mail(self, owner: "Record", mail_id: str) -> Message | None:
        return self._one("mails", owner, mail_id)

    def threads(self, owner: "Record", *, unread_only: bool = False) -> list[Message]:
        """Threads without their messages."""
        grouped = _grouped(self.mails(owner), "thread_id")
        threads = [_thread(owner, messages) for messages in grouped]
        return [thread for thread in threads if thread["unread_count"] or not unread_only]

    def thread(self, owner: "Record", thread_id: str) -> Message | None:
        """One thread with its `messages`, oldest first."""
        for messages in _grouped(self.mails(owner), "thread_id"):
            if messages[0]["thread_id"] == thread_id:
                return {**_thread(owner, messages), "messages": messages[::-1]}
        return None

    def add_sms(self, owner: "Record", *, from_number: str, body: str) -> Message:
        """Keep an SMS to its owner's number."""
        cursor = self._db.execute(
            "INSERT INTO sms (identity_uuid, from_number, to_number, body, message_sid, phone,"
            " direction, is_read, created_dt) VALUES (?, ?, ?, ?, ?, ?, 'incoming', 0, ?)",
            (
                owner.uuid,
                from_number,
                owner.phone,
                body,
                f"SM{uuid.uuid4().hex}",
                str(owner.id),
                datetime.now(UTC).isoformat(),
            ),
        )
        added = self.sms(owner, str(cursor.lastrowid))
        assert added is not None
        return added

    def all_sms(self, owner: "Record", *, unread_only: bool = False) -> list[Message]:
        return self._all("sms", owner, unread_only=unread_only)

    def sms(self, owner: "Record", sms_id: str) -> Message | None:
        return self._one("sms", owner, sms_id)

    def conversations(self, owner: "Record", *, unread_only: bool = False) -> list[Message]:
        """Conversations without their messages."""
        grouped = _grouped(self.all_sms(owner), "from_number")
        found = [_conversation(owner, messages) for messages in grouped]
        return [one for one in found if one["unread_count"] or not unread_only]

    def conversation(self, owner: "Record", conversation_id: str) -> Message | None:
        """One conversation with its `messages`, oldest first."""
        for messages in _grouped(self.all_sms(owner), "from_number"):
            conversation = _conversation(owner, messages)
            if conversation["conversation_id"] == conversation_id:
                return {**conversation, "messages": messages[::-1]}
        return None

    def _thread_of(self, owner: "Record", answers: Iterable[str]) -> str | None:
        for message_id in answers:
            row = self._db.execute(
                "SELECT thread_id FROM mails WHERE identity_uuid = ? AND message_id = ?",
                (owner.uuid, message_id),
            ).fetchone()
            if row:
                return str(row["thread_id"])
        return None

    def _all(self, table: str, owner: "Record", *, unread_only: bool) -> list[Message]:
        rows = self._db.execute(
            f"SELECT * FROM {table} WHERE identity_uuid = ? AND is_read <= ?"  # noqa: S608 - ours
            " ORDER BY id DESC",
            (owner.uuid, not unread_only),
        )
        return [_message(row) for row in rows]

    def _one(self, table: str, owner: "Record", row_id: str) -> Message | None:
        # As text: a number of any length is then just not there.
        row = self._db.execute(
            f"SELECT * FROM {table} WHERE identity_uuid = ? AND id = ?",  # noqa: S608 - ours
            (owner.uuid, row_id),
        ).fetchone()
        return _message(row) if row else None


def _message(row: "sqlite3.Row") -> Message:
    message: Message = dict(row)
    del message["identity_uuid"]
    message["is_read"] = bool(message["is_read"])
    return message


def _grouped(messages: list[Message], field: str) -> list[list[Message]]:
    groups: dict[object, list[Message]] = {}
    for message in messages:
        groups.setdefault(message[field], []).append(message)
    return list(groups.values())


def _counts(messages: list[Message]) -> Message:
    return {
        "message_count": len(messages),
        "unread_count": sum(not message["is_read"] for message in messages),
        "latest_message_dt": messages[0]["created_dt"],
    }


def _thread(owner: "Record", messages: list[Message]) -> Message:
    latest, first = messages[0], messages[-1]
    return {
        "thread_id": first["thread_id"],
        "subject": first["subject"],
        "preview": str(latest["text_content"])[:_PREVIEW],
        "from_email": latest["from_email"],
        "inbox": owner.email,
        **_counts(messages),
        "oldest_message_dt": first["created_dt"],
    }


def _conversation(owner: "Record", messages: list[Message]) -> Message:
    latest = messages[0]
    return {
        "conversation_id": f"{owner.id}_{latest['from_number']}",
        "from_number": latest["from_number"],
        "phone": latest["phone"],
        "phone_number": owner.phone,
        "preview": str(latest["body"])[:_PREVIEW],
        **_counts(messages),
    }
