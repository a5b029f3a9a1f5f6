"""Mail of the local identities, and the files attached to it.

The service marks nothing as read when it is read, as far as its documentation says, and neither
does this.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ravi_agent.local.database import Database, Row, now
from ravi_agent.local.events import EventLog
from ravi_agent.local.pages import Listing

if TYPE_CHECKING:
    from ravi_agent.local.record import Record

PREVIEW = 100  # characters
_THREADS = f"""
SELECT g.*, latest.from_email, latest.from_display_name, first.subject,
    substr(latest.text_content, 1, {PREVIEW}) AS preview,
    latest.created_dt AS latest_message_dt, first.created_dt AS oldest_message_dt
FROM (
    SELECT thread_id, COUNT(*) AS message_count, SUM(NOT is_read) AS unread_count,
        MIN(id) AS first_id, MAX(id) AS latest_id
    FROM mails WHERE identity_uuid = ? GROUP BY thread_id
) g JOIN mails latest ON latest.id = g.latest_id JOIN mails first ON first.id = g.first_id
"""  # noqa: S608
_THREAD_FIELDS = (
    *("thread_id", "subject", "preview", "from_email", "from_display_name"),
    *("message_count", "unread_count", "latest_message_dt", "oldest_message_dt"),
)
_MAIL_FIELDS = (
    *("id", "uuid", "from_email", "from_display_name", "to_email", "cc", "subject"),
    *("text_content", "html_content", "direction", "sender_type", "message_id", "thread_id"),
    "created_dt",
)
Message = dict[str, object]


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A file that comes with a mail."""

    filename: str
    content_type: str
    content: bytes
    is_inline: bool = False


@dataclass(frozen=True, kw_only=True)
class Mail:
    """A mail on its way; `answers` are the message ids it refers to, `cc` addresses with commas.

    files: what came with it. file_uuids: what was uploaded for it before.
    """

    from_email: str
    to_email: str
    subject: str
    text_content: str
    html_content: str
    message_id: str
    from_display_name: str = ""
    cc: str = ""
    answers: tuple[str, ...] = ()
    files: tuple[Upload, ...] = ()
    file_uuids: tuple[str, ...] = ()


class Mailbox:
    """Mails by their owner; lists come with the newest first."""

    def __init__(self, db: Database, events: EventLog) -> None:
        self._db = db
        self._events = events

    def add_mail(
        self, owner: "Record", mail: Mail, *, is_incoming: bool = True, file_ids: Sequence[int] = ()
    ) -> Message:
        """Keep a mail in its owner's mailbox, in the thread of what it answers.

        file_ids: of files that are stored already; others of the mail are stored with it.
        """
        with self._db.transaction():
            mail_id = self._db.insert(
                "mails",
                uuid=str(uuid.uuid4()),
                identity_uuid=owner.uuid,
                thread_id=self._thread_of(owner, mail.answers) or uuid.uuid4().hex,
                message_id=mail.message_id,
                from_email=mail.from_email,
                from_display_name=mail.from_display_name,
                to_email=mail.to_email,
                cc=mail.cc,
                subject=mail.subject,
                text_content=mail.text_content,
                html_content=mail.html_content,
                direction="incoming" if is_incoming else "outgoing",
                sender_type="",
                is_read=not is_incoming,
                created_dt=now(),
            )
            known = list(file_ids) or self.keep(mail.files)
            for upload, file_id in zip(mail.files, known, strict=True):
                self._attach(owner.uuid, mail_id, upload, file_id)
            self._events.add(
                owner.uuid,
                f"email.message.{'received' if is_incoming else 'sent'}",
                {
                    "message_id": mail_id,
                    "inbox_id": owner.id,
                    "from_email": mail.from_email,
                    "to_email": mail.to_email,
                    "subject": mail.subject,
                },
            )
        added = self.mail(owner, str(mail_id))
        assert added is not None
        return added

    def keep(self, files: Iterable[Upload]) -> list[int]:
        """Store the content of files once, for one mail or for many; returns their ids."""
        return [self._db.insert("files", content=file.content) for file in files]

    def mails(
        self,
        owner: "Record",
        *,
        is_read: bool | None = None,
        direction: str | None = None,
        thread_id: str | None = None,
        from_email: str | None = None,
    ) -> list[Message]:
        return self.mail_listing(
            owner, is_read=is_read, direction=direction, thread_id=thread_id, from_email=from_email
        ).rows()

    def mail_listing(self, owner: "Record", **wanted: object) -> Listing:
        """Mails whose columns have the values of `wanted`, None being any."""
        query, parameters = filtered("mails", owner, wanted)
        return Listing(self._db, query, parameters, "id DESC", self._shown)

    def mail(self, owner: "Record", mail_id: str) -> Message | None:
        row = one_of("mails", self._db, owner, mail_id)
        return self._shown(row) if row else None

    def mark_mail(self, mail_id: object, *, is_read: bool) -> None:
        self._db.run("UPDATE mails SET is_read = ? WHERE id = ?", (is_read, mail_id))

    def thread_listing(self, owner: "Record", *, unread_only: bool = False) -> Listing:
        """Threads without their messages."""
        query = f"{_THREADS} WHERE g.unread_count > 0" if unread_only else _THREADS
        return Listing(
            self._db, query, (owner.uuid,), "latest_id DESC", lambda row: _thread(row, owner)
        )

    def thread(self, owner: "Record", thread_id: str) -> Message | None:
        """One thread with its `messages`, oldest first."""
        row = self._db.one(f"{_THREADS} WHERE g.thread_id = ?", (owner.uuid, thread_id))
        if row is None:
            return None
        messages = self.mails(owner, thread_id=thread_id)
        return {**_thread(row, owner), "messages": messages[::-1]}

    # --- files ---------------------------------------------------------------------------------

    def expect_file(self, owner_uuid: str | None, upload: Upload, size_bytes: int) -> str:
        """A place for a file that will be uploaded; returns its UUID."""
        file_uuid = str(uuid.uuid4())
        self._db.insert(
            "attachments",
            uuid=file_uuid,
            identity_uuid=owner_uuid,
            filename=upload.filename,
            content_type=upload.content_type,
            size_bytes=size_bytes,
            is_inline=upload.is_inline,
            created_dt=now(),
        )
        return file_uuid

    def fill_file(self, file_uuid: str, content: bytes) -> None:
        """Keep what was uploaded for a place that `expect_file` made."""
        with self._db.transaction():
            file_id = self._db.insert("files", content=content)
            self._db.run(
                "UPDATE attachments SET file_id = ?, size_bytes = ? WHERE uuid = ?",
                (file_id, len(content), file_uuid),
            )

    def file(self, file_uuid: str) -> Row | None:
        """A file and what is known of it; `content` is NULL until it was uploaded."""
        return self._db.one(
            "SELECT a.*, f.content FROM attachments a LEFT JOIN files f ON f.id = a.file_id"
            " WHERE a.uuid = ?",
            (file_uuid,),
        )

    def uploaded(self, owner: "Record", file_uuid: str) -> Upload | None:
        """A file that this identity or its account has uploaded and not yet sent."""
        row = self.file(file_uuid)
        is_theirs = row is not None and row["identity_uuid"] in {None, owner.uuid}
        if row is None or not is_theirs or row["content"] is None or row["mail_id"] is not None:
            return None
        return upload_of(row)

    def files_of(self, mail_id: object) -> list[Upload]:
        """The files of a mail with their content: to forward them."""
        rows = self._db.all(
            "SELECT a.*, f.content FROM attachments a JOIN files f ON f.id = a.file_id"
            " WHERE a.mail_id = ? ORDER BY a.id",
            (mail_id,),
        )
        return [upload_of(row) for row in rows]

    def _attach(self, owner_uuid: str, mail_id: int, upload: Upload, file_id: int) -> None:
        self._db.insert(
            "attachments",
            uuid=str(uuid.uuid4()),
            identity_uuid=owner_uuid,
            mail_id=mail_id,
            file_id=file_id,
            filename=upload.filename,
            content_type=upload.content_type,
            size_bytes=len(upload.content),
            is_inline=upload.is_inline,
            created_dt=now(),
        )

    def _thread_of(self, owner: "Record", answers: Iterable[str]) -> str | None:
        for message_id in answers:
            row = self._db.one(
                "SELECT thread_id FROM mails WHERE identity_uuid = ? AND message_id = ?",
                (owner.uuid, message_id),
            )
            if row:
                return str(row["thread_id"])
        return None

    def _shown(self, row: Row) -> Message:
        files = self._db.all(
            "SELECT * FROM attachments WHERE mail_id = ? ORDER BY id", (row["id"],)
        )
        return {
            **{field: row[field] for field in _MAIL_FIELDS},
            "is_read": bool(row["is_read"]),
            "attachments": [_attachment(file) for file in files],
        }


def filtered(
    table: str, owner: "Record", wanted: dict[str, object]
) -> tuple[str, tuple[object, ...]]:
    """A query for an identity's rows whose columns have the values of `wanted`, None being any."""
    chosen = {column: value for column, value in wanted.items() if value is not None}
    conditions = "".join(f" AND {column} = ?" for column in chosen)
    query = f"SELECT * FROM {table} WHERE identity_uuid = ?{conditions}"  # noqa: S608
    return query, (owner.uuid, *chosen.values())


def one_of(table: str, db: Database, owner: "Record", row_id: str) -> Row | None:
    """An identity's row by its id, as text: a number of any length is then just not there."""
    return db.one(
        f"SELECT * FROM {table} WHERE identity_uuid = ? AND id = ?",  # noqa: S608
        (owner.uuid, row_id),
    )


def upload_of(row: Row) -> Upload:
    return Upload(
        filename=row["filename"],
        content_type=row["content_type"],
        content=row["content"],
        is_inline=bool(row["is_inline"]),
    )


def _attachment(row: Row) -> Message:
    return {
        "id": row["id"],
        "uuid": row["uuid"],
        "filename": row["filename"],
        "content_type": row["content_type"],
        # Both names: older clients read the second.
        "size_bytes": row["size_bytes"],
        "size": row["size_bytes"],
        "is_inline": bool(row["is_inline"]),
    }


def _thread(row: Row, owner: "Record") -> Message:
    return {**{field: row[field] for field in _THREAD_FIELDS}, "inbox": owner.email}
