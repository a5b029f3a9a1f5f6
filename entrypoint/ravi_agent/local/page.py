"""The page at `/`, to look at what identities are sent; for people, and no part of the API."""

import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from urllib.parse import parse_qs, quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from ravi_agent.local import page_html
from ravi_agent.local.endpoints import Service
from ravi_agent.local.mailbox import Mail
from ravi_agent.local.page_data import SHOWN, PageData
from ravi_agent.local.record import Record, shown
from ravi_agent.local.refusals import RefusalError, not_found
from ravi_agent.local.request_log import ENTRIES
from ravi_agent.local.schema import DOMAIN

_COOKIE = "ravi_local_page"
_KEEP_ALIVE_S = 15.0
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self'; "
        "connect-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    # With "no-referrer" a browser sends the page's own forms with `Origin: null`.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}
Answer = Callable[[Request], Awaitable[Response]]


class Page:
    """The page's paths. is_open: anybody may look, because the key is known to all."""

    def __init__(self, service: Service, *, is_open: bool) -> None:
        self._service = service
        self._store = service.store
        self._data = PageData(service.store)
        self._is_open = is_open

    def routes(self) -> list[Route]:
        return [
            Route("/", self._seen(self._home)),
            Route("/device/", self._seen(self._device), methods=["GET", "POST"]),
            Route("/local/page/login", self._login, methods=["POST"]),
            Route("/local/page/mail", self._seen(self._send_mail), methods=["POST"]),
            Route("/local/page/sms", self._seen(self._send_sms), methods=["POST"]),
            Route("/local/page/outbox", self._seen(self._outbox)),
            Route("/local/page/log", self._seen(self._log)),
            Route("/local/page/events", self._seen(self._events)),
            Route("/local/page/page.css", _static("page.css", "text/css")),
            Route("/local/page/page.js", _static("page.js", "text/javascript")),
        ]

    def _seen(self, answer: Answer) -> Answer:
        """What only those see who have shown the management key, where it is a secret."""

        async def respond(request: Request) -> Response:
            cookie = request.cookies.get(_COOKIE, "")
            if not self._is_open and not self._store.seal.has_signed("page", cookie):
                return HTMLResponse(page_html.login(), 401, _HEADERS)
            return await answer(request)

        return respond

    async def _login(self, request: Request) -> Response:
        key = (await _form(request)).get("key", "")
        if not self._service.callers.is_management_key(key):
            return HTMLResponse(page_html.login("That is not the key."), 401, _HEADERS)
        answer = RedirectResponse("/", 303, _HEADERS)
        signed = self._store.seal.sign("page")
        answer.set_cookie(_COOKIE, signed, httponly=True, samesite="strict", path="/")
        return answer

    async def _home(self, request: Request) -> Response:
        asked = request.query_params.get("identity")
        query = _query(request)
        if asked is not None:
            record = self._record(asked)
            note = request.query_params.get("note", "")[:200]
            messages = self._data.messages(record, query)
            return _html(page_html.identity(shown(record), messages, query, note))
        codes = [login.user_code for login in self._service.logins.waiting()]
        return _html(page_html.identities(self._data.identities(query), codes, query))

    async def _outbox(self, request: Request) -> Response:
        query = _query(request)
        messages = self._data.messages(None, query, direction="outgoing")
        return _html(page_html.outbox(messages, query))

    async def _send_mail(self, request: Request) -> Response:
        form = await _form(request)
        record = self._record(form.get("identity", ""))
        mail = Mail(
            from_email=form.get("from", ""),
            to_email=record.email,
            subject=form.get("subject", ""),
            text_content=form.get("text", ""),
            html_content="",
            message_id=f"<{uuid.uuid4()}@{DOMAIN}>",
        )
        self._store.mailbox.add_mail(record, mail)
        return _back(record, "Sent.")

    async def _send_sms(self, request: Request) -> Response:
        form = await _form(request)
        record = self._record(form.get("identity", ""))
        peer = form.get("from", "")
        if not record.phone or not re.fullmatch(r"\+?[0-9A-Za-z]{1,20}", peer):
            return _back(record, "Not sent: the sender is not a number.")
        self._store.phones.add_sms(record, peer=peer, body=form.get("text", ""))
        return _back(record, "Sent.")

    async def _log(self, request: Request) -> Response:
        requests = reversed(list(request.scope.get(ENTRIES, ())))
        asked = [one for one in requests if str(one["path"]).startswith("/api/")]
        return _html(page_html.log(self._data.calls(), self._data.deliveries(), asked[:SHOWN]))

    async def _device(self, request: Request) -> Response:
        if request.method == "GET":
            return _html(page_html.device(request.query_params.get("user_code", "")[:20]))
        code = (await _form(request)).get("user_code", "")
        is_approved = self._service.logins.approve(code)
        note = "The device is logged in." if is_approved else "There is no login of that code."
        return _html(page_html.device("", note), 200 if is_approved else 404)

    async def _events(self, _request: Request) -> Response:
        return StreamingResponse(self._changes(), media_type="text/event-stream", headers=_HEADERS)

    async def _changes(self) -> AsyncIterator[str]:
        log = self._store.events
        with log.watching() as watcher:
            yield ": connected\n\n"  # from here on no change is missed
            while not log.is_closing:
                is_told = await watcher.wait(_KEEP_ALIVE_S)
                yield "event: change\ndata: \n\n" if is_told else ": still here\n\n"

    def _record(self, identity_uuid: str) -> Record:
        record = self._store.identity(identity_uuid)
        if record is None:
            raise not_found()
        return record


async def _form(request: Request) -> dict[str, str]:
    """A form's fields; RefusalError for what no form of this page sends."""
    kind = request.headers.get("content-type", "").partition(";")[0]
    if kind != "application/x-www-form-urlencoded":
        raise RefusalError(415, "Send the form of this page.")
    fields = parse_qs((await request.body()).decode(errors="replace"), max_num_fields=20)
    return {name: values[0] for name, values in fields.items()}


def _query(request: Request) -> str:
    return request.query_params.get("q", "")[:200]


def _static(name: str, media_type: str) -> Answer:
    content = (Path(__file__).parent / name).read_bytes()

    async def respond(_request: Request) -> Response:
        return Response(content, media_type=media_type, headers=_HEADERS)

    return respond


def _html(text: str, status: int = 200) -> Response:
    return HTMLResponse(text, status, _HEADERS)


def _back(record: Record, note: str) -> Response:
    return RedirectResponse(f"/?identity={record.uuid}&note={quote(note)}", 303, _HEADERS)
