"""Passwords, secrets and contacts of an identity."""

import secrets
import string
from collections.abc import Mapping

from ravi_agent.local.endpoints import Call, Endpoint
from ravi_agent.local.fields import FLAG, long_text, number, text
from ravi_agent.local.pages import Listing
from ravi_agent.local.refusals import RefusalError, StoreError, not_found
from ravi_agent.local.resources import Resource

_SPECIAL = "!@#$%^&*()-_=+[]{};:,.?"
_KINDS = {
    "uppercase": string.ascii_uppercase,
    "lowercase": string.ascii_lowercase,
    "digits": string.digits,
    "special": _SPECIAL,
}
_LENGTH = 16
_NOTES = long_text(100_000)


def _generate(call: Call) -> object:
    """A password with at least one character of each kind that is wanted."""
    unwanted = str(call.query.get("exclude_chars", ""))
    kinds = [
        kept
        for name, characters in _KINDS.items()
        if call.query.get(name, True)
        and (kept := [char for char in characters if char not in unwanted])
    ]
    length = int(str(call.query.get("length", _LENGTH)))
    if not kinds or length < len(kinds):
        raise StoreError("length: no password is made of what is left")
    chosen = [secrets.choice(kind) for kind in kinds]
    everything = [char for kind in kinds for char in kind]
    chosen += [secrets.choice(everything) for _ in range(length - len(chosen))]
    secrets.SystemRandom().shuffle(chosen)
    return {"password": "".join(chosen)}


def _own_address(call: Call) -> Mapping[str, object]:
    """Whose password it is where the caller does not say: the identity's."""
    return {"username": call.owner.email}


def _key_is_free(call: Call, values: Mapping[str, object]) -> None:
    row = call.store.db.one(
        "SELECT uuid FROM secrets WHERE identity_uuid = ? AND key = ?",
        (call.owner.uuid, values["key"]),
    )
    if row and row["uuid"] != values.get("uuid"):
        raise RefusalError(409, "key: there is a secret of this name", older_status=400)


def _has_address(_call: Call, values: Mapping[str, object]) -> None:
    if not values["email"] and not values["phone_number"]:
        raise StoreError("email: give this or phone_number")


def _list_contacts(resource: Resource, call: Call) -> object:
    """All contacts, those that `search` finds, or `limit` of them from `offset` on."""
    found = _matching(resource, call, str(call.query.get("search", "")))
    if "limit" not in call.query:
        return found
    limit, offset = int(str(call.query["limit"])), int(str(call.query.get("offset", 0)))
    count = found.count()
    url = call.request.url
    before, after = max(0, offset - limit), offset + limit
    return {
        "count": count,
        "next": str(url.include_query_params(offset=after)) if after < count else None,
        "previous": str(url.include_query_params(offset=before)) if offset > 0 else None,
        "results": found.rows(limit, offset),
    }


def _matching(resource: Resource, call: Call, part: str) -> Listing:
    columns = ("email", "phone_number", "display_name", "nickname")
    condition = " OR ".join(f"instr(lower({column}), lower(?))" for column in columns)
    return (
        resource.rows(call, f" AND ({condition})", (part,) * len(columns))
        if part
        else (resource.rows(call))
    )


def _find(call: Call) -> object:
    """The contact with exactly this address or number."""
    wanted = {
        column: str(call.query[column])
        for column in ("email", "phone_number")
        if call.query.get(column)
    }
    if not wanted:
        raise StoreError("email: give this or phone_number")
    condition = "".join(f" AND lower({column}) = lower(?)" for column in wanted)
    found = CONTACTS.rows(call, condition, tuple(wanted.values())).rows(1)
    if not found:
        raise not_found()
    return found[0]


def _search(call: Call) -> object:
    return _matching(CONTACTS, call, str(call.query["q"]))


PASSWORDS = Resource(
    name="password",
    path="/api/passwords/",
    table="passwords",
    schema="Password",
    fields={
        "domain": text().required(),
        "username": text(),
        "password": long_text(10_000),
        "notes": _NOTES,
    },
    sealed=("password", "notes"),
    defaults=_own_address,
)
SECRETS = Resource(
    name="secret",
    path="/api/secrets/",
    table="secrets",
    schema="Secret",
    fields={"key": text().required(), "value": long_text(), "notes": _NOTES},
    sealed=("value", "notes"),
    check=_key_is_free,
    query={"key": text()},
)
CONTACTS = Resource(
    name="contact",
    path="/api/contacts/",
    table="contacts",
    schema="Contact",
    fields={
        "email": text(limit=320),
        "phone_number": text(limit=32),
        "display_name": text(),
        "nickname": text(),
        "is_trusted": FLAG,
    },
    extra=("source", "interaction_count", "last_interaction_dt"),
    check=_has_address,
    query={"search": text(), "limit": number(1, 1000), "offset": number(0, 2**53)},
    listing=_list_contacts,
)

ENDPOINTS = (
    Endpoint(
        method="GET",
        path=f"{PASSWORDS.path}generate-password/",
        answer=_generate,
        does="Make up a password",
        query={
            "length": number(4, 1000),
            **dict.fromkeys(_KINDS, FLAG),
            "exclude_chars": text(),
        },
        returns="GeneratedPassword",
    ),
    Endpoint(
        method="GET",
        path=f"{CONTACTS.path}find/",
        answer=_find,
        does="Show the contact of an address or number",
        query={"email": text(), "phone_number": text()},
        returns="Contact",
    ),
    Endpoint(
        method="GET",
        path=f"{CONTACTS.path}search/",
        answer=_search,
        does="List the contacts in which a text occurs",
        query={"q": text().required()},
        returns="Contact",
        many=True,
    ),
    *PASSWORDS.endpoints(),
    *SECRETS.endpoints(),
    *CONTACTS.endpoints(),
)
