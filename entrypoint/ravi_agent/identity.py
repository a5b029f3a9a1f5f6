"""Ravi's record of one agent, and the key that goes with it."""

from ravi_agent.errors import AnswerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DIGITS = "0123456789"
_WORD = frozenset(_LETTERS + _DIGITS)
_FIRST = _WORD | {"_"}
# Of what RFC 5322 allows before the @, what a shell reads as itself.
_LOCAL_PART = _WORD | frozenset("._+=-")


def is_plain(value: str) -> bool:
    """Whether a value can stand in the `env` file: one line, and no single quote.

    Values stand there in single quotes, inside which neither a POSIX shell nor Kubernetes has
    a way to write one.
    """
    return value.isprintable() and "'" not in value


def is_uuid(value: str) -> bool:
    """Whether it has the characters of a UUID; of its form only so much is asked."""
    return _is_word(value, _WORD | {"-"}, 64)


def is_email(value: str) -> bool:
    """Whether it is an address that a shell, a URL and a mail header read as one word.

    Rarer forms (quoted, with a domain literal, in other alphabets) are refused: an address goes
    unquoted into programs that agents' authors write (`$(RAVI_EMAIL)`).
    """
    local_part, _, domain = value.rpartition("@")
    labels = domain.split(".")
    return (
        len(value) <= 254
        and _is_word(local_part, _LOCAL_PART, 64)
        and all(_is_word(label, _WORD | {"-"}, 63) and label[-1] != "-" for label in labels)
    )


def is_phone(value: str) -> bool:
    """Whether it is a number as E.164 writes them, `+15551234567`."""
    digits = value.removeprefix("+")
    return 0 < len(digits) <= 15 and not digits.strip(_DIGITS)


def _is_word(value: str, characters: "frozenset[str]", limit: int) -> bool:
    """Of these characters alone, and not one that a program takes for an option."""
    return 0 < len(value) <= limit and value[0] in _FIRST and characters.issuperset(value)


class Identity:
    """One identity; `phone` is None where there is none, `key` where it is not known.

    The key opens the agent's mailbox: it shows in no `repr` and in no comparison message.
    key_uuid: what the service calls the key, to revoke it by; None where it does not say.
    """

    __slots__ = ("created_at", "email", "key", "key_uuid", "name", "phone", "uuid")

    def __init__(
        self,
        *,
        uuid: str,
        name: str,
        email: str,
        phone: str | None,
        created_at: str,
        key: str | None = None,
        key_uuid: str | None = None,
    ) -> None:
        self.uuid = uuid
        self.name = name
        self.email = email
        self.phone = phone
        self.created_at = created_at
        self.key = key
        self.key_uuid = key_uuid

    @classmethod
    def from_api(cls, record: "Mapping[str, object]") -> "Identity":
        """An identity from the service's own record, where the email address is called `inbox`.

        Raises AnswerError naming the field, never its value.
        """
        return cls(
            uuid=_text(record, "uuid", is_uuid),
            name=_text(record, "name"),
            email=_text(record, "inbox", is_email),
            phone=_text(record, "phone", is_phone, is_optional=True) or None,
            created_at=_date(record.get("created_dt")),
        )

    @classmethod
    def from_public(cls, record: "Mapping[str, object]", key: str | None = None) -> "Identity":
        """An identity from `identity.json`'s form; raises AnswerError naming the field."""
        return cls(
            uuid=_text(record, "uuid", is_uuid),
            name=_text(record, "name"),
            email=_text(record, "email", is_email),
            phone=_text(record, "phone", is_phone, is_optional=True) or None,
            created_at=_text(record, "created_at", is_optional=True),
            key=key,
        )

    def public(self) -> dict[str, str | None]:
        """Everything that may be shown: `uuid`, `name`, `email`, `phone`, `created_at`."""
        return {
            "uuid": self.uuid,
            "name": self.name,
            "email": self.email,
            "phone": self.phone,
            "created_at": self.created_at,
        }

    @classmethod
    def from_told(cls, record: "Mapping[str, object]") -> "Identity":
        """An identity from `told`'s form; raises AnswerError naming the field."""
        identity = cls.from_public(record)
        identity.key_uuid = _text(record, "key_uuid", is_uuid, is_optional=True) or None
        return identity

    def told(self) -> dict[str, str | None]:
        """What a container tells its launcher: `public`, and which key was made just now."""
        return {**self.public(), "key_uuid": self.key_uuid} if self.key_uuid else self.public()

    def with_key(self, key: str | None, key_uuid: str | None = None) -> "Identity":
        """The same identity holding its key."""
        return Identity(
            uuid=self.uuid,
            name=self.name,
            email=self.email,
            phone=self.phone,
            created_at=self.created_at,
            key=key,
            key_uuid=key_uuid,
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Identity):
            return NotImplemented
        return self.public() == other.public() and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.uuid)

    def __repr__(self) -> str:
        key = None if self.key is None else "<hidden>"
        return f"Identity(uuid={self.uuid!r}, name={self.name!r}, email={self.email!r}, key={key})"


def _date(value: object) -> str:
    """For people alone, so no form of it that a service may choose is an error."""
    return value if isinstance(value, str) and len(value) <= 512 and is_plain(value) else ""


def _text(
    record: "Mapping[str, object]",
    field: str,
    is_right: "Callable[[str], bool]" = is_plain,
    *,
    is_optional: bool = False,
) -> str:
    value = record.get(field)
    if is_optional and (value is None or value == ""):
        return ""
    if not isinstance(value, str) or not value:
        raise AnswerError("identity not understood", f"the field {field!r} is missing or no text")
    if len(value) > 512 or not is_plain(value) or not is_right(value):
        raise AnswerError(
            "identity not understood", f"the field {field!r} holds what an identity cannot hold"
        )
    return value
