"""Standard output and standard error as the launcher writes to them while agents run."""

import io
import os
import sys
from typing import TextIO

from ravi_agent.terminal import visible

_BUFFER = 64 * 1024  # bytes
_CLEAR_LINE = "\r\x1b[2K"  # ECMA-48: to the line's start, and erase it


class OwnStream(io.TextIOWrapper):
    """A stream that cannot fail: once a write has, standard error is told, and the rest is lost.

    Characters that the encoding does not have are escaped.
    """

    def __init__(self, descriptor: int, name: str, encoding: str) -> None:
        buffer = io.BufferedWriter(io.FileIO(descriptor, "w"), _BUFFER)
        super().__init__(buffer, encoding, errors="backslashreplace", write_through=True)
        self._what = name
        self._is_broken = False

    def write(self, text: str) -> int:
        if not self._is_broken:
            try:
                return super().write(text)
            except OSError as exc:
                self._break(exc)
        return len(text)

    def flush(self) -> None:
        if not self._is_broken:
            try:
                super().flush()
            except OSError as exc:
                self._break(exc)

    def _break(self, exc: OSError) -> None:
        self._is_broken = True
        write_now(
            f"ravi-launch: warning: {self._what}: {exc.strerror};"
            " nothing more is written there, and the run goes on\n"
        )


def own_stream(stream: TextIO | None, name: str) -> TextIO:
    """The same descriptor behind a buffer of its own.

    A thread may be held in a write to it for ever: the interpreter, which flushes `stream` when it
    ends, does not wait for that.
    """
    if stream is None:  # it was closed when the program started
        return open(os.devnull, "w", encoding="utf-8")
    try:
        descriptor = os.dup(stream.fileno())
    except (OSError, io.UnsupportedOperation):
        return stream  # no file at all: a test's
    return OwnStream(descriptor, name, stream.encoding)


def write_now(text: str) -> None:
    """Write to standard error past all buffers; above the bar, where that is a terminal's."""
    if sys.__stderr__ is None:  # closed: its descriptor may be somebody else's by now
        return
    try:
        if os.isatty(2):
            text = _CLEAR_LINE + visible(text)
        os.write(2, text.encode(errors="replace"))
    except OSError:
        return  # there is nobody to tell
