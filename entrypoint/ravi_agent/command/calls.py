"""What each `ravi …` asks the service, and what it prints of the answer.

Paths and shapes are those of docs.ravi.id and of the official Python client (ravi-sdk 0.3.0);
words and flags those of the official CLI (ravi-hq/cli v0.6.2).
"""

from urllib.parse import quote

from ravi_agent import __version__
from ravi_agent.errors import (
    AbsentError,
    AnswerError,
    RaviError,
    RefusedError,
    UsageError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ravi_agent.command.session import Session
    from ravi_agent.command.words import Call, Given


def rest(
    method: str, path: str, *, body: "Mapping[str, str] | None" = None, flags: str = ""
) -> "Call":
    """The call of one endpoint about the identity.

    path: `{key}` stands for an operand. body, or for a GET the query: the service's field names
    and the keys of the command line they come from. flags: what a body must hold one of.
    """

    def call(session: "Session", given: "Given") -> object:
        fields = _fields(given, body or {})
        if flags and not fields:
            raise UsageError("nothing to do", f"give {flags}", f"ravi {given.command.words} --help")
        where = path
        for operand in ("uuid", "id"):
            if f"{{{operand}}}" in path:
                where = where.replace(f"{{{operand}}}", id_in_path(given, operand))
        if method == "GET":
            answer = ask_one(session, "GET", where + query(fields))
        else:
            answer = ask_one(session, method, where, fields if method != "DELETE" else None)
        return {"status": "deleted"} if method == "DELETE" else answer

    return call


def ask_one(
    session: "Session", method: str, path: str, body: "dict[str, object] | None" = None
) -> object:
    """A call about the identity; AbsentError where what it names is not there."""
    try:
        return session.ask_identity(method, path, body)
    except RefusedError as exc:
        if exc.status == 404:
            raise AbsentError(
                exc.what, exc.why, "list what is there: give the command without an id, or `list`"
            ) from exc
        raise


def query(fields: "Mapping[str, object]") -> str:
    """Fields as the query of a path, "" for none."""
    from urllib.parse import urlencode

    texts = {name: str(value).lower() if isinstance(value, bool) else str(value)
             for name, value in fields.items()}  # fmt: skip
    return f"?{urlencode(texts)}" if texts else ""


def id_in_path(given: "Given", key: str) -> str:
    """An operand as one part of a path: a conversation's id holds a `+`. Raises UsageError."""
    value = given.plain(key)
    if value in {None, ".", ".."}:  # would lead to another path of the service
        raise given.wrong(key, "give an id")
    return quote(str(value), safe="")


def _fields(given: "Given", names: "Mapping[str, str]") -> dict[str, object]:
    fields: dict[str, object] = {}
    for name, key in names.items():
        if given.has(key):
            text = given.text(key)
            fields[name] = given.is_on(key) if text is None else text
    return fields


# --- what one identity has ---------------------------------------------------------------------


def list_domains(session: "Session", _given: "Given") -> object:
    return session.ask_either("GET", "domains/")


def get_email(session: "Session", _given: "Given") -> object:
    return _first(session.ask_identity("GET", "email/"), "email address")


def get_phone(session: "Session", _given: "Given") -> object:
    return _first(session.ask_identity("GET", "phone/"), "phone number")


def get_owner(session: "Session", _given: "Given") -> object:
    ask = session.ask_identity if session.identity_key else session.ask_account
    return ask("GET", "master/")


def _first(answer: object, what: str) -> object:
    if not isinstance(answer, list):
        raise AnswerError(f"no {what}", "the service sent no JSON array")
    if not answer:
        raise AbsentError(
            f"no {what}", "this identity has none", f"provision one, or go on without a {what}"
        )
    return answer[0]


def set_secret(session: "Session", given: "Given") -> object:
    """Store a value under a key, new or in place of the one before."""
    value = given.text("value") or ""
    found = _secrets(session, given)
    if found:
        uuid = quote(str(found[0].get("uuid")), safe="")
        return session.ask_identity("PATCH", f"secrets/{uuid}/", {"value": value})
    return session.ask_identity("POST", "secrets/", {"key": given.plain("key"), "value": value})


def get_secret(session: "Session", given: "Given") -> object:
    found = _secrets(session, given)
    if not found:
        raise AbsentError(f"secret {given.text('key')!r}", "not found", "ravi secrets list")
    return found[0]


def _secrets(session: "Session", given: "Given") -> list[dict[str, object]]:
    key = given.plain("key")
    answer = session.ask_identity("GET", "secrets/" + query({"key": key}))
    # A service that does not know the filter sends all of them.
    entries = answer if isinstance(answer, list) else []
    return [one for one in entries if isinstance(one, dict) and one.get("key") == key]


def _generated_password(session: "Session", given: "Given") -> object:
    fields: dict[str, object] = {}
    if length := given.number("length"):
        fields["length"] = length
    for switch, name in (("no-special", "special"), ("no-digits", "digits")):
        if given.is_on(switch):
            fields[name] = False
    if excluded := given.text("exclude-chars"):
        fields["exclude_chars"] = excluded
    return session.ask_identity("GET", "passwords/generate-password/" + query(fields))


def generate_password(session: "Session", given: "Given") -> object:
    return _generated_password(session, given)


def create_password(session: "Session", given: "Given") -> object:
    """Store a website's password; without --password one that the service makes."""
    body = _fields(given, {"username": "username", "notes": "notes"})
    password = given.text("password")
    if not password or given.is_on("generate"):
        answer = _generated_password(session, given)
        made = answer.get("password") if isinstance(answer, dict) else None
        if not isinstance(made, str) or not made:
            raise AnswerError("no password", "the service generated none")
        password = made
    body.update(domain=given.plain("domain"), password=password)
    return session.ask_identity("POST", "passwords/", body)


# --- who calls ---------------------------------------------------------------------------------


def auth_status(session: "Session", _given: "Given") -> object:
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


def auth_login(_session: "Session", _given: "Given") -> object:
    raise UsageError(
        "ravi auth login",
        "a login takes a person with a browser, and this command has none",
        "export RAVI_MANAGEMENT_KEY_FILE=/path/to/key, or log in with the official CLI",
    )


def auth_logout(_session: "Session", _given: "Given") -> object:
    raise UsageError(
        "ravi auth logout",
        "it would remove ~/.ravi, which in a container is the agent's own identity",
        "ravi-release --workspace WORKSPACE, or log out with the official CLI",
    )


def version(_session: "Session", _given: "Given") -> object:
    return {"message": f"ravi version {__version__} (ravi-agent-base)"}
