"""The line that a launcher writes to a container's standard input, and the answer to it.

One line of JSON: {"management_key": …, "fresh": true} to provision with, or {"identity": {…,
"key": …}} made elsewhere. Standard input is in no log, argument, label or `docker inspect`.
"""

import os

from ravi_agent import contract
from ravi_agent.credential import Credential, check_token
from ravi_agent.errors import AnswerError, SettingsError
from ravi_agent.identity import Identity
from ravi_agent.key_traces import note_trace
from ravi_agent.small_json import read_json, write_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


_SOURCE = "hand-over"
# All that a line holds which hands over an identity and nothing else.
_IDENTITY_FIELDS = frozenset({"uuid", "name", "email", "phone", "created_at", "key"})


class Handover:
    """What came in: an identity, or a credential to make one with; no key shows in `repr`.

    is_fresh: the launcher made the name up for this start, so no identity has it yet.
    """

    __slots__ = ("credential", "identity", "is_fresh")

    def __init__(
        self,
        *,
        identity: Identity | None = None,
        credential: Credential | None = None,
        is_fresh: bool = False,
    ) -> None:
        self.identity = identity
        self.credential = credential
        self.is_fresh = is_fresh

    def __repr__(self) -> str:
        return f"Handover({self.identity or self.credential!r}, is_fresh={self.is_fresh})"

    def to_line(self) -> bytes:
        """The line for the container's standard input. It holds a key: write it nowhere else."""
        import json  # the launcher's side: an agent waits for none of it

        record: dict[str, object] = {}
        if self.identity:
            record["identity"] = {**self.identity.public(), "key": self.identity.key}
        if self.credential:
            record["management_key"] = self.credential.token
            record["fresh"] = self.is_fresh
        return json.dumps(record).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> "Handover":
        """Raises SettingsError, quoting nothing of the line."""
        try:
            record = read_json(line)
        except (ValueError, RecursionError):
            raise _unusable("it is not JSON") from None
        if not isinstance(record, dict):
            raise _unusable("it is not a JSON object")
        identity, key = record.get("identity"), record.get("management_key")
        if record.keys() != {"identity"} or not _is_identity_alone(identity):
            note_trace(_SOURCE)
        if isinstance(identity, dict):
            own_key = identity.get("key")
            if own_key is not None and not isinstance(own_key, str):
                raise _unusable("its identity key is not text")
            try:
                return cls(
                    identity=Identity.from_public(
                        identity, check_token(own_key, _SOURCE) if own_key else None
                    )
                )
            except AnswerError as exc:
                raise _unusable(str(exc)) from None
        if isinstance(key, str):
            credential = Credential(check_token(key, _SOURCE), _SOURCE)
            return cls(credential=credential, is_fresh=record.get("fresh") is True)
        raise _unusable("it holds neither an identity nor a management key")


def _is_identity_alone(identity: object) -> bool:
    """Whether it is an identity's record, with nothing that could be a key of the account."""
    return (
        isinstance(identity, dict)
        and _IDENTITY_FIELDS.issuperset(identity)
        and not any(contract.MANAGEMENT_KEY_PREFIX in str(value) for value in identity.values())
    )


def read_handover(descriptor: int, wait: "Callable[[int], bool]") -> Handover:
    """Read the line; `wait(descriptor)` returns False once it took too long."""
    line = b""
    while b"\n" not in line:
        if not wait(descriptor):
            raise _unusable("no line came in time")
        chunk = os.read(descriptor, contract.HANDOVER_LIMIT)
        if not chunk:
            raise _unusable("it ended before the line did")
        line += chunk
        if len(line) > contract.HANDOVER_LIMIT:
            raise _unusable("the line does not end")
    line, _, rest = line.partition(b"\n")
    if rest:
        note_trace(_SOURCE)
    return Handover.from_line(line)


def ready_line(identity: Identity) -> str:
    """The answer to a hand-over, for standard error."""
    return f"{contract.READY_PREFIX}{write_json(identity.told())}\n"


def parse_ready_line(line: bytes) -> Identity | None:
    """The identity that an agent container says it has, None if the line says no such thing."""
    prefix = contract.READY_PREFIX.encode()
    if not line.startswith(prefix):
        return None
    try:
        record = read_json(line.removeprefix(prefix))
        return Identity.from_told(record) if isinstance(record, dict) else None
    except (ValueError, RecursionError, AnswerError):
        return None


def _unusable(why: str) -> SettingsError:
    return SettingsError(
        "hand-over on standard input",
        why,
        f"start this container with ravi-launch, or unset {contract.HANDOVER_VARIABLE}",
    )
