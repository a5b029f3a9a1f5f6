"""Identities, keys and addresses in SQLite; none of them is real."""

import hashlib
import re
import secrets
import sqlite3
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from ravi_agent.local.mailbox import MAILBOX_SCHEMA, Mailbox

# Reserved for tests (RFC 6761); the area code 555 is assigned to nobody.
DOMAIN = "ravi-local.test"
PHONE_PREFIX = "+1555"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS identities (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    email TEXT NOT NULL UNIQUE,
    phone TEXT,
    created_dt TEXT NOT NULL,
    updated_dt TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS keys (
    digest TEXT PRIMARY KEY,
    identity_uuid TEXT NOT NULL REFERENCES identities (uuid) ON DELETE CASCADE,
    label TEXT NOT NULL,
    created_dt TEXT NOT NULL
);
"""


class StoreError(Exception):
    """A request that the service would refuse with status 400."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """One identity as it is stored; `id` numbers its email address and phone number too."""

    id: int
    uuid: str
    name: str
    email: str
    phone: str | None
    created_dt: str
    updated_dt: str


class Store:
    """The database; used from one thread, so every method is one transaction."""

    def __init__(self, path: str) -> None:
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute("PRAGMA foreign_keys=ON")
        self._db.executescript(_SCHEMA + MAILBOX_SCHEMA)
        self.mailbox = Mailbox(self._db)

    def close(self) -> None:
        self._db.close()

    def identities(self) -> list[Record]:
        rows = self._db.execute("SELECT * FROM identities ORDER BY id")
        return [Record(**row) for row in rows]

    def identity(self, identity_uuid: str) -> Record | None:
        row = self._db.execute(
            "SELECT * FROM identities WHERE uuid = ?", (identity_uuid,)
        ).fetchone()
        return Record(**row) if row else None

    def identity_at(self, address: str) -> Record | None:
        """The identity of an email address, in any case of letters, or of a phone number."""
        row = self._db.execute(
            "SELECT * FROM identities WHERE email = ? COLLATE NOCASE OR phone = ?",
            (address, address),
        ).fetchone()
        return Record(**row) if row else None

    def create(self, *, name: str | None, email: str | None, with_phone: bool) -> Record:
        """A new identity; raises StoreError for an address that is taken or of a foreign domain."""
        now = datetime.now(UTC).isoformat()
        identity_uuid = str(uuid.uuid4())
        name = name or f"agent-{secrets.token_hex(3)}"
        address = self._address(name, email)
        cursor = self._db.execute(
            "INSERT INTO identities (uuid, name, email, created_dt, updated_dt)"
            " VALUES (?, ?, ?, ?, ?)",
            (identity_uuid, name, address, now, now),
        )
        if with_phone:
            phone = f"{PHONE_PREFIX}{cursor.lastrowid:07d}"
            self._db.execute(
                "UPDATE identities SET phone = ? WHERE id = ?", (phone, cursor.lastrowid)
            )
        created = self.identity(identity_uuid)
        assert created is not None
        return created

    def rename(self, identity_uuid: str, name: str) -> Record | None:
        self._db.execute(
            "UPDATE identities SET name = ?, updated_dt = ? WHERE uuid = ?",
            (name, datetime.now(UTC).isoformat(), identity_uuid),
        )
        return self.identity(identity_uuid)

    def delete(self, identity_uuid: str) -> bool:
        cursor = self._db.execute("DELETE FROM identities WHERE uuid = ?", (identity_uuid,))
        return cursor.rowcount == 1

    def mint_key(self, identity_uuid: str, label: str) -> str:
        """A new key, stored as a digest: it is shown this once."""
        key = f"ravi_id_{secrets.token_urlsafe(24)}"
        self._db.execute(
            "INSERT INTO keys VALUES (?, ?, ?, ?)",
            (_digest(key), identity_uuid, label, datetime.now(UTC).isoformat()),
        )
        return key

    def identity_of_key(self, key: str) -> Record | None:
        row = self._db.execute(
            "SELECT i.* FROM identities i JOIN keys k ON k.identity_uuid = i.uuid"
            " WHERE k.digest = ?",
            (_digest(key),),
        ).fetchone()
        return Record(**row) if row else None

    def _address(self, name: str, email: str | None) -> str:
        if email:
            local, _, domain = email.partition("@")
            if domain not in {"", DOMAIN} or not re.fullmatch(r"[A-Za-z0-9._+-]{1,64}", local):
                raise StoreError(f"email: give a local part, or an address at {DOMAIN}")
            address = f"{local}@{DOMAIN}"
            if self._is_taken(address):
                raise StoreError("email: this address is taken")
            return address
        local = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip(".-")[:48] or "agent"
        address = f"{local}@{DOMAIN}"
        while self._is_taken(address):
            address = f"{local}-{secrets.token_hex(3)}@{DOMAIN}"
        return address

    def _is_taken(self, address: str) -> bool:
        found = self._db.execute("SELECT 1 FROM identities WHERE email = ?", (address,))
        return found.fetchone() is not None


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def text_field(body: Mapping[str, object], field: str) -> str | None:
    """An optional text of a request; raises StoreError for anything else."""
    value = body.get(field)
    if value is None:
        return None
    if not isinstance(value, str) or not value.isprintable():
        raise StoreError(f"{field}: not a printable string")
    return value
