"""The local Ravi over HTTP, mail and SMS: the paths and shapes of the real one.

Facts from docs.ravi.id and the public CLI (ravi-hq/cli v0.6.2). `/local/sms/` is ours alone: the
way a test has an SMS arrive.
"""

import html
import re
from collections.abc import Callable
from email.utils import make_msgid

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ravi_agent.local.callers import Caller, Callers, json_body
from ravi_agent.local.mailbox import Mail, Message
from ravi_agent.local.store import DOMAIN, Record, Store, StoreError, text_field

_ADDRESS = re.compile(r"[^@\s,<>]+@[^@\s,<>]+")
_TAG = re.compile(r"<[^>]*>")


class Messages:
    """The endpoints of what identities have sent and been sent."""

    def __init__(self, store: Store, callers: Callers) -> None:
        self._store = store
        self._callers = callers

    def routes(self) -> list[Route]:
        box = self._store.mailbox
        return [
            *self._lists("/api/email-inbox/", "has_unread", box.threads, box.thread),
            self._callers.route("/api/email-messages/compose/", self._compose, "POST"),
            *self._lists("/api/email-messages/", "is_read", box.mails, box.mail),
            *self._lists("/api/sms-inbox/", "has_unread", box.conversations, box.conversation),
            *self._lists("/api/messages/", "is_read", box.all_sms, box.sms),
            Route("/local/sms/", self._receive_sms, methods=["POST"]),
        ]

    def _lists(
        self,
        path: str,
        unread_field: str,
        list_all: Callable[..., list[Message]],
        find: Callable[[Record, str], Message | None],
    ) -> list[Route]:
        """A list at `path`, and its entries below it."""
        unread = "true" if unread_field == "has_unread" else "false"

        async def answer_all(request: Request, caller: Caller) -> Response:
            owner = self._callers.scoped(request, caller)
            asked = request.query_params.get(unread_field, "").lower()
            found = list_all(owner, unread_only=asked == unread)
            return JSONResponse([_public(message, request) for message in found])

        async def answer_one(request: Request, caller: Caller) -> Response:
            found = find(self._callers.scoped(request, caller), request.path_params["id"])
            if found is None:
                raise HTTPException(404, "Not found.")
            return JSONResponse(_public(found, request))

        return [
            self._callers.route(path, answer_all, "GET"),
            self._callers.route(f"{path}{{id}}/", answer_one, "GET"),
        ]

    async def _compose(self, request: Request, caller: Caller) -> Response:
        """Keep a mail of the caller's, and give it to those of its recipients who are here."""
        owner = self._callers.scoped(request, caller)
        body = await json_body(request)
        if body.get("attachment_uuids"):
            raise StoreError("attachment_uuids: the local Ravi has no attachments")
        content = body.get("content")
        if not isinstance(content, str) or not _is_storable(content):
            raise StoreError("content: not a string")
        to, cc, bcc = (
            _addresses(body, "to_email"),
            _addresses(body, "cc"),
            _addresses(body, "bcc"),
        )
        if len(to) != 1:
            raise StoreError("to_email: give one address")
        mail = Mail(
            from_email=owner.email,
            to_email=to[0],
            cc=", ".join(cc),
            subject=text_field(body, "subject") or "",
            text_content=html.unescape(_TAG.sub("", content)),
            html_content=content,
            message_id=make_msgid(domain=DOMAIN),
        )
        sent = self._store.mailbox.add_mail(owner, mail, is_incoming=False)
        for address in dict.fromkeys([*to, *cc, *bcc]):
            recipient = self._store.identity_at(address)
            if recipient:
                self._store.mailbox.add_mail(recipient, mail)
        return JSONResponse(_public(sent, request), status_code=201)

    async def _receive_sms(self, request: Request) -> Response:
        """An SMS from anybody: `to_number`, `from_number`, `body`. Anybody can send one."""
        body = await json_body(request)
        number, text = text_field(body, "to_number") or "", body.get("body")
        sender = text_field(body, "from_number") or ""
        if not re.fullmatch(r"\+?[0-9A-Za-z]{1,20}", sender):
            raise StoreError("from_number: not a number")
        if not isinstance(text, str) or not _is_storable(text):
            raise StoreError("body: not a string")
        owner = self._store.identity_at(number)
        if owner is None or owner.phone != number:
            raise HTTPException(404, "No identity has this number.")
        sms = self._store.mailbox.add_sms(owner, from_number=sender, body=text)
        return JSONResponse(_public(sms, request), status_code=201)


def _public(message: Message, request: Request) -> Message:
    """A message as the service shows it."""
    if "messages" in message:
        nested = message["messages"]
        assert isinstance(nested, list)
        return {**message, "messages": [_public(one, request) for one in nested]}
    if "text_content" in message:
        return {**message, "attachments": []}
    if "message_sid" in message:
        return {**message, "url": f"{request.base_url}api/messages/{message['id']}/"}
    return message


def _addresses(body: dict[str, object], field: str) -> list[str]:
    given = body.get(field)
    addresses = []
    for address in given if isinstance(given, list) else [] if given is None else [given]:
        is_text = isinstance(address, str) and address.isprintable()
        if not is_text or not _ADDRESS.fullmatch(str(address)):
            raise StoreError(f"{field}: not an email address")
        addresses.append(str(address))
    return addresses


def _is_storable(text: str) -> bool:
    """Whether it is Unicode: JSON can also say half a surrogate pair."""
    return not any("\ud800" <= char <= "\udfff" for char in text)
