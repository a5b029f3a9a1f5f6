"""Mail and SMS: the calls that list, read and send."""

import html
import os

from ravi_agent.command.calls import ask_one, id_in_path, query
from ravi_agent.errors import (
    AnswerError,
    OutcomeUnknownError,
    RefusedError,
    UsageError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ravi_agent.command.session import Session
    from ravi_agent.command.words import Call, Given

_FEEDBACK = "feedback@ravi.id"
_ATTACHMENT_LIMIT = 10 * 1024 * 1024  # bytes; what the service takes


def reader(path: str, unread: str) -> "Call":
    """The call for a list at `path`, or for the one entry that the command line names."""

    def read(session: "Session", given: "Given") -> object:
        if given.has("id"):
            return ask_one(session, "GET", f"{path}/{id_in_path(given, 'id')}/")
        return session.ask_identity(
            "GET", f"{path}/{f'?{unread}' if given.is_on('unread') else ''}"
        )

    return read


def list_inbox(session: "Session", given: "Given") -> object:
    """Both kinds in one object: `email` threads and `sms` conversations."""
    asked = query({"has_unread": True} if given.is_on("unread") else {})
    return {
        "email": session.ask_identity("GET", f"email-inbox/{asked}"),
        "sms": session.ask_identity("GET", f"sms-inbox/{asked}"),
    }


def message_email(session: "Session", given: "Given") -> object:
    """Mail by mail; with `--to` a new one."""
    if not any(given.has(key) for key in ("to", "subject", "body", "cc", "bcc", "attach")):
        return reader("email-messages", "is_read=false")(session, given)
    is_complete = all(given.has(key) for key in ("to", "subject", "body"))
    if given.has("id") or given.has("unread") or not is_complete:
        raise UsageError(
            "ravi message email",
            "to send takes --to, --subject and --body, and neither an id nor --unread",
            "ravi message email --help",
        )
    return compose(session, given)


def compose(session: "Session", given: "Given") -> object:
    """A new mail."""
    to = given.plain("to")
    content: dict[str, object] = {
        "to_email": to,
        "subject": given.text("subject"),
        "content": given.text("body"),
    }
    return _send_mail(session, given, f"email-messages/compose/{_inbox(session)}", content)


def feedback(session: "Session", given: "Given") -> object:
    """A mail to Ravi's own team."""
    content: dict[str, object] = {
        "to_email": _FEEDBACK,
        "subject": given.text("subject") or "Feedback",
        "content": f"<p>{html.escape(given.plain('message') or '')}</p>",
    }
    return _send_mail(session, given, f"email-messages/compose/{_inbox(session)}", content)


def answering(word: str) -> "Call":
    """The call that answers or forwards the mail that the command line names."""

    def answer(session: "Session", given: "Given") -> object:
        content: dict[str, object] = {"content": given.text("body")}
        if given.has("to"):
            content["to_email"] = given.plain("to")
        if given.has("subject"):  # older services wanted one
            content["subject"] = given.text("subject")
        path = f"email-messages/{id_in_path(given, 'id')}/{word}/"
        return _send_mail(session, given, path, content)

    return answer


def send_sms(session: "Session", given: "Given") -> object:
    """One POST, never repeated."""
    number = given.plain("to") or ""
    if "@" in number:
        raise UsageError(f"--to {number!r}", "an SMS goes to a number", "ravi email compose --help")
    body: dict[str, object] = {"to_number": number, "body": given.text("body")}
    return _post_once(session, "messages/send/", body, "the SMS", "ravi message sms")


def _inbox(session: "Session") -> str:
    """The inbox that a mail leaves from, as the official CLI names it.

    Newer services go by the identity alone and need not have this endpoint.
    """
    try:
        addresses = session.ask_identity("GET", "email/")
    except RefusedError as exc:
        if exc.status != 404:
            raise
        return ""
    first = addresses[0] if isinstance(addresses, list) and addresses else None
    number = first.get("id") if isinstance(first, dict) else None
    return query({"inbox": number}) if isinstance(number, int) else ""


def _send_mail(
    session: "Session", given: "Given", path: str, content: "dict[str, object]"
) -> object:
    for key in ("cc", "bcc"):
        addresses = [address.strip() for address in (given.text(key) or "").split(",")]
        if any(addresses):
            content[key] = [address for address in addresses if address]
    files = _files(given)
    if files:
        content["attachment_uuids"] = [_upload(session, path) for path in files]
    return _post_once(session, path, content, "the mail", "ravi message email")


def _post_once(
    session: "Session", path: str, body: "dict[str, object]", what: str, look: str
) -> object:
    """One POST, never repeated: what went out twice cannot be taken back."""
    try:
        return ask_one(session, "POST", path, body)
    except (OutcomeUnknownError, AnswerError) as exc:
        exc.fix = f"{look}, and send it again only if it is not there"
        raise exc.restated(f"{what} may have been sent: {exc.what}") from exc


# --- attachments -------------------------------------------------------------------------------


def _files(given: "Given") -> list[str]:
    """The files to attach, all of them checked before the first is sent. Raises UsageError."""
    files: list[str] = []
    for value in given.texts("attach"):
        # The official CLI takes several with commas between them, and this a name with a comma.
        files += [value] if os.path.exists(value) else value.split(",")
    for path in files:
        try:
            size = os.stat(path).st_size
            if not os.path.isfile(path):
                raise UsageError(f"--attach {path}", "not a file", "give a file")
            with open(path, "rb"):
                pass
        except OSError as exc:
            raise UsageError(f"--attach {path}", str(exc.strerror), "give a file") from exc
        if size > _ATTACHMENT_LIMIT:
            raise UsageError(f"--attach {path}", f"{size} bytes", "10 MB is the most for one file")
    return files


def _upload(session: "Session", path: str) -> str:
    """Store a file where the service says, and return what the mail names it by."""
    import mimetypes

    from ravi_agent.command.upload import put

    with open(path, "rb") as file:
        data = file.read(_ATTACHMENT_LIMIT)
    name = os.path.basename(path)
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    asked: dict[str, object] = {"filename": name, "content_type": kind, "size": len(data)}
    answer = session.ask_identity("POST", "email-attachments/presign/", asked)
    uuid, url = (
        (answer.get("uuid"), answer.get("upload_url")) if isinstance(answer, dict) else ("", "")
    )
    if not isinstance(uuid, str) or not isinstance(url, str) or not uuid:
        raise AnswerError(f"{name} was not attached", "the service named no place for it")
    put(url, data, kind, is_http_allowed=session.identity_api().api_url.startswith("http:"))
    return uuid
