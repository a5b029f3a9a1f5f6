"""Where a container's log goes on behind what has been read of its output already."""

# The engine keeps the last 50 to 100 MB of a container's output (`container_settings`): as long as
# less than this has been read, the log still begins with the first byte.
_WHOLE_LOG = 40 << 20  # bytes
_KEPT = 4 << 10  # bytes, by which the place is found in a log that has lost its beginning


class Joint:
    """One of a container's two streams: what has been read of it, and what is new in its log.

    Counted in lines: of a long line the log has other bytes, where a character was cut in two.
    """

    def __init__(self) -> None:
        self._size = 0  # bytes that have been read
        self._lines = 0
        self._begun = 0  # bytes of the line that has not ended
        self._last = b""
        self._left_lines = 0  # to be passed over
        self._left_begun = 0
        self._search: bytearray | None = None

    def read(self, data: bytes) -> None:
        """This has been read."""
        self._size += len(data)
        self._lines += data.count(b"\n")
        end = data.rfind(b"\n") + 1
        self._begun = len(data) - end + (0 if end else self._begun)
        self._last = (self._last + data)[-_KEPT:] if len(data) < _KEPT else data[-_KEPT:]

    def rewind(self) -> None:
        """What comes next is the log, from its first byte."""
        is_whole = self._size < _WHOLE_LOG
        self._search = None if is_whole else bytearray()
        self._left_lines = self._lines if is_whole else 0
        self._left_begun = self._begun if is_whole else 0

    def new(self, data: bytes) -> bytes:
        """What of the next part of the log has not been read before."""
        if self._search is not None:
            return self._behind_last(self._search, data)
        if self._left_lines:
            data = self._behind_lines(data)
        if self._left_begun and not self._left_lines:
            passed = min(self._left_begun, len(data))
            self._left_begun -= passed
            data = data[passed:]
        return data

    def _behind_lines(self, data: bytes) -> bytes:
        count = data.count(b"\n")
        if count < self._left_lines:
            self._left_lines -= count
            return b""
        at = 0
        for _ in range(self._left_lines):
            at = data.index(b"\n", at) + 1
        self._left_lines = 0
        return data[at:]

    def _behind_last(self, held: bytearray, data: bytes) -> bytes:
        held += data
        at = held.find(self._last)
        if at < 0:
            del held[: -len(self._last)]
            return b""
        self._search = None
        return bytes(held[at + len(self._last) :])
