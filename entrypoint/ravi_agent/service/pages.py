"""Lists as every generation of the service sends them: bare, or in pages.

A page is `{"count", "next", "previous", "results"}`, and `next` a URL. Only its query is used:
the key goes to the service that was named for it, whatever an answer says.
"""

from urllib.parse import parse_qsl, urlencode, urlsplit

from ravi_agent.errors import AnswerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

# A page of a hundred is usual: so many hold more identities than any account has.
_PAGE_LIMIT = 10_000
_PORTS = {"http": 80, "https": 443}


class Listing:
    """One list that is being read, page by page.

    `query` is what to ask for next, "" for a list without parameters, None once the list has
    ended. url: the list's own address, without a query. params: what every page is asked with.
    """

    def __init__(self, url: str, params: "Mapping[str, str] | None" = None) -> None:
        self._url = url
        self._params = dict(params or {})
        self._seen_queries: set[str] = set()
        self._seen_pages: set[int] = set()
        self._count: int | None = None
        # Whether something was deleted while the list was read: what stood behind it has moved
        # to a page that was read already.
        self.has_shrunk = False
        self.query: str | None = urlencode(self._params)

    def add(self, answer: object) -> "list[Any]":
        """The records of the answer to `query`. Raises AnswerError for what is not a page of it."""
        asked, self.query = self.query, None
        if isinstance(answer, list):
            return answer
        records = answer.get("results") if isinstance(answer, dict) else None
        if not isinstance(answer, dict) or not isinstance(records, list):
            raise self._error("it is neither a JSON array nor a page of one")
        count = answer.get("count")
        if isinstance(count, int):
            self.has_shrunk |= self._count is not None and count < self._count
            self._count = count
        following = answer.get("next")
        if following is None or following == "":
            return records
        self._note(asked or "", records)
        self.query = self._query_of(following)
        if self.query in self._seen_queries:
            raise self._error("its pages go round in a circle")
        if len(self._seen_queries) >= _PAGE_LIMIT:
            raise self._error(f"it has not ended after {_PAGE_LIMIT} pages")
        return records

    def _note(self, query: str, records: "Sequence[object]") -> None:
        self._seen_queries.add(query)
        digest = hash(repr(records))
        if records and digest in self._seen_pages:
            raise self._error("it sends the same page again and again")
        self._seen_pages.add(digest)

    def _query_of(self, following: object) -> str:
        """The query of the next page, which must be a page of this list and of this service."""
        if not isinstance(following, str) or not following.isascii():
            raise self._error("the address of its next page is not a URL")
        here = urlsplit(self._url)
        try:
            there = urlsplit(following)
            is_same = not there.netloc or _place(there) == _place(here)
            # A proxy that takes TLS off has the service write http://. What is asked for next
            # keeps the scheme of what was asked for first.
            is_behind_tls = here.scheme == "https" and there.scheme == "http"
            if is_behind_tls and there.port is None and here.port in {None, 443}:
                is_same = there.hostname == here.hostname
        except ValueError as exc:
            raise self._error("the address of its next page is not a URL") from exc
        if there.scheme not in {"", "http", "https"} or not is_same or there.username is not None:
            raise self._error(
                f"its next page would be at {there.hostname!r}, and the key goes to nobody else"
            )
        if there.path not in {"", here.path}:
            raise self._error("its next page would be at another path")
        if not there.query:
            raise self._error("the address of its next page names none")
        # A service that forgets what was asked for must not widen the list.
        return urlencode({**self._params, **dict(parse_qsl(there.query, keep_blank_values=True))})

    def _error(self, why: str) -> AnswerError:
        parts = urlsplit(self._url)
        return AnswerError(f"the list at {parts.netloc}{parts.path} makes no sense", why)


def is_page(answer: object) -> bool:
    """Whether an answer is a page of a list, and no object of its own."""
    return isinstance(answer, dict) and {"results", "next"} <= answer.keys()


def _place(parts: "Any") -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)
