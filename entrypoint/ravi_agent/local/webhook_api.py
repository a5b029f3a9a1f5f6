"""Webhook subscriptions and the log of their deliveries."""

import json
import uuid

from ravi_agent.local.database import Row, now
from ravi_agent.local.endpoints import Call, Endpoint, Who
from ravi_agent.local.events import TYPES
from ravi_agent.local.fields import FLAG, Field, choice, text
from ravi_agent.local.pages import Listing, Shown
from ravi_agent.local.refusals import RefusalError, StoreError, not_found
from ravi_agent.local.sealed import new_key

_PATH = "/api/webhook-subscriptions/"
_DELIVERIES = "/api/webhook-deliveries/"
_SHOWN = """
SELECT w.*, i.id AS identity FROM webhooks w LEFT JOIN identities i ON i.uuid = w.identity_uuid
WHERE (?1 IS NULL OR w.identity_uuid = ?1)
"""
_DELIVERED = """
SELECT d.*, w.url, e.id AS event_id, e.type, e.data, e.seq
FROM deliveries d JOIN webhooks w ON w.id = d.webhook_id JOIN events e ON e.seq = d.event_seq
WHERE (?1 IS NULL OR w.identity_uuid = ?1)
"""
_FIELDS = {
    "url": text(pattern=r"https?://[^\s]+", limit=2_000).required(),
    "identity_uuid": text(limit=64),
    "enabled": FLAG,
    "event_types": Field({"type": "array", "items": choice(*TYPES).schema, "maxItems": len(TYPES)}),
}


def _scope(call: Call) -> str | None:
    """Whose subscriptions a call is about: an identity's, or (None) all of the account."""
    owner = call.service.callers.scope(call.request, call.caller)
    return owner.uuid if owner else None


def _found(call: Call) -> Row:
    row = call.store.db.one(f"{_SHOWN} AND w.id = ?2", (_scope(call), call.part("id")))
    if row is None:
        raise not_found()
    return row


def _shown(row: Row) -> Shown:
    return {
        "id": row["id"],
        "uuid": row["uuid"],
        "url": row["url"],
        "identity": row["identity"],
        "enabled": bool(row["enabled"]),
        "event_types": json.loads(row["event_types"]),
        "created_dt": row["created_dt"],
        "updated_dt": row["updated_dt"],
    }


def _list(call: Call) -> object:
    return Listing(call.store.db, _SHOWN, (_scope(call),), "w.id", _shown)


def _create(call: Call) -> object:
    secret, moment = new_key("whsec_"), now()
    row_id = call.store.db.insert(
        "webhooks",
        uuid=str(uuid.uuid4()),
        identity_uuid=_subject(call),
        url=call.text("url"),
        enabled=bool(call.body.get("enabled", True)),
        event_types=json.dumps(call.body.get("event_types", [])),
        sealed=call.store.seal.close({"signing_secret": secret}),
        created_dt=moment,
        updated_dt=moment,
    )
    row = call.store.db.one(f"{_SHOWN} AND w.id = ?2", (None, row_id))
    assert row
    return {**_shown(row), "signing_secret": secret}


def _subject(call: Call) -> str | None:
    """Whose events it is to be sent."""
    scope, asked = _scope(call), call.text("identity_uuid") or None
    if asked and call.caller.own and asked != scope:
        raise RefusalError(403, "This key belongs to another identity.")
    if asked and call.store.identity(asked) is None:
        raise StoreError("identity_uuid: no such identity", cause="identity.not_found")
    return asked or scope


def _get(call: Call) -> object:
    return _shown(_found(call))


def _change(call: Call) -> object:
    row, changes = _found(call), dict(call.body)
    if "event_types" in changes:
        changes["event_types"] = json.dumps(changes["event_types"])
    if "identity_uuid" in changes:
        changes["identity_uuid"] = _subject(call)
    call.store.db.update("webhooks", row["id"], updated_dt=now(), **changes)
    return _get(call)


def _delete(call: Call) -> None:
    call.store.db.run("DELETE FROM webhooks WHERE id = ?", (_found(call)["id"],))


def _list_deliveries(call: Call) -> object:
    return Listing(call.store.db, _DELIVERED, (_scope(call),), "d.id DESC", _delivery)


def _get_delivery(call: Call) -> object:
    row = call.store.db.one(f"{_DELIVERED} AND d.id = ?2", (_scope(call), call.part("id")))
    if row is None:
        raise not_found()
    return _delivery(row)


def _delivery(row: Row) -> Shown:
    return {
        "id": row["id"],
        "uuid": row["uuid"],
        "endpoint": row["webhook_id"],
        "endpoint_url": row["url"],
        "event_id": row["event_id"],
        "event_type": row["type"],
        "payload": {
            "id": row["event_id"],
            "seq": row["seq"],
            "type": row["type"],
            "data": json.loads(row["data"]),
        },
        "status": row["status"],
        "attempts": row["attempts"],
        "next_attempt_at": row["next_attempt_at"],
        "response_status": row["response_status"],
        "response_preview": row["response_preview"],
        "last_error": row["last_error"],
        "created_dt": row["created_dt"],
        "updated_dt": row["updated_dt"],
    }


ENDPOINTS = (
    Endpoint(
        method="GET",
        path=_PATH,
        answer=_list,
        does="List webhook subscriptions",
        who=Who.CALLER,
        returns="Webhook",
        many=True,
    ),
    Endpoint(
        method="POST",
        path=_PATH,
        answer=_create,
        does="Subscribe a URL to events; its signing secret is in this answer alone",
        who=Who.CALLER,
        body=_FIELDS,
        returns="Webhook",
        status=201,
    ),
    Endpoint(
        method="GET",
        path=f"{_PATH}{{id}}/",
        answer=_get,
        does="Show a webhook subscription",
        who=Who.CALLER,
        returns="Webhook",
    ),
    *(
        Endpoint(
            method=method,
            path=f"{_PATH}{{id}}/",
            answer=_change,
            does="Change a webhook subscription",
            who=Who.CALLER,
            body={name: Field(field.schema) for name, field in _FIELDS.items()},
            returns="Webhook",
        )
        for method in ("PUT", "PATCH")
    ),
    Endpoint(
        method="DELETE",
        path=f"{_PATH}{{id}}/",
        answer=_delete,
        does="Delete a webhook subscription",
        who=Who.CALLER,
        status=204,
    ),
    Endpoint(
        method="GET",
        path=_DELIVERIES,
        answer=_list_deliveries,
        does="List deliveries to webhooks, newest first",
        who=Who.CALLER,
        returns="WebhookDelivery",
        many=True,
    ),
    Endpoint(
        method="GET",
        path=f"{_DELIVERIES}{{id}}/",
        answer=_get_delivery,
        does="Show a delivery to a webhook",
        who=Who.CALLER,
        returns="WebhookDelivery",
    ),
)
