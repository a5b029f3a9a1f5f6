"""Ravi's record of one agent, and the key that goes with it."""

from ravi_agent.errors import AnswerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def is_plain(value: str) -> bool:
    """Whether a value can stand in the `env` file: one line, and no single quote.

    Values stand there in single quotes, inside which neither a POSIX shell nor Kubernetes has
    a way to write one.
    """
    return value.isprintable() and "'" not in value


class Identity:
    """One identity; `phone` is None where there is none, `key` where it is not known.

    The key opens the agent's mailbox: it shows in no `repr` and in no comparison message.
    """

    __slots__ = ("created_at", "email", "key", "name", "phone", "uuid")

    def __init__(
        self,
        *,
        uuid: str,
        name: str,
        email: str,
        phone: str | None,
        created_at: str,
        key: str | None = None,
    ) -> None:
        self.uuid = uuid
        self.name = name
        self.email = email
        self.phone = phone
        self.created_at = created_at
        self.key = key

    @classmethod
    def from_api(cls, record: "Mapping[str, object]") -> "Identity":
        """An identity from the service's own record, where the email address is called `inbox`.

        Raises AnswerError naming the field, never its value.
        """
        return cls(
            uuid=_text(record, "uuid"),
            name=_text(record, "name"),
            email=_text(record, "inbox"),
            phone=_text(record, "phone", is_optional=True) or None,
            created_at=_text(record, "created_dt", is_optional=True),
        )

    @classmethod
    def from_public(cls, record: "Mapping[str, object]", key: str | None = None) -> "Identity":
        """An identity from `identity.json`'s form; raises AnswerError naming the field."""
        return cls(
            uuid=_text(record, "uuid"),
            name=_text(record, "name"),
            email=_text(record, "email"),
            phone=_text(record, "phone", is_optional=True) or None,
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

    def with_key(self, key: str | None) -> "Identity":
        """The same identity holding its key."""
        return Identity(
            uuid=self.uuid,
            name=self.name,
            email=self.email,
            phone=self.phone,
            created_at=self.created_at,
            key=key,
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


def _text(record: "Mapping[str, object]", field: str, *, is_optional: bool = False) -> str:
    value = record.get(field)
    if value is None and is_optional:
        return ""
    if not isinstance(value, str) or not (value or is_optional):
        raise AnswerError("identity not understood", f"the field {field!r} is missing or no text")
    if len(value) > 512 or not is_plain(value):
        raise AnswerError(
            "identity not understood", f"the field {field!r} holds what an identity cannot hold"
        )
    return value
