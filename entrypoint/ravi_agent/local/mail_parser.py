"""From the bytes of a mail (RFC 5322, MIME) to what a mailbox keeps.

The standard library's modern policy takes minutes for one long header, so headers are read by its
old one and are cut to a length first. Whatever cannot be decoded is kept as well as it can be.
"""

import re
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.errors import HeaderParseError, MessageError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import parseaddr

from ravi_agent.local.mailbox import Mail, Upload

_HEADER_LIMIT = 8 * 1024  # characters of one header that are read
_HEADERS_LIMIT = 256 * 1024  # bytes of all headers of a mail
_PARTS_LIMIT = 1_000
_MULTIPART = re.compile(rb"^content-type:\s*(?:multipart|message)/", re.IGNORECASE | re.MULTILINE)
_NESTED_LIMIT = 50
_MESSAGE_ID = re.compile(r"<[^<>\s]{1,998}>")


class UnreadableMailError(Exception):
    """A mail that is refused, because taking it apart would take too long."""


@dataclass(frozen=True, kw_only=True)
class Parsed:
    """A mail without its envelope."""

    sender: str
    sender_name: str
    cc: str
    subject: str
    text_content: str
    html_content: str
    message_id: str
    answers: tuple[str, ...]
    files: tuple[Upload, ...]

    def mail(self, *, to: str, sender: str, message_id: str) -> Mail:
        """The same as it is kept for one recipient."""
        return Mail(
            from_email=sender,
            from_display_name=self.sender_name,
            to_email=to,
            cc=self.cc,
            subject=self.subject,
            text_content=self.text_content,
            html_content=self.html_content,
            message_id=message_id,
            answers=self.answers,
            files=self.files,
        )


def parse(content: bytes) -> Parsed:
    """Take a mail apart; raises UnreadableMailError."""
    head = content.partition(b"\r\n\r\n")[0]
    if len(head) > _HEADERS_LIMIT:
        raise UnreadableMailError("more than 256 KiB of headers")
    if sum(1 for _ in _MULTIPART.finditer(content)) > _NESTED_LIMIT:
        raise UnreadableMailError(f"more than {_NESTED_LIMIT} parts that hold parts")
    try:
        message = message_from_bytes(content, policy=policy.compat32)
        parts = _leaves(message)
    except (RecursionError, MessageError) as exc:
        raise UnreadableMailError("its parts are nested too deeply") from exc
    texts: dict[str, str] = {}
    files = []
    for part in parts:
        kind = part.get_content_type()
        is_file = part.get_filename() is not None or part.get_content_disposition() == "attachment"
        if not is_file and kind in {"text/plain", "text/html"} and kind not in texts:
            texts[kind] = _text(part)
        elif is_file or not kind.startswith("text/"):
            files.append(_upload(part))
    # A name may hold the address of somebody else, encoded; so it is taken apart before.
    name, sender = parseaddr(_raw(message, "from"))
    return Parsed(
        sender=_clean(sender),
        sender_name=_decoded(name),
        cc=_header(message, "cc"),
        subject=_header(message, "subject"),
        text_content=texts.get("text/plain", ""),
        html_content=texts.get("text/html", ""),
        message_id=_header(message, "message-id").strip(),
        answers=tuple(
            _MESSAGE_ID.findall(f"{_raw(message, 'in-reply-to')} {_raw(message, 'references')}")
        ),
        files=tuple(files),
    )


def _leaves(message: Message) -> list[Message]:
    """The parts that hold content; a mail inside a mail stays whole, as a file."""
    found: list[Message] = []
    waiting = [message]
    while waiting:
        part = waiting.pop()
        payload = part.get_payload()
        if part.get_content_maintype() == "multipart" and isinstance(payload, list):
            waiting += [inner for inner in reversed(payload) if isinstance(inner, Message)]
        else:
            found.append(part)
        if len(found) > _PARTS_LIMIT:
            raise UnreadableMailError(f"more than {_PARTS_LIMIT} parts")
    return found


def _upload(part: Message) -> Upload:
    payload = part.get_payload(decode=True)
    inner = part.get_payload()
    if isinstance(payload, bytes):
        content = payload
    elif isinstance(inner, list) and inner and isinstance(inner[0], Message):
        content = inner[0].as_bytes()  # a mail that was attached
    else:
        content = b""
    return Upload(
        filename=_decoded(part.get_filename() or "")[:255] or "attachment",
        content_type=_clean(part.get_content_type()),
        content=content,
        is_inline=part.get_content_disposition() == "inline",
    )


def _text(part: Message) -> str:
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    charset = part.get_content_charset("utf-8")
    try:
        text = data.decode(charset, errors="replace")
    except (LookupError, ValueError):  # a charset that nobody knows, or that is not a text encoding
        text = data.decode(errors="replace")
    return _clean(text).replace("\r\n", "\n").strip("\n")


def _raw(message: Message, name: str) -> str:
    return str(message.get(name, ""))[:_HEADER_LIMIT]


def _header(message: Message, name: str) -> str:
    return _decoded(_raw(message, name))


def _decoded(raw: str) -> str:
    """A header's text: folded lines joined, encoded words (RFC 2047) decoded."""
    line = re.sub(r"[\r\n]+[ \t]*", " ", raw)
    try:
        text = str(make_header(decode_header(line)))
    except (HeaderParseError, LookupError, ValueError):
        text = line
    return _clean(text)


def _clean(text: str) -> str:
    """Text that a database takes: raw bytes come as surrogates."""
    return text.encode("utf-8", errors="replace").decode()
