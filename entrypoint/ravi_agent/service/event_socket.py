"""Events as they happen, over a WebSocket (RFC 6455): as much of it as a doorbell needs.

What an event says is not read, only that there is one: whoever is told looks at the service's
lists, which are complete.
"""

import base64
import hashlib
import os
import time

from ravi_agent.errors import AnswerError, OutcomeUnknownError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ravi_agent.service.deadline import Deadline
    from ravi_agent.service.status import Headers
    from ravi_agent.service.wire import Wire

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
_CLOSE, _PING, _PONG = 0x8, 0x9, 0xA  # opcodes, 5.2
_LAST, _MASKED = 0x80, 0x80
_QUIET_S = 20.0  # without a byte, before the peer is asked whether it is there
_WRITE_S = 5.0
_FRAME_LIMIT = 1024 * 1024  # bytes


def upgrade_headers() -> dict[str, str]:
    """The headers of a request to open a WebSocket, with a fresh key."""
    return {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
    }


def check_upgrade(asked: "Mapping[str, str]", answer: "Headers", what: str) -> None:
    """Raise AnswerError where the answer does not come from a WebSocket server (4.1)."""
    key = f"{asked['Sec-WebSocket-Key']}{_GUID}".encode()
    expected = base64.b64encode(hashlib.sha1(key, usedforsecurity=False).digest()).decode()
    if answer.get("sec-websocket-accept", "").strip() != expected:
        raise AnswerError(what, "it opened something that is no WebSocket")


class EventSocket:
    """An open WebSocket on which the service says that something happened.

    wire: the connection behind an accepted upgrade. deadline: what its reads and writes keep to.
    """

    def __init__(self, wire: "Wire", deadline: "Deadline", what: str) -> None:
        self._wire = wire
        self._deadline = deadline
        self._what = what
        self._buffer = b""
        self._heard = time.monotonic()
        self._is_asked = False

    def close(self) -> None:
        """End the connection."""
        self._wire.close()

    def wait(self, timeout_s: float) -> bool:
        """Whether something happened in that time. Raises OutcomeUnknownError once it is lost."""
        ends = time.monotonic() + timeout_s
        try:
            while True:
                while (opcode := self._next_frame()) is not None:
                    if opcode < _CLOSE:  # text, binary, or more of one
                        return True
                    if opcode == _CLOSE:
                        raise OutcomeUnknownError(self._what, "the service closed the connection")
                now = time.monotonic()
                if now >= ends:
                    return False
                self._read(min(ends, self._quiet_until()))
        except OSError as exc:
            raise OutcomeUnknownError(self._what, str(exc) or "the connection is lost") from exc

    def _quiet_until(self) -> float:
        """Until when silence is no reason for doubt; asks the peer once it is."""
        if time.monotonic() >= self._heard + _QUIET_S:
            if self._is_asked:
                raise ConnectionError("the service does not answer any more")
            self._is_asked = True
            self._heard = time.monotonic()
            self._send(_PING, b"")
        return self._heard + _QUIET_S

    def _read(self, until: float) -> None:
        self._deadline.set(max(until, time.monotonic() + 0.001))
        try:
            data = self._wire.read(64 * 1024)
        except TimeoutError:
            return
        if not data:
            raise ConnectionError("the service closed the connection")
        self._buffer += data
        self._heard, self._is_asked = time.monotonic(), False

    def _next_frame(self) -> int | None:
        """The opcode of the next whole frame, answered if it is a ping; None for none yet (5.2)."""
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        size, start = buffer[1] & 0x7F, 2
        if size >= 126:
            start += 2 if size == 126 else 8
            if len(buffer) < start:
                return None
            size = int.from_bytes(buffer[2:start])
        if buffer[1] & _MASKED or size > _FRAME_LIMIT:
            raise OutcomeUnknownError(self._what, "it sent a frame that no server sends")
        if len(buffer) < start + size:
            return None
        self._buffer = buffer[start + size :]
        opcode = buffer[0] & 0x0F
        if opcode == _PING:
            self._send(_PONG, buffer[start : start + size][:125])
        return opcode if opcode not in {_PING, _PONG} else self._next_frame()

    def _send(self, opcode: int, payload: bytes) -> None:
        """A control frame, masked as a client's are (5.3)."""
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
        self._deadline.set(time.monotonic() + _WRITE_S)
        frame = bytes((_LAST | opcode, _MASKED | len(payload))) + mask + masked
        self._wire.sendall(frame)
