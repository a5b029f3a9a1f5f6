"""Identities and keys of the local Ravi; none of them is real."""

import re
import secrets
import time
import uuid

from ravi_agent.local.database import Database, Row, now
from ravi_agent.local.events import EventLog
from ravi_agent.local.mailbox import Mailbox
from ravi_agent.local.pages import Listing
from ravi_agent.local.phones import Phones
from ravi_agent.local.record import Record, record_of, shown
from ravi_agent.local.refusals import RefusalError, StoreError
from ravi_agent.local.schema import DOMAIN, PHONE_PREFIX, TABLES
from ravi_agent.local.sealed import Seal, digest, new_key

__all__ = ["DOMAIN", "Store", "StoreError"]

_LOCAL_PART = re.compile(r"[A-Za-z0-9._+-]{1,64}")
_LAST_USE_S = 60  # a key's last use is written down this often at most


class Store:
    """Everything the service keeps; every method is one transaction."""

    def __init__(self, path: str) -> None:
        self.db = Database(path, TABLES)
        try:
            self.seal = Seal(path)
        except BaseException:
            self.db.close()
            raise
        self.events = EventLog(self.db)
        self.mailbox = Mailbox(self.db, self.events)
        self.phones = Phones(self.db, self.events)
        self._last_use: dict[int, float] = {}

    def close(self) -> None:
        self.db.close()
        self.seal.unlock()

    # --- identities ----------------------------------------------------------------------------

    def identities(self) -> list[Record]:
        return [record_of(row) for row in self.db.all("SELECT * FROM identities ORDER BY id")]

    def listing(self, only: str | None = None) -> Listing:
        """Identities, oldest first, as the service shows them; all, or one by its UUID."""
        query = "SELECT * FROM identities WHERE ?1 IS NULL OR uuid = ?1"
        return Listing(self.db, query, (only,), "id", lambda row: shown(record_of(row)))

    def identity(self, identity_uuid: str) -> Record | None:
        row = self.db.one("SELECT * FROM identities WHERE uuid = ?", (identity_uuid,))
        return record_of(row) if row else None

    def identity_at(self, address: str) -> Record | None:
        """The identity of an email address, in any case of letters, or of a phone number."""
        row = self.db.one(
            "SELECT * FROM identities WHERE email = ? OR phone = ?", (address, address)
        )
        return record_of(row) if row else None

    def create(
        self,
        *,
        name: str | None,
        email: str | None,
        with_phone: bool,
        identity_uuid: str | None = None,
    ) -> Record:
        """A new identity; RefusalError for an address that is taken or of a foreign domain."""
        moment, identity_uuid = now(), identity_uuid or str(uuid.uuid4())
        name = name or f"agent-{secrets.token_hex(3)}"
        with self.db.transaction():
            number = self.db.insert(
                "identities",
                uuid=identity_uuid,
                name=name,
                email=self._address(name, email),
                created_dt=moment,
                updated_dt=moment,
            )
            if with_phone:
                self.db.update("identities", number, phone=_phone_number(number))
        return self._there(identity_uuid)

    def provision_phone(self, record: Record) -> Record:
        """A number for an identity that has none; RefusalError where it has one."""
        if record.phone:
            raise RefusalError(409, "This identity has a phone number.", code="identity.has_phone")
        self.db.update("identities", record.id, phone=_phone_number(record.id), updated_dt=now())
        return self._there(record.uuid)

    def rename(self, identity_uuid: str, name: str) -> Record:
        self.db.run(
            "UPDATE identities SET name = ?, updated_dt = ? WHERE uuid = ?",
            (name, now(), identity_uuid),
        )
        return self._there(identity_uuid)

    def delete(self, identity_uuid: str) -> bool:
        return self.db.run("DELETE FROM identities WHERE uuid = ?", (identity_uuid,)) == 1

    def _there(self, identity_uuid: str) -> Record:
        record = self.identity(identity_uuid)
        assert record is not None
        return record

    def _address(self, name: str, email: str | None) -> str:
        address = address_of(name, email)
        if email and self.identity_at(address):
            raise RefusalError(409, "email: this address is taken", older_status=400)
        free = address
        while self.identity_at(free):
            free = f"{address.removesuffix(f'@{DOMAIN}')}-{secrets.token_hex(3)}@{DOMAIN}"
        return free

    # --- keys ----------------------------------------------------------------------------------

    def mint_key(self, identity_uuid: str, label: str) -> str:
        """A new key for an identity; shown this once."""
        return str(self.new_key(identity_uuid, label)["key"])

    def new_key(self, identity_uuid: str | None, label: str) -> dict[str, object]:
        """A new key, for the account where there is no identity, whole this once."""
        key = new_key("ravi_id_" if identity_uuid else "ravi_mgmt_")
        return self.keep_key(key, identity_uuid, label)

    def keep_key(self, key: str, identity_uuid: str | None, label: str) -> dict[str, object]:
        """A key that somebody has chosen, which no other is."""
        row_id = self.db.insert(
            "keys",
            uuid=str(uuid.uuid4()),
            digest=digest(key),
            identity_uuid=identity_uuid,
            hint=f"{key.partition('_')[0]}_…{key[-4:]}",
            label=label,
            created_dt=now(),
        )
        row = self.db.one("SELECT * FROM keys WHERE id = ?", (row_id,))
        assert row
        return {**_key(row), "key": key}

    def keys(self, *, of_identities: bool) -> Listing:
        kind = "IS NOT NULL" if of_identities else "IS NULL"
        query = f"SELECT * FROM keys WHERE is_active AND identity_uuid {kind}"  # noqa: S608
        return Listing(self.db, query, (), "id", _key)

    def revoke_key(self, key_uuid: str, *, of_identity: bool) -> bool:
        """End a key; False where there is no such key that is active."""
        kind = "IS NOT NULL" if of_identity else "IS NULL"
        statement = (
            "UPDATE keys SET is_active = 0"  # noqa: S608
            f" WHERE uuid = ? AND is_active AND identity_uuid {kind}"
        )
        return self.db.run(statement, (key_uuid,)) == 1

    def is_management_key(self, key: str) -> bool:
        """Whether the account made this key, and has not revoked it."""
        row = self.db.one(
            "SELECT id FROM keys WHERE digest = ? AND is_active AND identity_uuid IS NULL",
            (digest(key),),
        )
        return row is not None and self._note_use(row["id"])

    def identity_of_key(self, key: str) -> Record | None:
        row = self.db.one(
            "SELECT i.*, k.id AS key_id FROM identities i JOIN keys k ON k.identity_uuid = i.uuid"
            " WHERE k.digest = ? AND k.is_active",
            (digest(key),),
        )
        if row is None:
            return None
        self._note_use(row["key_id"])
        return record_of(row)

    def _note_use(self, key_id: int) -> bool:
        moment = time.monotonic()
        if moment - self._last_use.get(key_id, -_LAST_USE_S) >= _LAST_USE_S:
            self._last_use[key_id] = moment
            self.db.update("keys", key_id, last_used_at=now())
        return True


def address_of(name: str, email: str | None) -> str:
    """The address that is asked for, or the one that a name gives.

    Raises StoreError for what is not a local part, or of a foreign domain.
    """
    if email:
        local, _, domain = email.partition("@")
        if domain not in {"", DOMAIN} or not _LOCAL_PART.fullmatch(local):
            raise StoreError(f"email: give a local part, or an address at {DOMAIN}")
        return f"{local}@{DOMAIN}"
    local = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip(".-")[:48] or "agent"
    return f"{local}@{DOMAIN}"


def _key(row: Row) -> dict[str, object]:
    key: dict[str, object] = {
        "uuid": row["uuid"],
        "key": row["hint"],
        "label": row["label"],
        "is_active": bool(row["is_active"]),
        "last_used_at": row["last_used_at"],
        "created_dt": row["created_dt"],
    }
    if row["identity_uuid"]:
        # Both names: older clients read the second.
        key.update(identity=row["identity_uuid"], identity_uuid=row["identity_uuid"])
    return key


def _phone_number(identity_id: int) -> str:
    return f"{PHONE_PREFIX}{identity_id:07d}"
