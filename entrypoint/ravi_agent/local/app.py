"""The HTTP half of a local Ravi: the paths and shapes of the real one.

Facts from docs.ravi.id and the public CLI (ravi-hq/cli v0.6.2).
"""

import json
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import asdict

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ravi_agent.local.store import DOMAIN, Record, Store, StoreError, text_field

REFRESH_TOKEN = "ravi_refresh_local"  # noqa: S105 - opens nothing real

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


class Api:
    """The endpoints, over one store and for one management key."""

    def __init__(self, store: Store, management_key: str) -> None:
        self._store = store
        self._management_key = management_key
        self._access_tokens: set[str] = set()

    def routes(self) -> list[Route]:
        return [
            self._route("/api/identities/", self._identities, "GET", "POST"),
            self._route("/api/identities/{uuid}/", self._identity, "GET", "PUT", "DELETE"),
            self._route("/api/auth/keys/identity/", self._mint_key, "POST"),
            Route("/api/auth/token/refresh/", self._refresh, methods=["POST"]),
            self._route("/api/email/", self._email, "GET"),
            self._route("/api/phone/", self._phone, "GET"),
            self._route("/api/master/", self._owner, "GET"),
            self._route("/api/domains/", self._domains, "GET"),
        ]

    def _route(self, path: str, answer: Answer, *methods: str) -> Route:
        async def endpoint(request: Request) -> Response:
            return await answer(request, self._authenticate(request))

        return Route(path, endpoint, methods=list(methods))

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

    async def _refresh(self, request: Request) -> Response:
        """An access token for an older account; its refresh token here is REFRESH_TOKEN."""
        body = await _json_body(request)
        if body.get("refresh") != REFRESH_TOKEN:
            raise HTTPException(401, "Token is invalid or expired")
        token = f"local.{secrets.token_urlsafe(24)}.jwt"
        self._access_tokens.add(token)
        return JSONResponse({"access": token, "refresh": REFRESH_TOKEN})

    async def _identities(self, request: Request, caller: Caller) -> Response:
        if request.method == "GET":
            records = [caller.own] if caller.own else self._store.identities()
            return JSONResponse([_identity_json(record) for record in records])
        caller.require_account()
        body = await _json_body(request)
        created = self._store.create(
            name=text_field(body, "name"),
            email=text_field(body, "email"),
            with_phone=body.get("provision_phone") is True,
        )
        return JSONResponse(_identity_json(created), status_code=201)

    async def _identity(self, request: Request, caller: Caller) -> Response:
        record = self._store.identity(request.path_params["uuid"])
        if record is None or (caller.own and caller.own.uuid != record.uuid):
            raise HTTPException(404, "Not found.")
        if request.method == "GET":
            return JSONResponse(_identity_json(record))
        caller.require_account()
        if request.method == "DELETE":
            self._store.delete(record.uuid)
            return Response(status_code=204)
        name = text_field(await _json_body(request), "name")
        renamed = self._store.rename(record.uuid, name or record.name)
        assert renamed is not None
        return JSONResponse(_identity_json(renamed))

    async def _mint_key(self, request: Request, caller: Caller) -> Response:
        caller.require_account()
        if not caller.has_keys:
            raise HTTPException(404, "Not found.")
        body = await _json_body(request)
        identity_uuid = text_field(body, "identity_uuid") or ""
        label = text_field(body, "label") or ""
        if self._store.identity(identity_uuid) is None:
            raise StoreError("identity_uuid: no such identity")
        key = self._store.mint_key(identity_uuid, label)
        return JSONResponse(
            {"key": key, "identity_uuid": identity_uuid, "label": label}, status_code=201
        )

    async def _email(self, request: Request, caller: Caller) -> Response:
        record = self._scoped(request, caller)
        return JSONResponse(
            [{"id": record.id, "email": record.email, "created_dt": record.created_dt}]
        )

    async def _phone(self, request: Request, caller: Caller) -> Response:
        record = self._scoped(request, caller)
        if not record.phone:
            return JSONResponse([])
        phone = {
            "id": record.id,
            "phone_number": record.phone,
            "provider": "local",
            "created_dt": record.created_dt,
        }
        return JSONResponse([phone])

    async def _owner(self, _request: Request, _caller: Caller) -> Response:
        return JSONResponse({"first_name": "Local", "last_name": "Owner"})

    async def _domains(self, _request: Request, _caller: Caller) -> Response:
        domain = {
            "uuid": "00000000-0000-0000-0000-000000000001",
            "domain": DOMAIN,
            "is_platform": True,
            "is_verified": True,
            "created_dt": "2026-01-01T00:00:00+00:00",
        }
        return JSONResponse([domain])

    def _scoped(self, request: Request, caller: Caller) -> Record:
        """The identity a call is about: the key's own, else the header's."""
        if caller.own:
            return caller.own
        record = self._store.identity(request.headers.get("x-ravi-identity", ""))
        if record is None:
            raise HTTPException(400, "Name an identity in the X-Ravi-Identity header.")
        return record


def create_app(store: Store, management_key: str) -> Starlette:
    """The service as an ASGI application, well-behaved and silent."""
    return Starlette(
        routes=Api(store, management_key).routes(),
        exception_handlers={HTTPException: _refusal, StoreError: _bad_request},
    )


async def _refusal(_request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    return JSONResponse({"detail": exc.detail}, status_code=exc.status_code)


async def _bad_request(_request: Request, exc: Exception) -> Response:
    return JSONResponse({"detail": str(exc)}, status_code=400)


async def _json_body(request: Request) -> dict[str, object]:
    content = await request.body()
    try:
        body = json.loads(content or b"{}")
    except (ValueError, RecursionError):
        raise StoreError("the body is no JSON") from None
    if not isinstance(body, dict):
        raise StoreError("the body is no JSON object")
    return body


def _identity_json(record: Record) -> dict[str, object]:
    fields = asdict(record)
    del fields["id"]
    fields["inbox"] = fields.pop("email")
    return fields
