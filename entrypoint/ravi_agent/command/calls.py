"""What each `ravi …` asks the service, and what it prints of the answer.

Paths and shapes are those of docs.ravi.id; words and flags those of the public CLI
(ravi-hq/cli v0.6.2).
"""

from typing import TYPE_CHECKING
from urllib.parse import quote

from ravi_agent.errors import (
    AbsentError,
    AnswerError,
    OutcomeUnknownError,
    RaviError,
    RefusedError,
    ThrottledError,
    UsageError,
)

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from ravi_agent.command.session import Session

    Call = Callable[[Session, Namespace], object]


def list_identities(session: "Session", _given: "Namespace") -> object:
    return session.ask_account("GET", "identities/")


def create_identity(session: "Session", given: "Namespace") -> object:
    """One POST, never repeated: whoever asks decides what an unclear outcome was."""
    body: dict[str, object] = {"name": given.name}
    if given.email:
        body["email"] = given.email
    if given.provision_phone:
        body["provision_phone"] = True
    try:
        return session.ask_account("POST", "identities/", body)
    except (OutcomeUnknownError, AnswerError) as exc:
        exc.fix = f"ravi identity list, and create it again only if {given.name!r} is not there"
        raise exc.restated(f"identity {given.name!r} may have been created: {exc.what}") from None
    except RefusedError as exc:
        if exc.status == 402:
            exc.fix = "take a plan that covers it, or leave out --provision-phone"
        raise
    except ThrottledError as exc:
        exc.fix = "it was not created: try again later"
        raise


def use_identity(_session: "Session", _given: "Namespace") -> object:
    raise UsageError(
        "ravi identity use",
        "it would change one file for all agents of this user, and those that run at the same "
        "time would send and read as each other",
        "RAVI_CONFIG_DIR=WORKSPACE/.ravi ravi …, and ravi-init --workspace WORKSPACE to fill it",
    )


def get_email(session: "Session", _given: "Namespace") -> object:
    return _first(session.ask_identity("GET", "email/"), "email address")


def get_phone(session: "Session", _given: "Namespace") -> object:
    return _first(session.ask_identity("GET", "phone/"), "phone number")


def get_owner(session: "Session", _given: "Namespace") -> object:
    ask = session.ask_identity if session.identity_key else session.ask_account
    return ask("GET", "master/")


def list_inbox(session: "Session", given: "Namespace") -> object:
    """Both kinds in one object: `email` threads and `sms` conversations."""
    query = "?has_unread=true" if given.unread else ""
    return {
        "email": session.ask_identity("GET", f"email-inbox/{query}"),
        "sms": session.ask_identity("GET", f"sms-inbox/{query}"),
    }


def reader(path: str, unread: str) -> "Call":
    """The call for a list at `path`, or for the one entry that the command line names."""

    def read(session: "Session", given: "Namespace") -> object:
        if given.id is None:
            query = f"?{unread}" if given.unread else ""
            return session.ask_identity("GET", f"{path}/{query}")
        try:
            # A conversation's id holds a +, which some servers read as a space.
            return session.ask_identity("GET", f"{path}/{quote(given.id, safe='')}/")
        except RefusedError as exc:
            if exc.status == 404:
                exc.fix = "leave the id out to see which there are"
            raise

    return read


def compose_email(session: "Session", given: "Namespace") -> object:
    """One POST, never repeated: mail that went out twice cannot be taken back."""
    body: dict[str, object] = {
        "to_email": given.to,
        "subject": given.subject,
        "content": given.body,
    }
    for field in ("cc", "bcc"):
        addresses = [address.strip() for address in (getattr(given, field) or "").split(",")]
        if any(addresses):
            body[field] = [address for address in addresses if address]
    try:
        return session.ask_identity("POST", "email-messages/compose/", body)
    except (OutcomeUnknownError, AnswerError) as exc:
        exc.fix = "ravi message email, and send it again only if it is not there"
        raise exc.restated(f"the mail may have been sent: {exc.what}") from None


def message_email(session: "Session", given: "Namespace") -> object:
    """Mail by mail; with `--to` a new one."""
    is_read = given.id is not None or given.unread
    parts = [given.to, given.subject, given.body, given.cc, given.bcc]
    if all(part is None for part in parts):
        return reader("email-messages", "is_read=false")(session, given)
    if is_read or None in parts[:3]:
        raise UsageError(
            "ravi message email",
            "to send takes --to, --subject and --body, and neither an id nor --unread",
            "ravi message email -h",
        )
    return compose_email(session, given)


def auth_status(session: "Session", _given: "Namespace") -> object:
    """What calls would be made with, without making one; never the key itself."""
    status: dict[str, object] = {"authenticated": True, "config_dir": session.folder}
    if session.identity_uuid:
        status["identity"] = session.identity_name or ""
        status["identity_uuid"] = session.identity_uuid
    try:
        credential = session.identity_key or session.account_credential()
        status["source"] = credential.source
        status["api_url"] = session.api_url(credential)
    except RaviError as exc:
        status.update(authenticated=False, message=f"{exc}; fix: {exc.fix}")
    return status


def _first(answer: object, what: str) -> object:
    if not isinstance(answer, list):
        raise AnswerError(f"no {what}", "the service sent no JSON array")
    if not answer:
        raise AbsentError(
            f"no {what}", "this identity has none", f"provision one, or go on without a {what}"
        )
    return answer[0]
