"""Mail to the local identities by SMTP (RFC 5321); nothing is sent on."""

import asyncio
from email.utils import make_msgid

from aiosmtpd.smtp import SMTP, Envelope, Session

from ravi_agent.local.mail_parser import UnreadableMailError, parse
from ravi_agent.local.schema import DOMAIN
from ravi_agent.local.store import Store

# What the large providers take (25 MB of content), as it is on the wire in base64.
MAX_MAIL_BYTES = 36 * 1024 * 1024
_IDLE_S = 60.0


class _Smtp(SMTP):
    # RFC 5321 has lines of 1,000 bytes; mail in the wild has longer ones, and nobody refuses it.
    line_length_limit = 64 * 1024


def protocol(store: Store) -> SMTP:
    """The protocol for one connection, in the running loop."""
    return _Smtp(
        _Deliveries(store),
        hostname=DOMAIN,
        ident="ravi-local",
        enable_SMTPUTF8=True,
        data_size_limit=MAX_MAIL_BYTES,
        timeout=_IDLE_S,
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
        # In a thread, because large mail takes a second to take apart.
        try:
            parsed = await asyncio.to_thread(parse, content)
        except UnreadableMailError as exc:
            return f"554 5.6.0 {exc}"
        sender = parsed.sender or envelope.mail_from or ""
        message_id = parsed.message_id or make_msgid(domain=DOMAIN)
        with self._store.db.transaction():
            file_ids = self._store.mailbox.keep(parsed.files)
            for address in dict.fromkeys(envelope.rcpt_tos):
                owner = self._store.identity_at(address)
                if owner:  # not deleted since
                    mail = parsed.mail(to=address, sender=sender, message_id=message_id)
                    self._store.mailbox.add_mail(owner, mail, file_ids=file_ids)
        return "250 2.0.0 delivered"
