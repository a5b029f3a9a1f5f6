"""Output cut into lines: in time that grows with its size alone, and in bounded memory."""

import time
from collections.abc import Callable

LINE_LIMIT = 1 << 20  # bytes; what is longer is cut, between two characters
# A line that is written over with `\r`, like a progress bar, is passed on so often at most.
_PROGRESS_S = 1.0


class Lines:
    """One stream. `feed` and `end` return whole lines, each with its `\\n`, or b"".

    Two kinds come without one: a piece of a line longer than `limit`, and a state of a line that
    is being written over, which ends with `\\r`. Where `limit` is None, lines are never cut.
    """

    def __init__(
        self, limit: int | None = LINE_LIMIT, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit = limit
        self._rest = bytearray()
        self._clock = clock
        self._progress_at = -_PROGRESS_S

    def feed(self, data: bytes) -> bytes:
        """What is complete once this has come."""
        # Only what is new can hold the end of a line.
        at = data.rfind(b"\n") + 1
        if not at:
            self._rest += data
            return self._unfinished(b"\r" in data)
        self._rest += data[:at]
        whole = bytes(self._rest)
        self._rest = bytearray(data[at:])
        return whole

    def end(self) -> bytes:
        """The last line, where no `\\n` ends it."""
        rest = bytes(self._rest)
        self._rest.clear()
        return rest

    def _unfinished(self, is_progress: bool) -> bytes:
        size = 0
        if self._limit is None:
            return b""
        if len(self._rest) > self._limit:
            size = whole_characters(self._rest)
        elif is_progress and self._clock() - self._progress_at >= _PROGRESS_S:
            self._progress_at = self._clock()
            # A `\r` at the very end may be the first half of `\r\n`.
            size = self._rest.rfind(b"\r", 0, len(self._rest) - 1) + 1
        piece = bytes(self._rest[:size])
        del self._rest[:size]
        return piece


def whole_characters(data: bytes | bytearray) -> int:
    """The bytes at the beginning that end with a whole character of UTF-8; all, if it is none."""
    size = len(data)
    for back in range(1, min(4, size) + 1):
        byte = data[size - back]
        if byte & 0xC0 != 0x80:  # the first byte of a character: its ones say how many it has
            need = 1 if byte < 0x80 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return size if need <= back else size - back
    return size


def last_state(line: str) -> str:
    """What a terminal would show of a line in the end: each `\\r` writes it anew."""
    return line.rstrip("\r").rpartition("\r")[2] if "\r" in line else line
