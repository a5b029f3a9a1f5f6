"""`--seed FILE`: identities, mail and SMS that are there from the start, the same every time.

    {"identities": [{"name": "anna", "email": "anna", "phone": true, "key": "ravi_id_anna",
                     "mail": [{"from": "a@shop.example", "subject": "s", "text": "t", "html": "h"}],
                     "sms": [{"from": "+15557770000", "body": "b"}]}]}

Only `name` is required. An identity's UUID comes from its address, and phone numbers go by the
order, so an empty database gets the same ones each time. An identity whose address is there
already is left as it is, with its messages.
"""

import json
import uuid
from dataclasses import dataclass
from typing import Any

from ravi_agent.errors import UsageError
from ravi_agent.local.database import IntegrityError
from ravi_agent.local.mailbox import Mail
from ravi_agent.local.refusals import RefusalError
from ravi_agent.local.schema import DOMAIN
from ravi_agent.local.store import Store, address_of

# Of the UUIDs of seeded identities (RFC 9562, version 5).
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, DOMAIN)
_KEY_PREFIX = "ravi_id_"
_FIELDS: dict[str, dict[str, type]] = {
    "identity": {"name": str, "email": str, "phone": bool, "key": str, "mail": list, "sms": list},
    "mail": {"from": str, "subject": str, "text": str, "html": str},
    "sms": {"from": str, "body": str},
}


@dataclass(frozen=True, kw_only=True)
class Seeded:
    """One identity as the file has it: fields, mail and SMS, each checked."""

    fields: dict[str, Any]
    mail: list[dict[str, Any]]
    sms: list[dict[str, Any]]


def read_seed(path: str) -> list[Seeded]:
    """The identities of a seed file. Raises UsageError."""
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
        entries = content["identities"]
        return [_read(entry) for entry in _list(entries)]
    except OSError as exc:
        raise UsageError(f"--seed {path}", str(exc.strerror), "give a readable file") from exc
    except (ValueError, KeyError, TypeError) as exc:
        reason = "no 'identities'" if isinstance(exc, KeyError) else str(exc)
        fix = "write it as docs/local.md shows"
        raise UsageError(f"--seed {path}", reason, fix) from exc


def plant(store: Store, seeded: list[Seeded]) -> int:
    """Create those that are not there, in order; returns how many. Raises UsageError."""
    count = 0
    for one in seeded:
        name, key = one.fields["name"], one.fields.get("key")
        try:
            with store.db.transaction():
                address = address_of(name, one.fields.get("email"))
                if store.identity_at(address):
                    continue
                record = store.create(
                    name=name,
                    email=address,
                    with_phone=one.fields.get("phone", False),
                    identity_uuid=str(uuid.uuid5(_NAMESPACE, address)),
                )
                if key:
                    store.keep_key(key, record.uuid, "seed")
                for number, mail in enumerate(one.mail):
                    store.mailbox.add_mail(
                        record,
                        Mail(
                            from_email=mail["from"],
                            to_email=record.email,
                            subject=mail.get("subject", ""),
                            text_content=mail.get("text", ""),
                            html_content=mail.get("html", ""),
                            message_id=f"<seed-{record.uuid}-{number}@{DOMAIN}>",
                        ),
                    )
                for sms in one.sms:
                    store.phones.add_sms(record, peer=sms["from"], body=sms.get("body", ""))
        except RefusalError as exc:
            raise UsageError(f"--seed: identity {name!r}", exc.message, "change its email") from exc
        except IntegrityError as exc:
            raise UsageError(
                f"--seed: identity {name!r}", "another identity has its key", "change its key"
            ) from exc
        count += 1
    return count


def _read(entry: object) -> Seeded:
    fields = _checked("identity", entry)
    mail = [_checked("mail", one) for one in fields.get("mail", [])]
    sms = [_checked("sms", one) for one in fields.get("sms", [])]
    if sms and not fields.get("phone"):
        raise ValueError(f"identity {fields['name']!r} has SMS and no phone")
    key = fields.get("key")
    if key is not None and (not key.startswith(_KEY_PREFIX) or not key.isascii() or " " in key):
        raise ValueError(f"a key begins with {_KEY_PREFIX}")
    return Seeded(fields=fields, mail=mail, sms=sms)


def _checked(kind: str, entry: object) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise TypeError(f"{kind}: not an object")
    needed = "name" if kind == "identity" else "from"
    if not entry.get(needed):
        raise ValueError(f"{kind}: no {needed!r}")
    for name, value in entry.items():
        wanted = _FIELDS[kind].get(name)
        if wanted is None:
            raise ValueError(f"{kind}: {name!r} is none of {', '.join(_FIELDS[kind])}")
        if not isinstance(value, wanted):
            raise TypeError(f"{kind}: {name!r} is not a {wanted.__name__}")
    return entry


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError("identities: not a list")
    return value
