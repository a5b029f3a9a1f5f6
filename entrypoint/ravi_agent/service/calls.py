"""What this project asks of Ravi: identities, keys, lists. How it gets there is for `api`."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from urllib.parse import parse_qsl, quote, urlencode

from ravi_agent.errors import AnswerError, OutcomeUnknownError
from ravi_agent.identity import Identity, is_plain, is_uuid
from ravi_agent.service.creation import creation_body
from ravi_agent.service.pages import Listing, is_page

# Seconds. The whole call: what the official CLI allows (a phone is bought while we wait).
CALL_TIMEOUT_S = 30.0
# All pages of a list together; each page is a call.
LIST_TIMEOUT_S = 300.0
OBJECT_LIMIT = 256 * 1024  # bytes; an identity has some hundred
_LIST_LIMIT = 64 * 1024 * 1024  # bytes, in all pages together; some 200,000 identities

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    # An answer as JSON, None where there is none, and its size in bytes.
    Answer = tuple[Any, int]
    # Makes the call for one page of a list, given `timeout_s`: the place to try it again.
    Attempt = Callable[[Callable[..., Answer]], Answer]


class Calls(ABC):
    """The calls, over whatever makes one. Raises what `call` raises, and AnswerError."""

    def __init__(self, api_url: str, identity_uuid: str | None) -> None:
        self.api_url = api_url
        self._host = api_url.partition("://")[2].partition("/")[0]
        self._identity_uuid = identity_uuid

    @abstractmethod
    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None,
        *,
        timeout_s: float,
        limit: int,
    ) -> "Answer":
        """One call to a path below `/api/`, its query included; `limit` bytes are accepted."""

    def find_identities(
        self, name: str, *, timeout_s: float = LIST_TIMEOUT_S, attempt: "Attempt | None" = None
    ) -> list[Identity]:
        """The account's identities of that name: none, one, or more than a name should have.

        Reads every page, because a second one of that name may stand on the last. Others are not
        looked at: they may be of any shape and are not ours to judge.
        """
        found = self.read_list(
            "identities/",
            timeout_s=timeout_s,
            attempt=attempt,
            keep=lambda record: record.get("name") == name,
        )
        # One that moves to the next page while the list is read is there twice.
        return list({one.uuid: one for one in map(Identity.from_api, found)}.values())

    def list_identities(self, prefix: str, *, timeout_s: float = LIST_TIMEOUT_S) -> list[Identity]:
        """The account's identities whose name begins with `prefix`, and that make sense."""
        found = {}
        for record in self.read_list(
            "identities/",
            timeout_s=timeout_s,
            keep=lambda record: str(record.get("name")).startswith(prefix),
        ):
            try:
                identity = Identity.from_api(record)
            except AnswerError:
                continue  # a name of another client, with an address that no start takes
            found[identity.uuid] = identity
        return list(found.values())

    def check_access(self, *, timeout_s: float = CALL_TIMEOUT_S) -> None:
        """Nothing where the service takes the credential: it is asked for its first page."""
        answer, _ = self.call("GET", "identities/", None, timeout_s=timeout_s, limit=_LIST_LIMIT)
        if not isinstance(answer, list | dict):
            raise AnswerError("list of identities not understood", "neither a list nor a page")

    def get_identity(self, uuid: str, *, timeout_s: float = CALL_TIMEOUT_S) -> Identity:
        """One identity; RefusedError with status 404 or 410 where there is none."""
        found = Identity.from_api(self._object("GET", _identity_path(uuid), None, timeout_s))
        if found.uuid.lower() != uuid.lower():  # what is done to it next was meant for that one
            raise AnswerError(
                f"{self._host} sent another identity", f"{uuid} was asked for, {found.uuid} came"
            )
        return found

    def create_identity(
        self, name: str, *, with_phone: bool, timeout_s: float = CALL_TIMEOUT_S
    ) -> Identity:
        """Create, and pay for, an identity. Never call it again on an unclear outcome."""
        body = creation_body(name, with_phone=with_phone)
        return Identity.from_api(self._object("POST", "identities/", body, timeout_s))

    def provision_phone(self, uuid: str, *, timeout_s: float = CALL_TIMEOUT_S) -> Identity:
        """Pay for a number for an identity that has none; not twice on an unclear outcome."""
        path = f"{_identity_path(uuid)}provision-phone/"
        return Identity.from_api(self._object("POST", path, None, timeout_s))

    def mint_key(
        self, uuid: str, *, label: str, timeout_s: float = CALL_TIMEOUT_S
    ) -> tuple[str, str | None]:
        """A new identity key, and its UUID where the service gives it one.

        RefusedError with status 404 on an account that has no keys.
        """
        body = {"identity_uuid": uuid, "label": label}
        answer = self._object("POST", "auth/keys/identity/", body, timeout_s)
        key, key_uuid = answer.get("key"), answer.get("uuid")
        # It goes into a header, a file and a variable.
        if not isinstance(key, str) or not key or not key.isascii() or not is_plain(key):
            raise AnswerError("identity key not understood", "the field 'key' is missing or no key")
        if not isinstance(key_uuid, str) or not is_uuid(key_uuid):
            key_uuid = None
        return key, key_uuid

    def delete_identity(self, uuid: str, *, timeout_s: float = CALL_TIMEOUT_S) -> None:
        """Delete an identity; status 404 also where the service has no such call."""
        self.call("DELETE", _identity_path(uuid), None, timeout_s=timeout_s, limit=OBJECT_LIMIT)

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        params: Mapping[str, object] | None = None,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> object:
        """The service's own JSON for any path below `/api/`, None where it sends none (204).

        params: query parameters; None leaves one out, True and False are written small.
        """
        query = urlencode(self._params(params))
        path = _with_query(path, query)
        return self.call(method, path, body, timeout_s=timeout_s, limit=_LIST_LIMIT)[0]

    def read(self, path: str, *, timeout_s: float = LIST_TIMEOUT_S) -> object:
        """What a GET answers: an object as it is, a list whole, also where it comes in pages.

        timeout_s: for all pages.
        """
        ends = time.monotonic() + timeout_s
        place, _, query = path.partition("?")
        params = self._params(dict(parse_qsl(query, keep_blank_values=True)))
        answer, size = self._page(_with_query(place, urlencode(params)), ends, _LIST_LIMIT)
        if not is_page(answer):
            return answer
        listing = Listing(f"{self.api_url}/api/{place}", params)
        first = listing.add(answer)
        return [*first, *self._records(listing, place, ends, left=_LIST_LIMIT - size)]

    def read_list(
        self,
        path: str,
        params: Mapping[str, object] | None = None,
        *,
        timeout_s: float = LIST_TIMEOUT_S,
        attempt: "Attempt | None" = None,
        keep: "Callable[[dict[str, Any]], bool]" = lambda _record: True,
    ) -> "list[dict[str, Any]]":
        """The objects of a list, bare or in pages, that `keep` wants; one call for each page.

        timeout_s: for all pages. attempt: makes each call, and may repeat it.
        """
        ends = time.monotonic() + timeout_s
        while True:
            listing = Listing(f"{self.api_url}/api/{path}", self._params(params))
            records = self._records(listing, path, ends, attempt=attempt)
            found = [one for one in records if isinstance(one, dict) and keep(one)]
            # Something was deleted meanwhile: what stood behind it may have moved from a page
            # that was to come to one that had been read. Only who found nothing has to know.
            if found or not listing.has_shrunk:
                return found

    def _records(
        self,
        listing: Listing,
        path: str,
        ends: float,
        *,
        left: int = _LIST_LIMIT,
        attempt: "Attempt | None" = None,
    ) -> "Iterator[Any]":
        """What is on the pages that the list still has; `left` bytes are accepted in all."""
        while listing.query is not None:
            page = partial(self._page, _with_query(path, listing.query), ends, left)
            answer, size = attempt(page) if attempt else page()
            left -= size
            yield from listing.add(answer)

    def _page(
        self, path: str, ends: float, limit: int, *, timeout_s: float = CALL_TIMEOUT_S
    ) -> "Answer":
        left_s = ends - time.monotonic()
        if left_s <= 0:
            raise OutcomeUnknownError(
                f"GET {self._host}/api/{path}", "the list did not end in time"
            )
        return self.call("GET", path, None, timeout_s=min(timeout_s, left_s), limit=limit)

    def _params(self, params: Mapping[str, object] | None) -> dict[str, str]:
        texts = {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in (params or {}).items()
            if value is not None
        }
        return {**texts, "identity": self._identity_uuid} if self._identity_uuid else texts

    def _object(
        self, method: str, path: str, body: Mapping[str, object] | None, timeout_s: float
    ) -> dict[str, object]:
        answer, _ = self.call(method, path, body, timeout_s=timeout_s, limit=OBJECT_LIMIT)
        if not isinstance(answer, dict):
            raise AnswerError(f"{self._host} sent no object", f"{method} /api/{path}")
        return answer


def _identity_path(uuid: str) -> str:
    return f"identities/{quote(uuid, safe='')}/"


def _with_query(path: str, query: str) -> str:
    if not query:
        return path
    return f"{path}{'&' if '?' in path else '?'}{query}"
