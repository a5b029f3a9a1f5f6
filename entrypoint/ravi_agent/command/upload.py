"""Storing an attachment: a PUT without a key, to wherever the service says."""

import http.client
import ssl
import urllib.error
import urllib.request

from ravi_agent.errors import AnswerError, OutcomeUnknownError, RefusedError

_TIMEOUT_S = 60.0


def put(url: str, data: bytes, content_type: str, *, is_http_allowed: bool) -> None:
    """Send `data` to `url`, once and without following a redirect.

    The URL holds a signature, so no message shows more of it than the host. Raises AnswerError,
    OutcomeUnknownError or RefusedError.
    """
    scheme, _, rest = url.partition("://")
    host = rest.partition("/")[0].rpartition("@")[2]
    what = f"upload to {host!r}"
    if scheme not in ({"http", "https"} if is_http_allowed else {"https"}) or not host:
        raise AnswerError(what, "the service named a place that takes no upload")
    try:
        request = urllib.request.Request(  # noqa: S310 - the scheme is checked above
            url, data=data, method="PUT", headers={"Content-Type": content_type}
        )
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S):  # noqa: S310
            return
    except urllib.error.HTTPError as exc:
        exc.close()
        if exc.code >= 500:
            raise OutcomeUnknownError(what, f"status {exc.code}") from None
        raise RefusedError(
            what, f"status {exc.code}", "send it again: its place may have expired", status=exc.code
        ) from None
    except (OSError, http.client.HTTPException, ssl.SSLError, ValueError) as exc:
        reason = getattr(exc, "reason", None) or exc
        raise OutcomeUnknownError(what, str(reason), "no mail was sent: try again") from None
