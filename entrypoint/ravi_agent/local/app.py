"""The local Ravi over HTTP, identities and keys: the paths and shapes of the real one.

Facts from docs.ravi.id and the public CLI (ravi-hq/cli v0.6.2).
"""

from dataclasses import asdict

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ravi_agent.local.callers import Caller, Callers, json_body
from ravi_agent.local.messages import Messages
from ravi_agent.local.store import DOMAIN, Record, Store, StoreError, text_field

REFRESH_TOKEN = "ravi_refresh_local"  # noqa: S105 - opens nothing real


class Api:
    """The endpoints, over one store and for one management key."""

    def __init__(self, store: Store, callers: Callers) -> None:
        self._store = store
        self._callers = callers

    def routes(self) -> list[Route]:
        route = self._callers.route
        return [
            route("/api/identities/", self._identities, "GET", "POST"),
            route("/api/identities/{uuid}/", self._identity, "GET", "PUT", "DELETE"),
            route("/api/auth/keys/identity/", self._mint_key, "POST"),
            Route("/api/auth/token/refresh/", self._refresh, methods=["POST"]),
            route("/api/email/", self._email, "GET"),
            route("/api/phone/", self._phone, "GET"),
            route("/api/master/", self._owner, "GET"),
            route("/api/domains/", self._domains, "GET"),
        ]

    async def _refresh(self, request: Request) -> Response:
        """An access token for an older account; its refresh token here is REFRESH_TOKEN."""
        body = await json_body(request)
        if body.get("refresh") != REFRESH_TOKEN:
            raise HTTPException(401, "Token is invalid or expired")
        token = self._callers.new_access_token()
        return JSONResponse({"access": token, "refresh": REFRESH_TOKEN})

    async def _identities(self, request: Request, caller: Caller) -> Response:
        if request.method == "GET":
            records = [caller.own] if caller.own else self._store.identities()
            return JSONResponse([_identity_json(record) for record in records])
        caller.require_account()
        body = await json_body(request)
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
        name = text_field(await json_body(request), "name")
        renamed = self._store.rename(record.uuid, name or record.name)
        assert renamed is not None
        return JSONResponse(_identity_json(renamed))

    async def _mint_key(self, request: Request, caller: Caller) -> Response:
        caller.require_account()
        if not caller.has_keys:
            raise HTTPException(404, "Not found.")
        body = await json_body(request)
        identity_uuid = text_field(body, "identity_uuid") or ""
        label = text_field(body, "label") or ""
        if self._store.identity(identity_uuid) is None:
            raise StoreError("identity_uuid: no such identity")
        key = self._store.mint_key(identity_uuid, label)
        return JSONResponse(
            {"key": key, "identity_uuid": identity_uuid, "label": label}, status_code=201
        )

    async def _email(self, request: Request, caller: Caller) -> Response:
        record = self._callers.scoped(request, caller)
        return JSONResponse(
            [{"id": record.id, "email": record.email, "created_dt": record.created_dt}]
        )

    async def _phone(self, request: Request, caller: Caller) -> Response:
        record = self._callers.scoped(request, caller)
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


def create_app(store: Store, management_key: str) -> Starlette:
    """The service as an ASGI application, well-behaved and silent."""
    callers = Callers(store, management_key)
    return Starlette(
        routes=[*Api(store, callers).routes(), *Messages(store, callers).routes()],
        exception_handlers={HTTPException: _refusal, StoreError: _bad_request},
    )


async def _refusal(_request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    return JSONResponse({"detail": exc.detail}, status_code=exc.status_code)


async def _bad_request(_request: Request, exc: Exception) -> Response:
    return JSONResponse({"detail": str(exc)}, status_code=400)


def _identity_json(record: Record) -> dict[str, object]:
    fields = asdict(record)
    del fields["id"]
    fields["inbox"] = fields.pop("email")
    return fields
