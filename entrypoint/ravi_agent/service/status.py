"""What the service means by a status that is not a success, in every generation's envelope.

`{"detail": "…"}` (the oldest), `{"error": "…"}`, and `{"error": {"code", "message", "details"}}`
(the newest); `{"field": ["…"]}` is how a Django REST framework names what it will not take.
"""

import json
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from ravi_agent.errors import AnswerError, OutcomeUnknownError, RefusedError, ThrottledError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Headers(Protocol):
        """Found in any case of letters."""

        def get(self, name: str, default: str, /) -> str: ...


_REASON_LIMIT = 200  # characters of the service's own words
_LONGEST_WAIT_S = 86400.0


class Reason:
    """Why the service refuses: `text` for people, `code` for programs; "" where it says nothing.

    fields: the parts of the request that it names.
    """

    __slots__ = ("code", "fields", "text")

    def __init__(self, text: str = "", code: str = "", fields: tuple[str, ...] = ()) -> None:
        self.text = text
        self.code = code
        self.fields = fields

    @classmethod
    def from_body(cls, record: object) -> "Reason":
        """Of any envelope; what is in none is nobody's reason."""
        if not isinstance(record, dict):
            return cls()
        error = record.get("error")
        if isinstance(error, dict):
            details = error.get("details")
            code, message = _line(error.get("code")), _line(error.get("message"))
            named = dict(_named(details))
            # A refused request often has its real cause one level down.
            inner = _line(details.get("code")) if isinstance(details, dict) else ""
            text = ": ".join(part for part in (message, _joined(named)) if part)
            return cls(text, inner or code, tuple(named))
        for plain in (error, record.get("detail")):
            if isinstance(plain, str):
                return cls(_line(plain), _line(record.get("code")))
        named = dict(_named(record))
        return cls(_joined(named), "", tuple(named))

    def __str__(self) -> str:
        text = self.text[:_REASON_LIMIT]
        return f"{self.code}: {text}" if self.code and text else self.code or text


def check_status(
    status: int, headers: "Headers", content: bytes, what: str, secrets: Iterable[str] = ()
) -> None:
    """Nothing where the call was carried out; else ThrottledError, OutcomeUnknownError,
    AnswerError or RefusedError. secrets:
    what no message may hold, should the service send it back.

    A status that nobody knows means what the first of its hundred means (RFC 9110, 15).
    """
    if 200 <= status < 300:
        return
    record = _parsed(content, secrets)
    if status == 429:
        raise ThrottledError(what, "status 429", retry_after_s=_retry_after(headers, record))
    reason = Reason.from_body(record)
    why = f"status {status}" + (f" ({reason})" if str(reason) else "")
    # 408 and 425 ask for the same request again, as 5xx does; 408 also comes from proxies that
    # have lost a service which is still at work.
    if status >= 500 or status in {408, 425}:
        raise OutcomeUnknownError(what, why, retry_after_s=_retry_after(headers, record))
    if 300 <= status < 400 or status < 200:
        target = _host(headers.get("location", "")) if status >= 300 else ""
        raise AnswerError(
            what,
            f"status {status}, a redirect" + (f" to {target!r}" if target else ""),
        )
    raise RefusedError(
        what,
        why,
        _REMEDIES.get(status),
        status=status,
        code=reason.code,
        fields=reason.fields,
    )


_REMEDIES = {
    401: "give a management key that is valid: RAVI_MANAGEMENT_KEY_FILE",
    402: "take a plan that covers it, or set RAVI_PHONE_POLICY=never if it is the phone",
    403: "use the management key of an account that may do this",
    404: "check that RAVI_API_URL names the service's root",
    407: "put the proxy's user and password into HTTPS_PROXY or HTTP_PROXY",
}


def _parsed(content: bytes, secrets: Iterable[str]) -> object:
    """An error's body without the secrets in it, None for what is not JSON."""
    try:
        text = json.dumps(json.loads(content), ensure_ascii=False)
        for secret in secrets:
            text = text.replace(json.dumps(secret)[1:-1], "<hidden>")
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def unix_time(date: str) -> float | None:
    """An HTTP date (RFC 9110) in Unix seconds, None for anything else."""
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def _host(location: str) -> str:
    try:
        return urlsplit(location).hostname or ""
    except ValueError:
        return ""


def _named(details: object) -> Iterator[tuple[str, str]]:
    """Pairs of a field and what is wrong with it."""
    if not isinstance(details, dict):
        return
    for field, problem in details.items():
        first = problem[0] if isinstance(problem, list) and problem else problem
        if isinstance(first, str) and field != "code":
            yield _line(field), _line(first)


def _joined(named: Mapping[str, str]) -> str:
    return "; ".join(f"{field}: {problem}" for field, problem in named.items())


def _line(text: object) -> str:
    """A short printable line of what should be text, "" of anything else."""
    if not isinstance(text, str):
        return ""
    return "".join(char if char.isprintable() else " " for char in text[:_REASON_LIMIT])


def _retry_after(headers: "Headers", record: object) -> float | None:
    """Seconds to wait: `retry_after_seconds` of the body, else `Retry-After` (RFC 9110)."""
    if isinstance(record, dict):
        for place in (record, record.get("error"), _details(record)):
            if isinstance(place, dict) and "retry_after_seconds" in place:
                wait_s = _seconds(place["retry_after_seconds"])
                if wait_s is not None:
                    return wait_s
    header = headers.get("retry-after", "")
    wait_s = _seconds(header)
    if wait_s is not None:
        return wait_s
    at = unix_time(header)
    return None if at is None else _seconds(at - time.time())


def _details(record: Mapping[str, object]) -> object:
    error = record.get("error")
    return error.get("details") if isinstance(error, dict) else None


def _seconds(value: object) -> float | None:
    """A wait between none and a day, None for what is not a number."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value)
    except ValueError:
        return None
    except OverflowError:  # a number of hundreds of digits
        seconds = math.inf if str(value)[:1] != "-" else 0.0
    return None if math.isnan(seconds) else min(max(seconds, 0.0), _LONGEST_WAIT_S)
