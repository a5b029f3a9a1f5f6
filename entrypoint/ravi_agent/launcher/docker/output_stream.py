"""One container's output: what the engine sends, cut into lines for people and for control."""

import time
from collections import deque
from collections.abc import Callable

from ravi_agent import contract
from ravi_agent.launcher.docker.attach import Attached, Chunks
from ravi_agent.launcher.docker.joint import Joint
from ravi_agent.launcher.model.agents import KEPT_LINES
from ravi_agent.launcher.model.events import (
    EntrypointFailed,
    Event,
    OutputOver,
    Ready,
)
from ravi_agent.launcher.model.lines import Lines
from ravi_agent.launcher.model.usage import UNMEASURED, Used

_KEPT_BYTES = 1024  # of each of an agent's last lines
_STDERR = 2
_READY_PREFIX = contract.READY_PREFIX.encode()
_USED_PREFIX = contract.USED_PREFIX.encode()
_OWN_PREFIX = b"ravi-entrypoint: "
_ERROR_PREFIX = _OWN_PREFIX + b"error: "


class Stream:
    """One attached container: Docker's multiplexed stream, cut into lines.

    Each frame is a header (1 byte stream, 3 zero bytes, 4 bytes length, big-endian) and that
    many bytes (Docker Engine API, "Attach to a container").
    """

    def __init__(
        self,
        index: int,
        emit: Callable[[Event], None],
        show: "Callable[[Stream, bytes, bool], None]",
    ) -> None:
        """show: called with whole lines, and with whether they are of standard error."""
        self.index = index
        self.unshown = 0  # bytes; guarded by the mux's lock
        self.is_paused = False
        self.is_ready = False
        self.has_past = False  # its agent may have started, and its log begins somewhere
        self.attached: Attached | None = None
        self.is_last = False  # no other connection follows this one
        self._emit = emit
        self._show = show
        self._chunks: Chunks | None = None
        self._buffer = bytearray()
        self._joints = {1: Joint(), _STDERR: Joint()}
        self._lines = {1: Lines(), _STDERR: Lines()}
        self._last: deque[bytes] = deque(maxlen=KEPT_LINES)
        self._used_line = b""  # held back: PID 1's, unless the agent writes on

    def connect(self, attached: Attached) -> None:
        """Go on with another connection, behind what has been read."""
        self.attached = attached
        self._buffer.clear()
        self._chunks = Chunks() if attached.is_chunked else None
        if attached.has_past:
            for joint in self._joints.values():
                joint.rewind()
        self.feed(attached.early)

    def feed(self, data: bytes) -> None:
        self._buffer += data if self._chunks is None else self._chunks.feed(data)
        start = 0
        while len(self._buffer) - start >= 8:
            end = start + 8 + int.from_bytes(self._buffer[start + 4 : start + 8], "big")
            if len(self._buffer) < end:
                break
            self._add(self._buffer[start], bytes(self._buffer[start + 8 : end]))
            start = end
        del self._buffer[:start]

    @property
    def is_over(self) -> bool:
        """Whether a body in chunks has said that it is."""
        return self._chunks is not None and self._chunks.is_over

    def disconnect(self) -> None:
        if self.attached:
            self.attached.sock.close()
            self.attached = None

    def close(self) -> None:
        self.disconnect()
        for stream, lines in self._lines.items():
            if rest := lines.end():
                self._pass_on(stream, rest)
        used = Used.from_line(self._used_line) or UNMEASURED
        last = tuple(line.decode(errors="replace") for line in self._last)
        self._emit(OutputOver(index=self.index, last_lines=last, used=used))

    def _add(self, stream: int, payload: bytes) -> None:
        if stream not in self._joints:
            return  # nothing that the API knows
        payload = self._joints[stream].new(payload)
        self._joints[stream].read(payload)
        if whole := self._lines[stream].feed(payload):
            self._pass_on(stream, whole)

    def _pass_on(self, stream: int, data: bytes) -> None:
        if stream == _STDERR:
            data = self._listen(data)
        if data:
            last = data.removesuffix(b"\n").rsplit(b"\n", KEPT_LINES)[-KEPT_LINES:]
            self._last.extend(line[:_KEPT_BYTES] for line in last)
            self._show(self, data, stream == _STDERR)

    def _listen(self, data: bytes) -> bytes:
        """Hear what the entrypoint says to the launcher; the rest is for people.

        Once the agent may have started, it can write the same lines, and nothing is heard any more
        but what PID 1 tells when nobody else is left.
        """
        if self.is_ready:
            return self._without_used(data)
        kept = []
        for line in data.splitlines(keepends=True):
            if line.startswith(_READY_PREFIX) and not self.is_ready:
                self.is_ready = True
                ready = Ready(index=self.index, line=line.rstrip(b"\n"), at=time.monotonic())
                self._emit(ready)
                continue
            if line.startswith(_ERROR_PREFIX) and not self.is_ready and not self.has_past:
                text = line.removeprefix(_ERROR_PREFIX).decode(errors="replace").rstrip("\n")
                self._emit(EntrypointFailed(index=self.index, error=text))
            kept.append(line)
        return b"".join(kept)

    def _without_used(self, data: bytes) -> bytes:
        """The data without PID 1's last words; the same words of the agent's are kept."""
        if not self._used_line and _USED_PREFIX not in data:
            return data
        kept = []
        for line in data.splitlines(keepends=True):
            at = line.rfind(_USED_PREFIX)  # the agent's last line may have had no end
            is_used = at >= 0 and Used.from_line(line[at:]) is not None
            if is_used or not line.startswith(_OWN_PREFIX):
                kept.append(self._used_line)
                self._used_line = line[at:] if is_used else b""
            kept.append(line[:at] if is_used else line)
        return b"".join(kept)
