"""Mail to the local identities by SMTP (RFC 5321); nothing is sent on."""

import asyncio
import email.policy
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import make_msgid, parseaddr

from aiosmtpd.smtp import SMTP, Envelope, Session

from ravi_agent.local.mailbox import Mail
from ravi_agent.local.store import DOMAIN, Store


def protocol(store: Store) -> SMTP:
    """The protocol for one connection, in the running loop."""
    return SMTP(
        _Deliveries(store),
        hostname=DOMAIN,
        ident="ravi-local",
        enable_SMTPUTF8=True,
        loop=asyncio.get_running_loop(),
    )


class _Deliveries:
    """What aiosmtpd asks at each step of a conversation; its names and its order."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def handle_RCPT(  # noqa: N802
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        _options: list[str],
    ) -> str:
        owner = self._store.identity_at(address)
        if owner is None or "@" not in address:
            return "550 5.1.1 no identity has this address"
        envelope.rcpt_tos.append(owner.email)
        return "250 2.1.5 OK"

    async def handle_DATA(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        message = BytesParser(EmailMessage, policy=email.policy.default).parsebytes(content)
        for address in dict.fromkeys(envelope.rcpt_tos):
            owner = self._store.identity_at(address)
            if owner:  # not deleted since
                self._store.mailbox.add_mail(owner, _read(message, address, envelope))
        return "250 2.0.0 delivered"


def _read(message: EmailMessage, address: str, envelope: Envelope) -> Mail:
    answers = f"{message['in-reply-to'] or ''} {message['references'] or ''}"
    return Mail(
        from_email=_stored(parseaddr(str(message["from"] or ""))[1] or envelope.mail_from or ""),
        to_email=address,
        cc=_stored(str(message["cc"] or "")),
        subject=_stored(str(message["subject"] or "")),
        text_content=_part(message, "plain"),
        html_content=_part(message, "html"),
        message_id=_stored(str(message["message-id"] or "").strip()) or make_msgid(domain=DOMAIN),
        answers=tuple(_stored(answers).split()),
    )


def _part(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    if part is None:
        return ""
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    try:
        text = data.decode(part.get_content_charset("utf-8"), errors="replace")
    except LookupError:  # a charset that nobody knows
        text = data.decode(errors="replace")
    return _stored(text)


def _stored(text: str) -> str:
    """Text that a database takes: a header of raw bytes comes with surrogates."""
    return text.encode(errors="replace").decode().replace("\r\n", "\n").strip("\n")
