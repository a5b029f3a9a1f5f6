"""What the page shows, read from the store: identities, and messages of one of them or of all."""

from ravi_agent.command.message_content import code_of
from ravi_agent.local.database import Database, Row
from ravi_agent.local.files_api import download_path
from ravi_agent.local.record import Record, record_of, shown
from ravi_agent.local.store import Store

Entry = dict[str, object]
SHOWN = 100  # entries of a list
_MOST_TEXT, _MOST_HTML = 100_000, 1_000_000  # characters of one message
_MOST_CODES = 10_000
_IDENTITIES = """
SELECT i.*,
    (SELECT COUNT(*) FROM mails WHERE identity_uuid = i.uuid AND NOT is_read)
    + (SELECT COUNT(*) FROM sms WHERE identity_uuid = i.uuid AND NOT is_read) AS unread
FROM identities i WHERE ?1 = '' OR instr(lower(i.name || ' ' || i.email), lower(?1))
    OR instr(i.phone, ?1)
    OR EXISTS (SELECT 1 FROM mails WHERE identity_uuid = i.uuid
        AND instr(lower(subject || ' ' || text_content || ' ' || from_email), lower(?1)))
    OR EXISTS (SELECT 1 FROM sms WHERE identity_uuid = i.uuid AND instr(lower(body), lower(?1)))
ORDER BY i.id DESC LIMIT ?2
"""
# ?1: an identity's UUID, or NULL for all; ?2: a direction, or NULL for both; ?3: a text, or ''.
_WANTED = "(?1 IS NULL OR identity_uuid = ?1) AND (?2 IS NULL OR direction = ?2)"
_MAILS = f"""
SELECT * FROM mails WHERE {_WANTED} AND (?3 = '' OR instr(lower(
    subject || ' ' || text_content || ' ' || from_email || ' ' || to_email), lower(?3)))
ORDER BY id DESC LIMIT ?4
"""  # noqa: S608
_SMS = f"""
SELECT * FROM sms WHERE {_WANTED} AND (?3 = '' OR instr(lower(
    body || ' ' || from_number || ' ' || to_number), lower(?3)))
ORDER BY id DESC LIMIT ?4
"""  # noqa: S608
_DELIVERIES = """
SELECT d.*, e.type AS event_type, w.url AS endpoint_url FROM deliveries d
    JOIN webhooks w ON w.id = d.webhook_id JOIN events e ON e.seq = d.event_seq
ORDER BY d.id DESC LIMIT ?
"""


class PageData:
    """The newest of everything, SHOWN entries of each."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._db: Database = store.db
        self._codes: dict[str, str | None] = {}

    def identities(self, query: str) -> list[Entry]:
        """Identities, newest first: all, or those in which, or in whose messages, a text occurs."""
        rows = self._db.all(_IDENTITIES, (query, SHOWN))
        return [{**shown(record_of(row)), "unread": row["unread"]} for row in rows]

    def messages(
        self, owner: Record | None, query: str, *, direction: str | None = None
    ) -> list[Entry]:
        """Mail and SMS, newest first; of all identities where there is no owner."""
        wanted = (owner.uuid if owner else None, direction, query, SHOWN)
        found = [self._mail(row) for row in self._db.all(_MAILS, wanted)]
        found += [self._sms(row) for row in self._db.all(_SMS, wanted)]
        found.sort(key=lambda one: str(one["created_dt"]), reverse=True)
        return found[:SHOWN]

    def calls(self) -> list[Entry]:
        rows = self._db.all("SELECT * FROM calls ORDER BY id DESC LIMIT ?", (SHOWN,))
        return [dict(row) for row in rows]

    def deliveries(self) -> list[Entry]:
        return [dict(row) for row in self._db.all(_DELIVERIES, (SHOWN,))]

    def _mail(self, row: Row) -> Entry:
        files = self._db.all(
            "SELECT * FROM attachments WHERE mail_id = ? ORDER BY id", (row["id"],)
        )
        message: Entry = {
            "key": f"mail-{row['id']}",
            "kind": "mail",
            "subject": row["subject"],
            "from": row["from_email"],
            "to": row["to_email"],
            "text": row["text_content"][:_MOST_TEXT],
            "html": row["html_content"][:_MOST_HTML],
            "files": [
                {
                    "filename": file["filename"] or "file",
                    "size_bytes": file["size_bytes"],
                    "path": download_path(self._store.seal, file["uuid"]),
                }
                for file in files
            ],
        }
        return self._finished(message, row)

    def _sms(self, row: Row) -> Entry:
        message: Entry = {
            "key": f"sms-{row['id']}",
            "kind": "SMS",
            "subject": "",
            "from": row["from_number"],
            "to": row["to_number"],
            "text": row["body"][:_MOST_TEXT],
            "html": "",
            "files": [],
        }
        return self._finished(message, row)

    def _finished(self, message: Entry, row: Row) -> Entry:
        kept = {name: row[name] for name in ("direction", "is_read", "created_dt")}
        return {**message, **kept, "code": self._code(message, row["direction"])}

    def _code(self, message: Entry, direction: str) -> str | None:
        """The code in a message that came, looked for once."""
        key = str(message["key"])
        if direction != "incoming":
            return None
        if key not in self._codes:
            if len(self._codes) >= _MOST_CODES:
                self._codes.clear()
            self._codes[key] = code_of(
                {
                    "subject": message["subject"],
                    "text_content": message["text"],
                    "html_content": message["html"],
                }
            )
        return self._codes[key]
