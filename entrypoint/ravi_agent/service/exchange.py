"""One request and its answer, over the standard library's HTTP.

`http.client` reads what most services send; where it would guess, an answer is refused here.
"""

from email.errors import (
    FirstHeaderLineIsContinuationDefect,
    InvalidHeaderDefect,
    MissingHeaderBodySeparatorDefect,
)
from http.client import HTTPConnection, HTTPException, HTTPResponse, RemoteDisconnected

from ravi_agent.errors import NotSentError, OutcomeUnknownError, RaviError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ravi_agent.service.wire import Wire

_READ_BYTES = 64 * 1024
_BROKEN_LINES = (
    FirstHeaderLineIsContinuationDefect,
    InvalidHeaderDefect,
    MissingHeaderBodySeparatorDefect,
)


class Answer(HTTPResponse):
    """An answer whose status and headers were read; it raises OSError and HTTPException."""

    def __init__(self, wire: "Wire", method: str) -> None:
        super().__init__(wire, method=method)  # type: ignore[arg-type] # of a socket it needs makefile
        self.begin()

    def begin(self) -> None:
        """Read past every interim answer; 101 is one only to who has not asked for it."""
        super().begin()
        while self.status < 200 and self.status != 101:
            self.headers = self.msg = None  # type: ignore[assignment] # as before the first
            super().begin()
        self._check_framing()

    def read_to(self, limit: int) -> bytes:
        """The body, or more than `limit` bytes of it."""
        content = bytearray()
        while len(content) <= limit and (
            data := self.read(min(_READ_BYTES, limit + 1 - len(content)))
        ):
            content += data
        if self.length and len(content) <= limit:
            raise ConnectionError("the connection was closed in the middle of the answer")
        return bytes(content)

    @property
    def leaves_reusable(self) -> bool:
        """Whether the whole answer was read, and another request may follow it."""
        return self.isclosed() and not self.will_close and self.status != 101

    def _check_framing(self) -> None:
        """Raise HTTPException where one could not say for certain where the answer ends."""
        if any(isinstance(defect, _BROKEN_LINES) for defect in self.headers.defects):
            raise HTTPException("a line of its head is not a header")
        coding = (self.getheader("transfer-encoding") or "").strip().lower()
        if coding not in {"", "chunked"}:
            raise HTTPException("its transfer encoding was not asked for")
        lengths = set(self.headers.get_all("content-length", []))
        if not coding and (
            len(lengths) > 1
            or any(not (one.isascii() and one.strip().isdecimal()) for one in lengths)
        ):
            raise HTTPException("its length is not a number")
        if self.version != 11:
            self.will_close = True


def exchange(
    wire: "Wire",
    method: str,
    target: str,
    headers: "Mapping[str, str]",
    body: bytes | None,
    what: str,
) -> Answer:
    """Send a request, and read the answer's head.

    headers: with `Host`. what: names the request in errors. Raises NotSentError, final, for one
    that no HTTP can carry, and else what `Answer` raises.
    """
    # Refused here and not by http.client, whose error would show a token; it also lets a line
    # break pass that a space follows.
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable()):
            raise NotSentError(what, f"its header {name} has a character that no header may have",
                               is_final=True)  # fmt: skip
    is_cut_off = False
    try:
        connection = HTTPConnection(headers["Host"])
        connection.sock = wire  # of a socket it needs sendall
        connection.request(method, target, body, headers)
    except TimeoutError:
        raise
    except OSError:
        is_cut_off = True  # it may have answered before it hung up
    except (HTTPException, ValueError):
        raise NotSentError(what, "it cannot be put into a request", is_final=True) from None
    answer = Answer(wire, method)
    if is_cut_off:
        answer.will_close = True
    return answer


def failure(exc: Exception, what: str) -> RaviError:
    """What it means that a request went out and no answer came of it: nobody knows."""
    if isinstance(exc, TimeoutError):
        return OutcomeUnknownError(what, "no answer in time", may_still_run=True)
    return OutcomeUnknownError(what, explain(exc))


def explain(exc: Exception) -> str:
    """Why there is no answer, without anything that was sent."""
    if isinstance(exc, RemoteDisconnected):
        return "the connection was closed without an answer"
    if isinstance(exc, HTTPException):  # its text may quote what has come
        return f"the answer is not HTTP ({type(exc).__name__})"
    return str(exc) or type(exc).__name__
