"""Lists, bare or in pages: `{"count", "next", "previous", "results"}` with `?page=N`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starlette.requests import Request

from ravi_agent.local.database import Database, Row
from ravi_agent.local.refusals import RefusalError

Shown = dict[str, object]
DEFAULT_PAGE_SIZE = 100


@dataclass(frozen=True)
class Listing:
    """The rows of a query, read when they are shown and no more of them than are shown."""

    db: Database
    query: str
    parameters: Sequence[object]
    order: str
    show: Callable[[Row], Shown]

    def count(self) -> int:
        row = self.db.one(f"SELECT COUNT(*) AS n FROM ({self.query})", self.parameters)  # noqa: S608
        assert row
        return int(row["n"])

    def rows(self, limit: int = -1, offset: int = 0) -> list[Shown]:
        """Rows as they are shown; all of them by default."""
        found = self.db.all(
            f"{self.query} ORDER BY {self.order} LIMIT ? OFFSET ?",
            [*self.parameters, limit, offset],
        )
        return [self.show(row) for row in found]


@dataclass(frozen=True)
class Fixed:
    """A short list that is in no table."""

    entries: Sequence[Shown]

    def count(self) -> int:
        return len(self.entries)

    def rows(self, limit: int = -1, offset: int = 0) -> list[Shown]:
        return list(self.entries[offset:] if limit < 0 else self.entries[offset : offset + limit])


@dataclass(frozen=True)
class Showing:
    """A listing whose entries say more to one caller than to another: addresses of this server."""

    listing: Listing
    show: Callable[[Shown], Shown]

    def count(self) -> int:
        return self.listing.count()

    def rows(self, limit: int = -1, offset: int = 0) -> list[Shown]:
        return [self.show(entry) for entry in self.listing.rows(limit, offset)]


def answer(listing: Listing | Fixed | Showing, request: Request, page_size: int | None) -> object:
    """The list as this caller takes it: in pages where it asks for one, or where all come so.

    page_size: where every list comes in pages, how long one is. Raises RefusalError for a page
    that is not there, as the service does.
    """
    asked = request.query_params.get("page")
    if asked is None and page_size is None:
        return listing.rows()
    size = page_size or DEFAULT_PAGE_SIZE
    page = int(asked) if asked and asked.isascii() and asked.isdecimal() and len(asked) < 10 else 0
    if asked is None:
        page = 1
    count = listing.count()
    last = max(1, -(-count // size))
    if not 1 <= page <= last:
        raise RefusalError(404, "Invalid page.")
    return {
        "count": count,
        "next": _url(request, page + 1) if page < last else None,
        "previous": _url(request, page - 1) if page > 1 else None,
        "results": listing.rows(size, (page - 1) * size),
    }


def _url(request: Request, page: int) -> str:
    return str(request.url.include_query_params(page=page))
