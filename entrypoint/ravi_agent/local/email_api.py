"""Mail over HTTP: threads, messages, what identities send."""

import html
import re
from collections.abc import Iterable
from email.utils import make_msgid

from ravi_agent.local.endpoints import Call, Endpoint
from ravi_agent.local.fields import FLAG, choice, long_text, text, texts
from ravi_agent.local.files_api import download_url
from ravi_agent.local.mailbox import Mail, Message, Upload
from ravi_agent.local.pages import Showing
from ravi_agent.local.refusals import StoreError, not_found
from ravi_agent.local.schema import DOMAIN

_THREADS = "/api/email-inbox/"
_MESSAGES = "/api/email-messages/"
_ONE = f"{_MESSAGES}{{id}}/"
_ADDRESS = r"[^@\s,<>]+@[^@\s,<>]+"
_TAG = re.compile(r"<[^>]*>")


def shown(call: Call, mail: Message) -> Message:
    """A mail as the service shows it to this caller."""
    attachments = mail["attachments"]
    assert isinstance(attachments, list)
    return {
        **mail,
        "url": call.url(f"{_MESSAGES}{mail['id']}/"),
        "attachments": [
            {**file, "download_url": download_url(call, file["uuid"])} for file in attachments
        ],
    }


def _list_threads(call: Call) -> object:
    unread_only = bool(call.query.get("has_unread"))
    return call.store.mailbox.thread_listing(call.owner, unread_only=unread_only)


def _thread(call: Call) -> object:
    thread = call.store.mailbox.thread(call.owner, call.part("id"))
    if thread is None:
        raise not_found()
    messages = thread["messages"]
    assert isinstance(messages, list)
    return {**thread, "messages": [shown(call, mail) for mail in messages]}


def _list(call: Call) -> object:
    listing = call.store.mailbox.mail_listing(call.owner, **call.query)
    return Showing(listing, lambda mail: shown(call, mail))


def _found(call: Call) -> Message:
    mail = call.store.mailbox.mail(call.owner, call.part("id"))
    if mail is None:
        raise not_found()
    return mail


def _get(call: Call) -> object:
    return shown(call, _found(call))


def _mark(call: Call) -> object:
    mail = _found(call)
    if "is_read" in call.body:
        call.store.mailbox.mark_mail(mail["id"], is_read=bool(call.body["is_read"]))
    return _get(call)


def _compose(call: Call) -> object:
    to = call.body["to_email"]
    assert isinstance(to, str)
    return _send(call, [to], call.text("subject"))


def _reply(call: Call) -> object:
    mail = _found(call)
    return _send(call, [_other_side(call, mail)], _prefixed("Re", mail), answers=mail)


def _reply_all(call: Call) -> object:
    mail = _found(call)
    others = re.findall(_ADDRESS, f"{mail['to_email']}, {mail['cc']}")
    to = _other_side(call, mail)
    copies = [address for address in others if address not in {call.owner.email, to}]
    return _send(call, [to], _prefixed("Re", mail), answers=mail, copies=copies)


def _forward(call: Call) -> object:
    mail = _found(call)
    quoted = (
        f"{call.text('content')}<hr><p>{html.escape(str(mail['from_email']))}:</p>"
        f"{mail['html_content'] or html.escape(str(mail['text_content']))}"
    )
    files = call.store.mailbox.files_of(mail["id"])
    return _send(call, [call.text("to_email")], _prefixed("Fwd", mail), content=quoted, files=files)


def _other_side(call: Call, mail: Message) -> str:
    """Whom an answer goes to: the sender, or the recipient of what one has sent oneself."""
    sender = str(mail["from_email"])
    if sender != call.owner.email:
        return sender
    return str(mail["to_email"])


def _prefixed(prefix: str, mail: Message) -> str:
    subject = str(mail["subject"])
    return subject if subject.lower().startswith(f"{prefix.lower()}:") else f"{prefix}: {subject}"


def _send(
    call: Call,
    to: list[str],
    subject: str,
    *,
    content: str | None = None,
    answers: Message | None = None,
    copies: Iterable[str] = (),
    files: Iterable[Upload] = (),
) -> object:
    """Keep a mail of the caller's, and give it to those of its recipients who are here."""
    if not all(re.fullmatch(_ADDRESS, address) for address in to):
        raise StoreError("to_email: not an email address")
    content = call.text("content") if content is None else content
    cc = list(dict.fromkeys([*copies, *_addresses(call, "cc")]))
    mailbox = call.store.mailbox
    mail = Mail(
        from_email=call.owner.email,
        from_display_name=call.owner.name,
        to_email=to[0],
        cc=", ".join(cc),
        subject=subject,
        text_content=html.unescape(_TAG.sub("", content)),
        html_content=content,
        message_id=make_msgid(domain=DOMAIN),
        answers=(str(answers["message_id"]),) if answers else (),
        files=(*files, *_uploaded(call)),
    )
    with call.store.db.transaction():
        file_ids = mailbox.keep(mail.files)
        sent = mailbox.add_mail(call.owner, mail, is_incoming=False, file_ids=file_ids)
        for address in dict.fromkeys([*to, *cc, *_addresses(call, "bcc")]):
            recipient = call.store.identity_at(address)
            if recipient:
                mailbox.add_mail(recipient, mail, file_ids=file_ids)
    return shown(call, sent)


def _addresses(call: Call, name: str) -> list[str]:
    given = call.body.get(name, [])
    assert isinstance(given, list)
    return given


def _uploaded(call: Call) -> list[Upload]:
    files = []
    for file_uuid in dict.fromkeys(_addresses(call, "attachment_uuids")):
        file = call.store.mailbox.uploaded(call.owner, file_uuid)
        if file is None:
            raise StoreError(f"attachment_uuids: {file_uuid!r} has not been uploaded")
        files.append(file)
    return files


_CONTENT = {
    "content": long_text().required(),
    "cc": texts(_ADDRESS),
    "bcc": texts(_ADDRESS),
    "attachment_uuids": texts(limit=100),
}
_TO = {"to_email": text(pattern=_ADDRESS).required()}

ENDPOINTS = (
    Endpoint(
        method="GET",
        path=_THREADS,
        answer=_list_threads,
        does="List the identity's email threads, newest first",
        query={"has_unread": FLAG},
        returns="EmailThread",
        many=True,
    ),
    Endpoint(
        method="GET",
        path=f"{_THREADS}{{id}}/",
        answer=_thread,
        does="Show a thread with its messages, oldest first",
        returns="EmailThread",
    ),
    Endpoint(
        method="POST",
        path=f"{_MESSAGES}compose/",
        answer=_compose,
        does="Send a mail",
        # CLI v0.6.2 says with `inbox` which address it goes out from; an identity has but one.
        query={"inbox": text()},
        body={**_TO, "subject": text(), **_CONTENT},
        returns="EmailMessage",
        status=201,
    ),
    Endpoint(
        method="GET",
        path=_MESSAGES,
        answer=_list,
        does="List the identity's mails, newest first",
        query={
            "is_read": FLAG,
            "direction": choice("incoming", "outgoing"),
            "thread_id": text(),
            "from_email": text(),
        },
        returns="EmailMessage",
        many=True,
    ),
    Endpoint(method="GET", path=_ONE, answer=_get, does="Show a mail", returns="EmailMessage"),
    Endpoint(
        method="PATCH",
        path=_ONE,
        answer=_mark,
        does="Mark a mail as read or unread",
        body={"is_read": FLAG},
        returns="EmailMessage",
    ),
    Endpoint(
        method="POST",
        path=f"{_ONE}reply/",
        answer=_reply,
        does="Answer the sender of a mail",
        body=_CONTENT,
        returns="EmailMessage",
        status=201,
    ),
    Endpoint(
        method="POST",
        path=f"{_ONE}reply-all/",
        answer=_reply_all,
        does="Answer the sender and the other recipients of a mail",
        body=_CONTENT,
        returns="EmailMessage",
        status=201,
    ),
    Endpoint(
        method="POST",
        path=f"{_ONE}forward/",
        answer=_forward,
        does="Send a mail on, with what is attached to it",
        body={**_TO, **_CONTENT},
        returns="EmailMessage",
        status=201,
    ),
)
