"""Values as the official CLI prints them: an empty text where the service sends null or nothing."""

# Texts in the official CLI (v0.6.2, internal/api/types.go), so it never prints null for them.
_TEXTS = frozenset(
    {
        *("uuid", "name", "inbox", "phone", "created_dt", "updated_dt", "email", "phone_number"),
        *("provider", "first_name", "last_name", "domain", "username", "password", "notes", "key"),
        *("value", "display_name", "nickname", "source", "last_interaction_dt", "subject"),
        *("preview", "from_email", "to_email", "cc", "text_content", "html_content", "body"),
        *("from_number", "to_number", "message_sid", "message_id", "thread_id", "url"),
    }
)


def as_printed(answer: object) -> object:
    """An answer without null where the official CLI has a text; an identity always has `phone`."""
    if isinstance(answer, list):
        return [as_printed(one) for one in answer]
    if not isinstance(answer, dict):
        return answer
    fields: dict[str, object] = {
        name: "" if value is None and name in _TEXTS else as_printed(value)
        for name, value in answer.items()
    }
    if {"uuid", "name", "inbox"} <= fields.keys():
        fields.setdefault("phone", "")
    return fields
