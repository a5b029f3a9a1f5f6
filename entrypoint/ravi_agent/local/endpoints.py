"""The service's endpoints as a table: what each takes, who may call it, and what it answers.

The routes and the OpenAPI document are both made of it, so neither can say what the other does not.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from starlette.datastructures import URL
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ravi_agent.local import pages
from ravi_agent.local.callers import Caller, Callers
from ravi_agent.local.fields import Field, read_body, read_query
from ravi_agent.local.logins import Logins
from ravi_agent.local.record import Record
from ravi_agent.local.refusals import Errors, RefusalError, not_found
from ravi_agent.local.store import Store


@dataclass(frozen=True, kw_only=True)
class Options:
    """How this server answers, where requests alone do not say it.

    page_size: every list comes in pages of this many; None: where the caller asks for a page.
    """

    page_size: int | None = None
    errors: Errors = Errors.AUTO
    approve_logins: bool = False


@dataclass(frozen=True, kw_only=True)
class Service:
    """What every endpoint works on."""

    store: Store
    callers: Callers
    logins: Logins
    options: Options


class Who(StrEnum):
    """Who may call an endpoint, and whether the call is about one identity."""

    ANYONE = "anyone"
    CALLER = "any key"
    ACCOUNT = "account"
    ACCOUNT_WITH_KEYS = "account that has keys"
    IDENTITY = "identity"


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request as its endpoint sees it: checked, and by whom."""

    request: Request
    service: Service
    caller: Caller
    body: Mapping[str, object] = field(default_factory=dict)
    query: Mapping[str, object] = field(default_factory=dict)

    @property
    def store(self) -> Store:
        return self.service.store

    @cached_property
    def owner(self) -> Record:
        """The identity the call is about."""
        return self.service.callers.scoped(self.request, self.caller)

    def text(self, name: str, default: str = "") -> str:
        """A text of the body."""
        return str(self.body.get(name, default))

    def part(self, name: str) -> str:
        """A part of the path."""
        return str(self.request.path_params[name])

    def url(self, path: str) -> str:
        """A path of this server, as this caller reaches it."""
        root = self.request.base_url
        return str(URL(f"{root.scheme}://{root.netloc}{path}"))


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One method of one path.

    answer: gives JSON, a Response, or None for 204; may be asynchronous. returns: the name of the
    answer's schema; many: whether it is a list of them.
    """

    method: str
    path: str
    answer: Callable[[Call], object]
    does: str
    who: Who = Who.IDENTITY
    body: Mapping[str, Field] = field(default_factory=dict)
    query: Mapping[str, Field] = field(default_factory=dict)
    returns: str | None = None
    many: bool = False
    status: int = 200

    async def respond(self, request: Request, service: Service) -> Response:
        """Answer a request. Whose it is is known before its body is read."""
        caller = Caller() if self.who is Who.ANYONE else service.callers.authenticate(request)
        if self.who in {Who.ACCOUNT, Who.ACCOUNT_WITH_KEYS}:
            caller.require_account()
        if self.who is Who.ACCOUNT_WITH_KEYS and not caller.has_keys:
            raise not_found()
        if self.who is Who.IDENTITY:
            service.callers.scoped(request, caller)
        call = Call(
            request=request,
            service=service,
            caller=caller,
            query=read_query(request.query_params, self.query),
            body=await self._body(request),
        )
        answer = self.answer(call)
        if inspect.isawaitable(answer):
            answer = await answer
        if isinstance(answer, pages.Listing | pages.Fixed | pages.Showing):
            answer = pages.answer(answer, request, service.options.page_size)
        if isinstance(answer, Response):
            return answer
        if answer is None:
            return Response(status_code=204)
        return JSONResponse(answer, self.status)

    async def _body(self, request: Request) -> Mapping[str, object]:
        if not self.body:
            return {}
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        # A form or plain text is what a page of another site can send without being asked.
        if kind != "application/json" and (kind or self.who is Who.ANYONE):
            raise RefusalError(415, "Send application/json.")
        return read_body(await request.body(), self.body)


def routes(endpoints: tuple[Endpoint, ...], service: Service) -> list[Route]:
    """One route a path, in the order of the table."""
    by_path: dict[str, dict[str, Endpoint]] = {}
    for endpoint in endpoints:
        by_path.setdefault(endpoint.path, {})[endpoint.method] = endpoint
    return [_route(path, methods, service) for path, methods in by_path.items()]


def _route(path: str, methods: dict[str, Endpoint], service: Service) -> Route:
    async def endpoint(request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        return await methods[method].respond(request, service)

    return Route(path, endpoint, methods=list(methods))
