"""What the service means by a status that is no success."""

import json
import math
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from ravi_agent.errors import AnswerError, OutcomeUnknownError, RefusedError, ThrottledError


def check_status(status: int, headers: Mapping[str, str], content: bytes, what: str) -> None:
    """Nothing where the call was carried out; else ThrottledError, OutcomeUnknownError,
    AnswerError or RefusedError. headers: as httpx has them, in any case of letters.
    """
    if 200 <= status < 300:
        return
    if status == 429:
        raise ThrottledError(what, "status 429", retry_after_s=_retry_after(headers, content))
    if status >= 500 or status in {408, 425}:
        raise OutcomeUnknownError(what, f"status {status}")
    if 300 <= status < 400 or status < 200:
        target = _host(headers.get("location", "")) if status >= 300 else ""
        raise AnswerError(
            what,
            f"status {status}, a redirect" + (f" to {target!r}" if target else ""),
        )
    detail = _detail(content)
    raise RefusedError(
        what,
        f"status {status}" + (f": {detail}" if detail else ""),
        _REMEDIES.get(status),
        status=status,
    )


_REMEDIES = {
    401: "give a management key that is valid: RAVI_MANAGEMENT_KEY_FILE",
    402: "take a plan that covers it, or set RAVI_PHONE_POLICY=never if it is the phone",
    403: "use the management key of an account that may do this",
    404: "check that RAVI_API_URL names the service's root",
}


def _host(location: str) -> str:
    try:
        return urlsplit(location).hostname or ""
    except ValueError:
        return ""


def _detail(content: bytes) -> str:
    """The service's own one-line reason, short and printable, "" where it gives none."""
    try:
        record = json.loads(content)
    except (ValueError, RecursionError):
        return ""
    detail = record.get("detail") if isinstance(record, dict) else None
    if not isinstance(detail, str):
        return ""
    return "".join(char if char.isprintable() else " " for char in detail[:200])


def _retry_after(headers: Mapping[str, str], content: bytes) -> float | None:
    """Seconds to wait: `retry_after_seconds` of the body, else `Retry-After` (RFC 9110)."""
    try:
        record = json.loads(content)
        if isinstance(record, dict) and "retry_after_seconds" in record:
            return _wait(float(record["retry_after_seconds"]))
    except (ValueError, TypeError, RecursionError):
        record = None  # no such body: the header decides
    header = headers.get("retry-after", "")
    try:
        return _wait(float(header))
    except ValueError:
        pass  # a date, or nothing
    at = unix_time(header)
    return None if at is None else _wait(at - time.time())


def unix_time(date: str) -> float | None:
    """An HTTP date (RFC 9110) in Unix seconds, None for anything else."""
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def _wait(seconds: float) -> float | None:
    return None if math.isnan(seconds) else min(max(seconds, 0.0), 86400.0)
