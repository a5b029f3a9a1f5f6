"""The page at `/`, to look at what identities are sent; for people, and no part of the API."""

import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import parse_qs, quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from ravi_agent.local import page_html
from ravi_agent.local.endpoints import Service
from ravi_agent.local.mailbox import Mail
from ravi_agent.local.page_html import Entry
from ravi_agent.local.record import Record, record_of, shown
from ravi_agent.local.refusals import RefusalError, not_found
from ravi_agent.local.schema import DOMAIN

_COOKIE = "ravi_local_page"
_SHOWN = 100  # entries of a list
_KEEP_ALIVE_S = 15.0
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self'; "
        "connect-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}
_UNREAD = """
SELECT i.*,
    (SELECT COUNT(*) FROM mails WHERE identity_uuid = i.uuid AND NOT is_read)
    + (SELECT COUNT(*) FROM sms WHERE identity_uuid = i.uuid AND NOT is_read) AS unread
FROM identities i WHERE ?1 = '' OR instr(lower(i.name || ' ' || i.email), lower(?1))
    OR EXISTS (SELECT 1 FROM mails WHERE identity_uuid = i.uuid
        AND instr(lower(subject || ' ' || text_content || ' ' || from_email), lower(?1)))
    OR EXISTS (SELECT 1 FROM sms WHERE identity_uuid = i.uuid AND instr(lower(body), lower(?1)))
ORDER BY i.id DESC LIMIT ?2
"""
Answer = Callable[[Request], Awaitable[Response]]


class Page:
    """The page's paths. is_open: anybody may look, because the key is known to all."""

    def __init__(self, service: Service, *, is_open: bool) -> None:
        self._service = service
        self._store = service.store
        self._is_open = is_open

    def routes(self) -> list[Route]:
        return [
            Route("/", self._seen(self._home)),
            Route("/device/", self._seen(self._device), methods=["GET", "POST"]),
            Route("/local/page/login", self._login, methods=["POST"]),
            Route("/local/page/mail", self._seen(self._send_mail), methods=["POST"]),
            Route("/local/page/sms", self._seen(self._send_sms), methods=["POST"]),
            Route("/local/page/log", self._seen(self._log)),
            Route("/local/page/events", self._seen(self._events)),
            Route("/local/page/style.css", _static(page_html.STYLE, "text/css")),
            Route("/local/page/script.js", _static(page_html.SCRIPT, "text/javascript")),
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
        if asked is not None:
            return self._identity(self._record(asked), request.query_params.get("note", ""))
        query = request.query_params.get("q", "")[:200]
        rows = self._store.db.all(_UNREAD, (query, _SHOWN))
        entries = [{**shown(record_of(row)), "unread": row["unread"]} for row in rows]
        codes = [login.user_code for login in self._service.logins.waiting()]
        return _html(page_html.identities(entries, codes, query))

    def _identity(self, record: Record, note: str) -> Response:
        store = self._store
        messages = [_mail(one) for one in store.mailbox.mail_listing(record).rows(_SHOWN)]
        messages += [_sms(one) for one in store.phones.sms_listing(record).rows(_SHOWN)]
        messages.sort(key=lambda one: str(one["created_dt"]), reverse=True)
        return _html(page_html.identity(shown(record), messages[:_SHOWN], note[:200]))

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

    async def _log(self, _request: Request) -> Response:
        calls = self._store.db.all("SELECT * FROM calls ORDER BY id DESC LIMIT ?", (_SHOWN,))
        deliveries = self._store.db.all(
            "SELECT d.*, e.type AS event_type, w.url AS endpoint_url FROM deliveries d"
            " JOIN webhooks w ON w.id = d.webhook_id JOIN events e ON e.seq = d.event_seq"
            " ORDER BY d.id DESC LIMIT ?",
            (_SHOWN,),
        )
        return _html(page_html.log([dict(row) for row in calls], [dict(row) for row in deliveries]))

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
        seen = log.last()
        yield ": connected\n\n"
        with log.listening(None) as listener:
            while not log.is_closing:
                await listener.wait(_KEEP_ALIVE_S)
                last = log.last()
                yield "event: change\ndata: \n\n" if last > seen else ": still here\n\n"
                seen = last

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


def _static(text: str, media_type: str) -> Answer:
    async def respond(_request: Request) -> Response:
        return Response(text, media_type=media_type, headers=_HEADERS)

    return respond


def _html(text: str, status: int = 200) -> Response:
    return HTMLResponse(text, status, _HEADERS)


def _back(record: Record, note: str) -> Response:
    return RedirectResponse(f"/?identity={record.uuid}&note={quote(note)}", 303, _HEADERS)


def _mail(one: Entry) -> Entry:
    is_in = one["direction"] == "incoming"
    return {
        "kind": "mail",
        "subject": one["subject"],
        "peer": one["from_email"] if is_in else one["to_email"],
        "text": one["text_content"],
        "html": one["html_content"],
        **{name: one[name] for name in ("direction", "is_read", "created_dt")},
    }


def _sms(one: Entry) -> Entry:
    is_in = one["direction"] == "incoming"
    return {
        "kind": "SMS",
        "subject": "",
        "peer": one["from_number"] if is_in else one["to_number"],
        "text": one["body"],
        "html": "",
        **{name: one[name] for name in ("direction", "is_read", "created_dt")},
    }
