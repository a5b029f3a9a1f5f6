"""Who calls the local Ravi, and which identity a call is about."""

import json
import secrets
from collections.abc import Awaitable, Callable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ravi_agent.local.store import Record, Store, StoreError

Answer = Callable[[Request, "Caller"], Awaitable[Response]]


class Caller:
    """Who is calling: the account, or one identity (`own`) by its key.

    has_keys: false for an older account, known by its access token.
    """

    def __init__(self, own: Record | None, *, has_keys: bool = True) -> None:
        self.own = own
        self.has_keys = has_keys

    def require_account(self) -> None:
        if self.own:
            raise HTTPException(403, "An identity key may not do this.")


class Callers:
    """Everybody who may call: the management key's holder, identities, older accounts."""

    def __init__(self, store: Store, management_key: str) -> None:
        self._store = store
        self._management_key = management_key
        self._access_tokens: set[str] = set()

    def route(self, path: str, answer: Answer, *methods: str) -> Route:
        """A path that answers to those alone; 401 to everybody else."""

        async def endpoint(request: Request) -> Response:
            return await answer(request, self._authenticate(request))

        return Route(path, endpoint, methods=list(methods))

    def new_access_token(self) -> str:
        token = f"local.{secrets.token_urlsafe(24)}.jwt"
        self._access_tokens.add(token)
        return token

    def scoped(self, request: Request, caller: Caller) -> Record:
        """The identity a call is about: the key's own, else the header's."""
        if caller.own:
            return caller.own
        record = self._store.identity(request.headers.get("x-ravi-identity", ""))
        if record is None:
            raise HTTPException(400, "Name an identity in the X-Ravi-Identity header.")
        return record

    def _authenticate(self, request: Request) -> Caller:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token:
            if secrets.compare_digest(token.encode(), self._management_key.encode()):
                return Caller(None)
            if token in self._access_tokens:
                return Caller(None, has_keys=False)
            own = self._store.identity_of_key(token)
            if own:
                return Caller(own)
        raise HTTPException(401, "Invalid token.")


async def json_body(request: Request) -> dict[str, object]:
    """A request's JSON object; raises StoreError for anything else."""
    content = await request.body()
    try:
        body = json.loads(content or b"{}")
    except (ValueError, RecursionError):
        raise StoreError("the body is no JSON") from None
    if not isinstance(body, dict):
        raise StoreError("the body is no JSON object")
    return body
