"""The OpenAPI 3.1 document of the endpoints, and the shapes of their answers."""

import re
from collections.abc import Iterable

from ravi_agent.local.endpoints import Endpoint, Who
from ravi_agent.local.events import TYPES
from ravi_agent.local.fields import Field, Schema

SCHEMA_PATH = "/api/schema/"
_TEXT: Schema = {"type": "string"}
_FLAG: Schema = {"type": "boolean"}
_NUMBER: Schema = {"type": "integer"}
_UUID: Schema = {"type": "string", "format": "uuid"}
_MOMENT: Schema = {"type": "string", "format": "date-time"}
_URL: Schema = {"type": "string", "format": "uri"}
_OR_NULL = "null"
_DATED = {"created_dt": _MOMENT, "updated_dt": _MOMENT}
_DIRECTION: Schema = {"enum": ["incoming", "outgoing"]}


def _object(optional: dict[str, Schema] | None = None, /, **fields: Schema) -> Schema:
    """An object of these fields; all but the optional ones are always there."""
    return {
        "type": "object",
        "properties": {**fields, **(optional or {})},
        "required": sorted(fields),
        "additionalProperties": False,
    }


def _nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": _OR_NULL}]}


def _list(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_KEY = {
    "uuid": _UUID,
    "key": _TEXT,
    "label": _TEXT,
    "is_active": _FLAG,
    "last_used_at": _nullable(_MOMENT),
    "created_dt": _MOMENT,
}

SCHEMAS: dict[str, Schema] = {
    "Error": {
        "oneOf": [
            _object(detail=_TEXT),
            _object(
                error=_object(code=_TEXT, message=_TEXT, details=_nullable(_object(code=_TEXT)))
            ),
            _object(error=_TEXT, error_description=_TEXT),
        ]
    },
    "Identity": _object(uuid=_UUID, name=_TEXT, inbox=_TEXT, phone=_nullable(_TEXT), **_DATED),
    "VoiceAgent": _object(
        {"signing_secret": _TEXT},
        response_url=_TEXT,
        enabled=_FLAG,
        timeout_seconds=_NUMBER,
        **_DATED,
    ),
    "EmailAddress": _object(id=_NUMBER, email=_TEXT, created_dt=_MOMENT),
    "PhoneNumber": _object(id=_NUMBER, phone_number=_TEXT, provider=_TEXT, created_dt=_MOMENT),
    "Owner": _object(first_name=_TEXT, last_name=_TEXT),
    "Domain": _object(
        uuid=_UUID, domain=_TEXT, is_platform=_FLAG, is_verified=_FLAG, created_dt=_MOMENT
    ),
    "IdentityKey": _object(**_KEY, identity=_UUID, identity_uuid=_UUID),
    "ManagementKey": _object(**_KEY),
    "AccessToken": _object(access=_TEXT, refresh=_TEXT),
    "Attachment": _object(
        id=_NUMBER,
        uuid=_UUID,
        filename=_TEXT,
        content_type=_TEXT,
        size_bytes=_NUMBER,
        size=_NUMBER,
        is_inline=_FLAG,
        download_url=_URL,
    ),
    "EmailMessage": _object(
        id=_NUMBER,
        uuid=_UUID,
        url=_URL,
        from_email=_TEXT,
        from_display_name=_TEXT,
        to_email=_TEXT,
        cc=_TEXT,
        subject=_TEXT,
        text_content=_TEXT,
        html_content=_TEXT,
        direction=_DIRECTION,
        is_read=_FLAG,
        sender_type=_TEXT,
        message_id=_TEXT,
        thread_id=_TEXT,
        attachments=_list(_ref("Attachment")),
        created_dt=_MOMENT,
    ),
    "EmailThread": _object(
        {"messages": _list(_ref("EmailMessage"))},
        thread_id=_TEXT,
        subject=_TEXT,
        preview=_TEXT,
        from_email=_TEXT,
        from_display_name=_TEXT,
        inbox=_TEXT,
        message_count=_NUMBER,
        unread_count=_NUMBER,
        latest_message_dt=_MOMENT,
        oldest_message_dt=_MOMENT,
    ),
    "Presigned": _object(uuid=_UUID, upload_url=_URL, storage_key=_TEXT),
    "SmsMessage": _object(
        id=_NUMBER,
        url=_URL,
        from_number=_TEXT,
        to_number=_TEXT,
        body=_TEXT,
        message_sid=_TEXT,
        phone=_TEXT,
        direction=_DIRECTION,
        is_read=_FLAG,
        created_dt=_MOMENT,
    ),
    "SmsConversation": _object(
        {"messages": _list(_ref("SmsMessage"))},
        conversation_id=_TEXT,
        from_number=_TEXT,
        phone=_TEXT,
        phone_number=_TEXT,
        preview=_TEXT,
        message_count=_NUMBER,
        unread_count=_NUMBER,
        latest_message_dt=_MOMENT,
    ),
    "PhoneCall": _object(
        id=_NUMBER,
        uuid=_UUID,
        url=_URL,
        phone=_NUMBER,
        from_number=_TEXT,
        to_number=_TEXT,
        direction=_DIRECTION,
        status={"enum": ["queued", "ringing", "answered", "in_progress", "ended", "failed"]},
        answered_at=_nullable(_MOMENT),
        ended_at=_nullable(_MOMENT),
        end_reason=_TEXT,
        created_dt=_MOMENT,
    ),
    "TranscriptSegment": _object(
        id=_NUMBER,
        speaker={"enum": ["caller", "agent", "system"]},
        text=_TEXT,
        is_final=_FLAG,
        confidence=_nullable({"type": "number"}),
        sequence_number=_NUMBER,
        occurred_at=_nullable(_MOMENT),
        created_dt=_MOMENT,
    ),
    "Event": _object(id=_UUID, seq=_NUMBER, type={"enum": list(TYPES)}, data={"type": "object"}),
    "Events": _object(events=_list(_ref("Event"))),
}


def document(endpoints: Iterable[Endpoint]) -> Schema:
    """What the endpoints take and answer, as OpenAPI 3.1."""
    paths: dict[str, dict[str, object]] = {}
    for endpoint in endpoints:
        operations = paths.setdefault(endpoint.path, {})
        operations[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "The local Ravi",
            "version": "1",
            "description": "A Ravi to develop against. Its identities are not real.",
        },
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "paths": paths,
    }


def _operation(endpoint: Endpoint) -> Schema:
    operation: Schema = {
        "operationId": f"{endpoint.method} {endpoint.path}",
        "summary": endpoint.does,
        "security": [] if endpoint.who is Who.ANYONE else [{"key": []}],
        "parameters": _parameters(endpoint),
        "responses": {str(endpoint.status): _answer(endpoint), "4XX": _json(_ref("Error"))},
    }
    if endpoint.body:
        is_needed = any(field.is_required for field in endpoint.body.values())
        operation["requestBody"] = {**_json(_body(endpoint)), "required": is_needed}
        del operation["requestBody"]["description"]  # type: ignore[attr-defined]
    return operation


def _parameters(endpoint: Endpoint) -> list[Schema]:
    found: list[Schema] = [
        {"name": name, "in": "path", "required": True, "schema": _TEXT}
        for name in re.findall(r"\{(\w+)\}", endpoint.path)
    ]
    query = dict(endpoint.query)
    if endpoint.many:
        query["page"] = Field({"type": "integer", "minimum": 1})
    if endpoint.who is Who.IDENTITY:
        query["identity"] = Field(_UUID)
    found += [
        {"name": name, "in": "query", "required": field.is_required, "schema": _plain(field)}
        for name, field in query.items()
    ]
    return found


def _body(endpoint: Endpoint) -> Schema:
    return {
        "type": "object",
        "properties": {
            name: _plain(field) if field.is_required else _nullable(_plain(field))
            for name, field in endpoint.body.items()
        },
        "required": sorted(name for name, field in endpoint.body.items() if field.is_required),
    }


def _plain(field: Field) -> Schema:
    """A field's schema without the word that only `fields` knows."""
    return {key: value for key, value in field.schema.items() if value != "line"}


def _answer(endpoint: Endpoint) -> Schema:
    if endpoint.returns is None:
        return {"description": endpoint.does}
    schema = _ref(endpoint.returns)
    if not endpoint.many:
        return _json(schema)
    page = _object(
        count=_NUMBER, next=_nullable(_URL), previous=_nullable(_URL), results=_list(schema)
    )
    return _json({"oneOf": [_list(schema), page]})


def _json(schema: Schema) -> Schema:
    return {"description": "JSON", "content": {"application/json": {"schema": schema}}}
