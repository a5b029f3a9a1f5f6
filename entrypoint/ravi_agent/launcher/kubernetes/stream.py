"""An answer of the API server that comes line by line."""

import socket
from collections.abc import Iterator

import urllib3

from ravi_agent.launcher.model.lines import Lines


class Stream:
    """An answer that comes line by line; `close` ends it from any thread."""

    def __init__(self, response: urllib3.HTTPResponse, what: str) -> None:
        self._response = response
        self._what = what

    def lines(self) -> Iterator[bytes]:
        """Each line as it comes, until the server or `close` ends it."""
        lines = Lines(None)  # an object of a watch, or a line behind its time: never in two
        try:
            for chunk in self._response.stream(amt=None, decode_content=False):
                if whole := lines.feed(chunk):
                    yield from whole.removesuffix(b"\n").split(b"\n")
        except (urllib3.exceptions.HTTPError, OSError, ValueError, AttributeError):
            # Cut off, or closed under the reader's hands: there is nothing more to come.
            return
        finally:
            self._response.release_conn()
        if rest := lines.end():
            yield rest

    def close(self) -> None:
        connection = getattr(self._response, "connection", None)
        sock = getattr(connection, "sock", None)
        if sock:
            try:
                # A reader in another thread holds the locks that closing would wait for. The
                # method of a TLS socket would take its decryption away under that reader, who
                # would then be given ciphertext: only the connection below it is shut.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
            except OSError:
                return  # it has ended by itself
