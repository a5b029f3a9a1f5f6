"""One identity of the local Ravi, as it is stored and as it is shown."""

from dataclasses import dataclass

from ravi_agent.local.database import Row


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


def record_of(row: Row) -> Record:
    return Record(**{name: row[name] for name in Record.__dataclass_fields__})


def shown(record: Record) -> dict[str, object]:
    """An identity as the service shows it: its address is called `inbox`."""
    return {
        "uuid": record.uuid,
        "name": record.name,
        "inbox": record.email,
        "phone": record.phone,
        "created_dt": record.created_dt,
        "updated_dt": record.updated_dt,
    }
