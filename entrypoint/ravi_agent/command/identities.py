"""The calls about the account's identities."""

import os
import sys
from urllib.parse import quote

from ravi_agent.errors import (
    AbsentError,
    AnswerError,
    OutcomeUnknownError,
    RefusedError,
    ThrottledError,
    UsageError,
)
from ravi_agent.log import write_stderr

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ravi_agent.command.session import Session
    from ravi_agent.command.words import Given


def list_identities(session: "Session", _given: "Given") -> object:
    return session.ask_either("GET", "identities/")


def create_identity(session: "Session", given: "Given") -> object:
    """One POST, never repeated: whoever asks decides what an unclear outcome was."""
    name = given.plain("name")
    body: dict[str, object] = {}
    if name:
        body["name"] = name
    if email := given.plain("email"):
        body["email"] = email
    if given.is_on("provision-phone"):
        body["provision_phone"] = True
    called = f"identity {name!r}" if name else "an identity"
    try:
        return session.ask_account("POST", "identities/", body)
    except (OutcomeUnknownError, AnswerError) as exc:
        exc.fix = "ravi identity list, and create it again only if it is not there"
        raise exc.restated(f"{called} may have been created: {exc.what}") from exc
    except RefusedError as exc:
        if exc.status == 402:
            exc.fix = "take a plan that covers it, or leave out --provision-phone"
        raise
    except ThrottledError as exc:
        exc.fix = "it was not created: try again later"
        raise


def show_identity(session: "Session", given: "Given") -> object:
    """One of the account's identities, or without a name the own one."""
    if not given.has("name") and not given.has("uuid"):
        if not session.identity_uuid:
            session.identity_api()  # says why there is none
            found = session.ask_identity("GET", "identities/")
            return _only(found, "the key's own identity")
        path = f"identities/{quote(session.identity_uuid, safe='')}/"
        return session.ask_identity("GET", path)
    return _named(session, given)


def delete_identity(session: "Session", given: "Given") -> object:
    """Delete one, after showing which and asking; never the own one by default."""
    if not given.has("name") and not given.has("uuid"):
        raise UsageError("no identity", "give --name or --uuid", "ravi identity delete --help")
    identity = _named(session, given)
    uuid, name = str(identity.get("uuid")), str(identity.get("name"))
    if not given.is_on("yes"):
        _confirm(f"Delete identity {name!r} ({uuid}, {identity.get('inbox')})?")
    try:
        session.ask_account("DELETE", f"identities/{quote(uuid, safe='')}/")
    except RefusedError as exc:
        if exc.status in {403, 404, 405}:
            exc.fix = "nothing was deleted; this service keeps identities: leave it unused"
            raise exc.restated(f"identity {name!r} was not deleted: {exc.what}") from exc
        raise
    return {"status": "deleted", "uuid": uuid, "name": name}


def _confirm(question: str) -> None:
    """Go on only after a `y` typed on a terminal. Raises UsageError."""
    fix = "add --yes to delete it without a question"
    if not os.isatty(0):
        raise UsageError("not deleted", "nobody to ask: standard input is not a terminal", fix)
    write_stderr(
        f"{question}\nIts address, number and messages are lost. This cannot be undone. [y/N] "
    )
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise UsageError("not deleted", "the answer was not yes", fix)


def _named(session: "Session", given: "Given") -> dict[str, object]:
    """The identity of --uuid or --name. Raises AbsentError, or UsageError for several."""
    uuid, name = given.plain("uuid"), given.plain("name")
    identities = session.ask_account("GET", "identities/")
    if not isinstance(identities, list):
        raise AnswerError("identities not understood", "the service sent no JSON array")
    found = [
        one
        for one in identities
        if isinstance(one, dict)
        and (uuid is None or one.get("uuid") == uuid)
        and (name is None or one.get("name") == name)
    ]
    if not found:
        raise AbsentError(f"no identity {uuid or name!r}", "not found", "ravi identity list")
    if len(found) > 1:
        uuids = ", ".join(str(one.get("uuid")) for one in found)
        raise UsageError(
            f"several identities {name!r}", uuids, f"ravi {given.command.words} --uuid UUID"
        )
    return found[0]


def use_identity(_session: "Session", _given: "Given") -> object:
    raise UsageError(
        "ravi identity use",
        "it would change one file for all agents of this user, and those that run at the same "
        "time would send and read as each other",
        "ravi-init --workspace WORKSPACE, then RAVI_CONFIG_DIR=WORKSPACE/.ravi ravi …",
    )


def _only(answer: object, what: str) -> object:
    if not isinstance(answer, list) or len(answer) != 1:
        raise AnswerError(what, "the service did not send exactly one")
    return answer[0]
