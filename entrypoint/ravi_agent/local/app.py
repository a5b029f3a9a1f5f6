"""The local Ravi as an ASGI application: the paths and shapes of the real one, in each generation.

Facts from docs.ravi.id, the public CLI (ravi-hq/cli v0.6.2) and the official Python client
(`ravi-sdk` 0.3.0 on PyPI).
"""

from collections.abc import Collection

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from ravi_agent.local import (
    email_api,
    event_api,
    files_api,
    identity_api,
    key_api,
    login_api,
    phone_api,
    vault_api,
    webhook_api,
)
from ravi_agent.local.callers import Callers
from ravi_agent.local.endpoints import Options, Service, routes
from ravi_agent.local.guard import Guard
from ravi_agent.local.logins import Logins
from ravi_agent.local.openapi import SCHEMA_PATH, document
from ravi_agent.local.page import Page
from ravi_agent.local.refusals import RefusalError, refuse
from ravi_agent.local.store import Store

# What the default server takes from older accounts; one that has a key of its own takes none.
REFRESH_TOKEN = "ravi_refresh_local"  # noqa: S105 - opens nothing real

# The key of the default server: known to all, so it keeps nobody from looking at the page.
WELL_KNOWN_KEY = "ravi_mgmt_local"

ENDPOINTS = (
    *identity_api.ENDPOINTS,
    *key_api.ENDPOINTS,
    *email_api.ENDPOINTS,
    *files_api.ENDPOINTS,
    *phone_api.ENDPOINTS,
    *event_api.ENDPOINTS,
    *vault_api.ENDPOINTS,
    *webhook_api.ENDPOINTS,
    *login_api.ENDPOINTS,
)


def create_app(
    store: Store,
    management_key: str,
    *,
    refresh_token: str | None = None,
    options: Options | None = None,
    logins: Logins | None = None,
    allowed_hosts: Collection[str] = (),
) -> ASGIApp:
    """The service, well-behaved and silent."""
    options = options or Options()
    callers = Callers(store, management_key, refresh_token)
    logins = logins or Logins(approve_all=options.approve_logins)
    logins.on_change = store.events.changed
    service = Service(store=store, callers=callers, logins=logins, options=options)
    described = document(ENDPOINTS)

    async def describe(_request: Request) -> Response:
        return JSONResponse(described)

    async def refused(request: Request, exc: Exception) -> Response:
        return refuse(options.errors, request, exc)

    app = Starlette(
        routes=[
            Route(SCHEMA_PATH, describe),
            *routes(ENDPOINTS, service),
            event_api.socket_route(service),
            *Page(service, is_open=management_key == WELL_KNOWN_KEY).routes(),
        ],
        exception_handlers={HTTPException: refused, RefusalError: refused},
    )
    return Guard(app, options.errors, allowed_hosts)
