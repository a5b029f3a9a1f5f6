"""Identities, their addresses and numbers, the account's owner and its domains."""

from ravi_agent.local.database import now
from ravi_agent.local.endpoints import Call, Endpoint, Who
from ravi_agent.local.fields import FLAG, number, text
from ravi_agent.local.pages import Fixed
from ravi_agent.local.record import Record, shown
from ravi_agent.local.refusals import StoreError, not_found
from ravi_agent.local.schema import DOMAIN
from ravi_agent.local.sealed import new_key

_PATH = "/api/identities/"
_ONE = f"{_PATH}{{uuid}}/"
_NAME = text(limit=1_000)
_DOMAIN = {
    "uuid": "00000000-0000-0000-0000-000000000001",
    "domain": DOMAIN,
    "is_platform": True,
    "is_verified": True,
    "created_dt": "2026-01-01T00:00:00+00:00",
}


def _visible(call: Call) -> Record:
    """The identity of the path; an identity key sees its own alone."""
    record = call.store.identity(call.part("uuid"))
    if record is None or (call.caller.own and call.caller.own.uuid != record.uuid):
        raise not_found()
    return record


def _changeable(call: Call) -> Record:
    record = _visible(call)
    call.caller.require_account()
    return record


def _list(call: Call) -> object:
    own = call.caller.own
    return call.store.listing(only=own.uuid if own else None)


def _create(call: Call) -> object:
    created = call.store.create(
        name=call.text("name") or None,
        email=_wanted_address(call),
        with_phone=bool(call.body.get("provision_phone")),
    )
    return shown(created)


def _wanted_address(call: Call) -> str | None:
    """`email` as older clients have it, or `email_identifier` and `domain`."""
    email, local_part = call.text("email"), call.text("email_identifier")
    domain = call.text("domain")
    if email and local_part:
        raise StoreError("email_identifier: give this or email")
    if domain and not local_part:
        raise StoreError("domain: needs email_identifier")
    if "@" in local_part:
        raise StoreError("email_identifier: give the part before the @")
    return email or (f"{local_part}@{domain}" if domain else local_part) or None


def _get(call: Call) -> object:
    return shown(_visible(call))


def _rename(call: Call) -> object:
    record = _changeable(call)
    return shown(call.store.rename(record.uuid, call.text("name") or record.name))


def _delete(call: Call) -> None:
    call.store.delete(_changeable(call).uuid)


def _provision_phone(call: Call) -> object:
    return shown(call.store.provision_phone(_changeable(call)))


def _email(call: Call) -> object:
    owner = call.owner
    return Fixed([{"id": owner.id, "email": owner.email, "created_dt": owner.created_dt}])


def _phone(call: Call) -> object:
    owner = call.owner
    if not owner.phone:
        return Fixed([])
    number = {
        "id": owner.id,
        "phone_number": owner.phone,
        "provider": "local",
        "created_dt": owner.created_dt,
    }
    return Fixed([number])


def _owner(_call: Call) -> object:
    return {"first_name": "Local", "last_name": "Owner"}


def _domains(_call: Call) -> object:
    return Fixed([_DOMAIN])


def _voice_agent(call: Call) -> object:
    record = _visible(call)
    row = call.store.db.one("SELECT * FROM voice_agents WHERE identity_uuid = ?", (record.uuid,))
    if row is None:
        raise not_found()
    return {
        "response_url": row["response_url"],
        "enabled": bool(row["enabled"]),
        "timeout_seconds": row["timeout_seconds"],
        "created_dt": row["created_dt"],
        "updated_dt": row["updated_dt"],
    }


def _set_voice_agent(call: Call) -> object:
    """Create or replace; the signing secret is shown the first time alone."""
    record, db, moment = _visible(call), call.store.db, now()
    values = {
        "response_url": call.text("response_url"),
        "enabled": bool(call.body.get("enabled", True)),
        "timeout_seconds": call.body.get("timeout_seconds", 10),
        "updated_dt": moment,
    }
    once = {}
    with db.transaction():
        row = db.one("SELECT id FROM voice_agents WHERE identity_uuid = ?", (record.uuid,))
        if row:
            db.update("voice_agents", row["id"], **values)
        else:
            once = {"signing_secret": new_key("whsec_")}
            db.insert(
                "voice_agents",
                identity_uuid=record.uuid,
                sealed=call.store.seal.close(once),
                created_dt=moment,
                **values,
            )
    answer = _voice_agent(call)
    assert isinstance(answer, dict)
    return {**answer, **once}


ENDPOINTS = (
    Endpoint(
        method="GET",
        path=_PATH,
        answer=_list,
        does="List the identities that this key sees, oldest first",
        who=Who.CALLER,
        returns="Identity",
        many=True,
    ),
    Endpoint(
        method="POST",
        path=_PATH,
        answer=_create,
        does="Create an identity",
        who=Who.ACCOUNT,
        body={
            "name": _NAME,
            "email": text(limit=320),
            "email_identifier": text(limit=64),
            "domain": text(limit=255),
            "provision_phone": FLAG,
        },
        returns="Identity",
        status=201,
    ),
    Endpoint(
        method="GET",
        path=_ONE,
        answer=_get,
        does="Show an identity",
        who=Who.CALLER,
        returns="Identity",
    ),
    *(
        Endpoint(
            method=method,
            path=_ONE,
            answer=_rename,
            does="Rename an identity",
            who=Who.CALLER,
            body={"name": _NAME},
            returns="Identity",
        )
        for method in ("PUT", "PATCH")
    ),
    Endpoint(
        method="DELETE",
        path=_ONE,
        answer=_delete,
        does="Delete an identity and all it has",
        who=Who.CALLER,
        status=204,
    ),
    Endpoint(
        method="POST",
        path=f"{_ONE}provision-phone/",
        answer=_provision_phone,
        does="Give a phone number to an identity that has none",
        who=Who.CALLER,
        returns="Identity",
    ),
    Endpoint(
        method="GET",
        path=f"{_ONE}voice-agent/",
        answer=_voice_agent,
        does="Show an identity's voice agent",
        who=Who.CALLER,
        returns="VoiceAgent",
    ),
    Endpoint(
        method="PUT",
        path=f"{_ONE}voice-agent/",
        answer=_set_voice_agent,
        does="Set an identity's voice agent",
        who=Who.CALLER,
        body={
            "response_url": text(pattern="https?://[^\\s]+", limit=2_000).required(),
            "enabled": FLAG,
            "timeout_seconds": number(1, 300),
        },
        returns="VoiceAgent",
    ),
    Endpoint(
        method="GET",
        path="/api/email/",
        answer=_email,
        does="List the identity's email addresses",
        returns="EmailAddress",
        many=True,
    ),
    Endpoint(
        method="GET",
        path="/api/phone/",
        answer=_phone,
        does="List the identity's phone numbers",
        returns="PhoneNumber",
        many=True,
    ),
    Endpoint(
        method="GET",
        path="/api/master/",
        answer=_owner,
        does="Name the account's owner",
        who=Who.CALLER,
        returns="Owner",
    ),
    Endpoint(
        method="GET",
        path="/api/domains/",
        answer=_domains,
        does="List the domains for email addresses",
        who=Who.CALLER,
        returns="Domain",
        many=True,
    ),
)
