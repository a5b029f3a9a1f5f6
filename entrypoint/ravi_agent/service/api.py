"""Ravi's REST API over HTTP: one attempt a call, every failure sorted by what it means.

Whether to try again is decided by `provision`, which knows what a call costs. The one module
that imports httpx.
"""

import json
import time
from collections.abc import Mapping
from types import TracebackType
from urllib.parse import quote

import httpx

from ravi_agent.credential import Credential
from ravi_agent.errors import (
    AnswerError,
    NotSentError,
    OutcomeUnknownError,
    RaviError,
    RefusedError,
)
from ravi_agent.identity import Identity
from ravi_agent.service.status import check_status, unix_time

# Seconds. The whole call: what the official CLI allows (a phone is bought while we wait).
CALL_TIMEOUT_S = 30.0
_CONNECT_TIMEOUT_S = 5.0
_OBJECT_LIMIT = 256 * 1024  # bytes; an identity has some hundred
_LIST_LIMIT = 64 * 1024 * 1024  # bytes; some 200,000 identities


class RaviApi:
    """The calls this project makes, for one account; `with RaviApi(…) as api:` closes it.

    Raises NotSentError, OutcomeUnknownError, ThrottledError, AnswerError or RefusedError, whose
    texts hold neither token nor body. Follows no redirect, so the token stays with its host.
    """

    def __init__(
        self, api_url: str, credential: Credential, *, identity_uuid: str | None = None
    ) -> None:
        self.api_url = api_url
        # Unix seconds, by the service's own clock, of the last answer that said.
        self.server_time: float | None = None
        self._refresh_token = credential.refresh_token
        self._is_expired = bool(credential.expires_at and credential.expires_at < time.time())
        self._host = api_url.partition("://")[2].partition("/")[0]
        try:
            self._client = httpx.Client(
                base_url=f"{api_url}/api/",
                headers={
                    "Authorization": f"Bearer {credential.token}",
                    "Accept": "application/json",
                    "User-Agent": "ravi-agent-base",
                    # Which identity an account's call is about; an identity key says it itself.
                    **({"X-Ravi-Identity": identity_uuid} if identity_uuid else {}),
                },
                # Reading the CA bundle takes 30 ms, which a plain connection need not wait for.
                verify=api_url.startswith("https:"),
            )
        except (OSError, ValueError, httpx.InvalidURL) as exc:
            raise NotSentError(
                f"cannot call {self._host}",
                str(exc) or type(exc).__name__,
                "check HTTP_PROXY, HTTPS_PROXY, SSL_CERT_FILE and SSL_CERT_DIR",
                is_final=True,
            ) from None

    def __enter__(self) -> "RaviApi":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __repr__(self) -> str:
        return f"RaviApi({self.api_url!r})"

    def find_identities(self, name: str, *, timeout_s: float = CALL_TIMEOUT_S) -> list[Identity]:
        """The account's identities of that name: none, one, or more than a name should have.

        Others are not looked at: they may be of any shape and are not ours to judge.
        """
        records = self._list(timeout_s)
        return [Identity.from_api(record) for record in records if record.get("name") == name]

    def list_identities(self, prefix: str, *, timeout_s: float = CALL_TIMEOUT_S) -> list[Identity]:
        """The account's identities whose name begins with `prefix`."""
        return [
            Identity.from_api(record)
            for record in self._list(timeout_s)
            if str(record.get("name")).startswith(prefix)
        ]

    def _list(self, timeout_s: float) -> list[dict[str, object]]:
        records = self._call("GET", "identities/", None, timeout_s, _LIST_LIMIT)
        if not isinstance(records, list):
            raise AnswerError(f"{self._host} sent no list of identities", "it is no JSON array")
        return [record for record in records if isinstance(record, dict)]

    def create_identity(
        self, name: str, *, with_phone: bool, timeout_s: float = CALL_TIMEOUT_S
    ) -> Identity:
        """Create, and pay for, an identity. Never call it again on an unclear outcome."""
        body: dict[str, object] = {"name": name}
        if with_phone:
            body["provision_phone"] = True
        return Identity.from_api(self._object("POST", "identities/", body, timeout_s))

    def mint_key(self, uuid: str, *, label: str, timeout_s: float = CALL_TIMEOUT_S) -> str:
        """A new identity key; RefusedError with status 404 on an account that has none."""
        body = {"identity_uuid": uuid, "label": label}
        answer = self._object("POST", "auth/keys/identity/", body, timeout_s)
        key = answer.get("key")
        if not isinstance(key, str) or not key or not key.isascii() or not key.isprintable():
            raise AnswerError("identity key not understood", "the field 'key' is missing or no key")
        return key

    def delete_identity(self, uuid: str, *, timeout_s: float = CALL_TIMEOUT_S) -> None:
        """Delete an identity; status 404 also where the service has no such call."""
        self._call("DELETE", f"identities/{quote(uuid, safe='')}/", None, timeout_s, 0)

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> object:
        """The service's own JSON for any path below `/api/`, as it comes."""
        return self._call(method, path, body, timeout_s, _LIST_LIMIT)

    def _object(
        self, method: str, path: str, body: Mapping[str, object], timeout_s: float
    ) -> dict[str, object]:
        answer = self._call(method, path, body, timeout_s, _OBJECT_LIMIT)
        if not isinstance(answer, dict):
            raise AnswerError(f"{self._host} sent no object", f"{method} /api/{path}")
        return answer

    def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None,
        timeout_s: float,
        limit: int,
    ) -> object:
        """One call; an access token that has expired is renewed once, and nothing else repeated."""
        if self._is_expired:
            self._renew(timeout_s)
        try:
            return self._send(method, path, body, timeout_s, limit)
        except RefusedError as exc:
            if exc.status != 401 or not self._refresh_token:
                raise
        self._renew(timeout_s)  # a 401 has changed nothing, so the call may be made again
        return self._send(method, path, body, timeout_s, limit)

    def _renew(self, timeout_s: float) -> None:
        token, self._refresh_token, self._is_expired = self._refresh_token, None, False
        if token is None:
            return
        answer = self._send(
            "POST", "auth/token/refresh/", {"refresh": token}, timeout_s, _OBJECT_LIMIT
        )
        access = answer.get("access") if isinstance(answer, dict) else None
        if not isinstance(access, str) or not access.isascii() or not access.isprintable():
            raise AnswerError("access token not understood", "the field 'access' is no token")
        self._client.headers["Authorization"] = f"Bearer {access}"

    def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None,
        timeout_s: float,
        limit: int,
    ) -> object:
        ends = time.monotonic() + timeout_s
        what = f"{method} {self._host}/api/{path}"
        timeout = httpx.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_TIMEOUT_S))
        request = self._client.build_request(method, path, json=body, timeout=timeout)
        try:
            response = self._client.send(request, stream=True)
            try:
                content = _read(response, limit or _OBJECT_LIMIT, ends, what)
            finally:
                response.close()
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise _failure(exc, what) from None
        self.server_time = unix_time(response.headers.get("date", ""))
        check_status(response.status_code, response.headers, content, what)
        if not limit:
            return None
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            raise AnswerError(
                what, f"status {response.status_code} with a body that is no JSON"
            ) from None


def _read(response: httpx.Response, limit: int, ends: float, what: str) -> bytes:
    content = bytearray()
    for chunk in response.iter_bytes():
        content += chunk
        if len(content) > limit:
            raise AnswerError(what, f"more than {limit} bytes where few were expected")
        if time.monotonic() > ends:
            raise OutcomeUnknownError(what, "the answer did not end in time")
    return bytes(content)


def _failure(exc: Exception, what: str) -> RaviError:
    """What an httpx error means for whether the request was carried out."""
    cause: BaseException | None = exc
    while cause is not None:
        # ssl is loaded by httpx already; its name is enough and spares naming a second module.
        if type(cause).__name__ == "SSLCertVerificationError":
            return NotSentError(
                what,
                f"the certificate does not verify: {getattr(cause, 'verify_message', cause)}",
                "set SSL_CERT_FILE to the CA that signed it",
                is_final=True,
            )
        cause = cause.__cause__ or cause.__context__
    if isinstance(exc, httpx.ConnectTimeout):
        return NotSentError(what, "no connection in time")
    if isinstance(exc, httpx.ConnectError | httpx.PoolTimeout | httpx.ProxyError):
        return NotSentError(what, str(exc) or "no connection")
    if isinstance(exc, httpx.UnsupportedProtocol | httpx.InvalidURL):
        return NotSentError(what, str(exc), is_final=True)
    if isinstance(exc, httpx.TimeoutException):
        return OutcomeUnknownError(what, "no answer in time", may_still_run=True)
    if isinstance(exc, httpx.DecodingError):
        return AnswerError(what, "a body that its Content-Encoding does not describe")
    return OutcomeUnknownError(what, str(exc) or type(exc).__name__)
