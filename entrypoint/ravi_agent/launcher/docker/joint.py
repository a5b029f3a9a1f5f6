"""Where a container's log goes on behind what has been read of its output already."""

# The engine keeps the last 50 to 100 MB of a container's output (`container_settings`): as long as
# less than this has been read, the log still begins with the first byte.
_WHOLE_LOG = 40 << 20  # bytes
_KEPT = 4 << 10  # bytes, by which the place is found in a log that has lost its beginning


class Joint:
    """One of a container's two streams: what has been read of it, and what is new in its log."""

    def __init__(self) -> None:
        self._read = 0
        self._last = b""
        self._left: int | None = None  # bytes to be passed over
        self._search: bytearray | None = None

    def read(self, data: bytes) -> None:
        """This has been read."""
        self._read += len(data)
        self._last = (self._last + data)[-_KEPT:] if len(data) < _KEPT else data[-_KEPT:]

    def rewind(self) -> None:
        """What comes next is the log, from its first byte."""
        self._left = self._search = None
        if self._read < _WHOLE_LOG:
            self._left = self._read
        else:
            self._search = bytearray()

    def new(self, data: bytes) -> bytes:
        """What of the next part of the log has not been read before."""
        if self._search is not None:
            data = self._behind_last(self._search, data)
        elif self._left:
            passed = min(self._left, len(data))
            self._left -= passed
            data = data[passed:]
        return data

    def _behind_last(self, held: bytearray, data: bytes) -> bytes:
        held += data
        at = held.find(self._last)
        if at < 0:
            del held[: -len(self._last)]
            return b""
        self._search = None
        return bytes(held[at + len(self._last) :])
