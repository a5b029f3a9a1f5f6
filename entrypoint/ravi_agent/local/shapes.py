"""The shapes of the service's answers, as JSON Schemas by name."""

from ravi_agent.local.events import TYPES
from ravi_agent.local.fields import Schema

TEXT: Schema = {"type": "string"}
_FLAG: Schema = {"type": "boolean"}
NUMBER: Schema = {"type": "integer"}
UUID: Schema = {"type": "string", "format": "uuid"}
_MOMENT: Schema = {"type": "string", "format": "date-time"}
URL: Schema = {"type": "string", "format": "uri"}
_DATED = {"created_dt": _MOMENT, "updated_dt": _MOMENT}
_DIRECTION: Schema = {"enum": ["incoming", "outgoing"]}


def object_of(optional: dict[str, Schema] | None = None, /, **fields: Schema) -> Schema:
    """An object of these fields; all but the optional ones are always there."""
    return {
        "type": "object",
        "properties": {**fields, **(optional or {})},
        "required": sorted(fields),
        "additionalProperties": False,
    }


def nullable(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def list_of(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_KEY = {
    "uuid": UUID,
    "key": TEXT,
    "label": TEXT,
    "is_active": _FLAG,
    "last_used_at": nullable(_MOMENT),
    "created_dt": _MOMENT,
}

# `identity` is the number that older clients know an identity by.
_RECORD = {"uuid": UUID, "identity": nullable(NUMBER), **_DATED}

SCHEMAS: dict[str, Schema] = {
    "Error": {
        "oneOf": [
            object_of(detail=TEXT),
            object_of(
                error=object_of(code=TEXT, message=TEXT, details=nullable(object_of(code=TEXT)))
            ),
            object_of(error=TEXT, error_description=TEXT),
        ]
    },
    "Identity": object_of(uuid=UUID, name=TEXT, inbox=TEXT, phone=nullable(TEXT), **_DATED),
    "VoiceAgent": object_of(
        {"signing_secret": TEXT},
        response_url=TEXT,
        enabled=_FLAG,
        timeout_seconds=NUMBER,
        **_DATED,
    ),
    "EmailAddress": object_of(id=NUMBER, email=TEXT, created_dt=_MOMENT),
    "PhoneNumber": object_of(id=NUMBER, phone_number=TEXT, provider=TEXT, created_dt=_MOMENT),
    "Owner": object_of(first_name=TEXT, last_name=TEXT),
    "Domain": object_of(
        uuid=UUID, domain=TEXT, is_platform=_FLAG, is_verified=_FLAG, created_dt=_MOMENT
    ),
    "IdentityKey": object_of(**_KEY, identity=UUID, identity_uuid=UUID),
    "ManagementKey": object_of(**_KEY),
    "AccessToken": object_of(access=TEXT, refresh=TEXT),
    "Attachment": object_of(
        id=NUMBER,
        uuid=UUID,
        filename=TEXT,
        content_type=TEXT,
        size_bytes=NUMBER,
        size=NUMBER,
        is_inline=_FLAG,
        download_url=URL,
    ),
    "EmailMessage": object_of(
        id=NUMBER,
        uuid=UUID,
        url=URL,
        from_email=TEXT,
        from_display_name=TEXT,
        to_email=TEXT,
        cc=TEXT,
        subject=TEXT,
        text_content=TEXT,
        html_content=TEXT,
        direction=_DIRECTION,
        is_read=_FLAG,
        sender_type=TEXT,
        message_id=TEXT,
        thread_id=TEXT,
        attachments=list_of(ref("Attachment")),
        created_dt=_MOMENT,
    ),
    "EmailThread": object_of(
        {"messages": list_of(ref("EmailMessage"))},
        thread_id=TEXT,
        subject=TEXT,
        preview=TEXT,
        from_email=TEXT,
        from_display_name=TEXT,
        inbox=TEXT,
        message_count=NUMBER,
        unread_count=NUMBER,
        latest_message_dt=_MOMENT,
        oldest_message_dt=_MOMENT,
    ),
    "Presigned": object_of(uuid=UUID, upload_url=URL, storage_key=TEXT),
    "SmsMessage": object_of(
        id=NUMBER,
        url=URL,
        from_number=TEXT,
        to_number=TEXT,
        body=TEXT,
        message_sid=TEXT,
        phone=TEXT,
        direction=_DIRECTION,
        is_read=_FLAG,
        created_dt=_MOMENT,
    ),
    "SmsConversation": object_of(
        {"messages": list_of(ref("SmsMessage"))},
        conversation_id=TEXT,
        from_number=TEXT,
        phone=TEXT,
        phone_number=TEXT,
        preview=TEXT,
        message_count=NUMBER,
        unread_count=NUMBER,
        latest_message_dt=_MOMENT,
    ),
    "PhoneCall": object_of(
        id=NUMBER,
        uuid=UUID,
        url=URL,
        phone=NUMBER,
        from_number=TEXT,
        to_number=TEXT,
        direction=_DIRECTION,
        status={"enum": ["queued", "ringing", "answered", "in_progress", "ended", "failed"]},
        answered_at=nullable(_MOMENT),
        ended_at=nullable(_MOMENT),
        end_reason=TEXT,
        created_dt=_MOMENT,
    ),
    "TranscriptSegment": object_of(
        id=NUMBER,
        speaker={"enum": ["caller", "agent", "system"]},
        text=TEXT,
        is_final=_FLAG,
        confidence=nullable({"type": "number"}),
        sequence_number=NUMBER,
        occurred_at=nullable(_MOMENT),
        created_dt=_MOMENT,
    ),
    "Event": object_of(id=UUID, seq=NUMBER, type={"enum": list(TYPES)}, data={"type": "object"}),
    "Events": object_of(events=list_of(ref("Event"))),
    "Password": object_of(**_RECORD, domain=TEXT, username=TEXT, password=TEXT, notes=TEXT),
    "GeneratedPassword": object_of(password=TEXT),
    "Secret": object_of(**_RECORD, key=TEXT, value=TEXT, notes=TEXT),
    "Contact": object_of(
        **_RECORD,
        email=TEXT,
        phone_number=TEXT,
        display_name=TEXT,
        nickname=TEXT,
        is_trusted=_FLAG,
        source={"enum": ["auto", "manual"]},
        interaction_count=NUMBER,
        last_interaction_dt=nullable(_MOMENT),
    ),
    "Webhook": object_of(
        {"signing_secret": TEXT},
        id=NUMBER,
        uuid=UUID,
        url=TEXT,
        identity=nullable(NUMBER),
        enabled=_FLAG,
        event_types=list_of({"enum": list(TYPES)}),
        **_DATED,
    ),
    "WebhookDelivery": object_of(
        id=NUMBER,
        uuid=UUID,
        endpoint=NUMBER,
        endpoint_url=TEXT,
        event_id=UUID,
        event_type={"enum": list(TYPES)},
        payload=ref("Event"),
        status={"enum": ["pending", "delivered", "retrying", "failed"]},
        attempts=NUMBER,
        next_attempt_at=nullable(_MOMENT),
        response_status=nullable(NUMBER),
        response_preview=TEXT,
        last_error=TEXT,
        **_DATED,
    ),
    "DeviceCode": object_of(
        device_code=TEXT,
        user_code=TEXT,
        verification_uri=URL,
        expires_in=NUMBER,
        interval=NUMBER,
    ),
    "DeviceToken": object_of(
        management_key=TEXT,
        identities=list_of(ref("Identity")),
        user=object_of(id=NUMBER, email=TEXT, first_name=TEXT, last_name=TEXT),
    ),
    "SsoToken": object_of(token=TEXT, expires_at=_MOMENT),
}
