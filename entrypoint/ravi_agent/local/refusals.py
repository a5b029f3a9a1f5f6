"""What the service says no to, in the error envelope of the generation that asked.

Newest clients read `{"error": {"code", "message", "details"}}` and 422 for what does not validate;
older ones read `{"detail": "..."}` and 400.
"""

from enum import StrEnum

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

_CODES = {
    400: "validation.failed",
    401: "auth.unauthenticated",
    402: "billing.subscription_required",
    403: "auth.forbidden",
    404: "resource.not_found",
    405: "request.method_not_allowed",
    408: "request.timeout",
    409: "resource.conflict",
    413: "request.too_large",
    415: "request.unsupported_media_type",
    422: "validation.failed",
    429: "rate_limit.exceeded",
}
# What the official Python client calls itself.
_NEWEST_CLIENT = "ravi-python/"


class Errors(StrEnum):
    """Which envelope errors come in; `auto` goes by what the caller sent."""

    AUTO = "auto"
    DETAIL = "detail"
    ERROR = "error"


class RefusalError(Exception):
    """A request that the service refuses.

    status, code: as the newest generation has them. older_status: what an older one answered,
    where that was another. cause: a code of `details` that says more than `code`.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str = "",
        older_status: int | None = None,
        cause: str = "",
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code or _CODES.get(status, f"http.{status}")
        self.older_status = older_status or status
        self.cause = cause
        self.headers = headers


class StoreError(RefusalError):
    """A request whose content does not validate: 422, and 400 in older generations."""

    def __init__(self, message: str, *, cause: str = "") -> None:
        super().__init__(422, message, older_status=400, cause=cause)


def not_found() -> RefusalError:
    return RefusalError(404, "Not found.")


def refuse(errors: Errors, request: Request, exc: Exception) -> Response:
    """The answer to a request that led to `exc`, a RefusalError or an HTTPException."""
    if isinstance(exc, HTTPException):
        exc = RefusalError(exc.status_code, exc.detail, headers=dict(exc.headers or {}))
    assert isinstance(exc, RefusalError)
    if not _is_newest(errors, request):
        return JSONResponse({"detail": exc.message}, exc.older_status, exc.headers)
    details = {"code": exc.cause} if exc.cause else None
    error = {"code": exc.code, "message": exc.message, "details": details}
    return JSONResponse({"error": error}, exc.status, exc.headers)


def _is_newest(errors: Errors, request: Request) -> bool:
    if errors is not Errors.AUTO:
        return errors is Errors.ERROR
    agent = request.headers.get("user-agent", "")
    return "identity" in request.query_params or agent.startswith(_NEWEST_CLIENT)
