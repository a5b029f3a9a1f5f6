"""`ravi inbox wait`: until a mail or an SMS that matches is there.

Only what is unread and came since the agent started counts; the oldest one that matches is marked
as read and returned, so that the next wait gets the next. Times are compared by the service's own
clock.
"""

import re
import signal
import time

from ravi_agent.command.agent_start import agent_age_s
from ravi_agent.command.arrivals import Arrivals
from ravi_agent.errors import (
    AbsentError,
    RaviError,
    RefusedError,
    ThrottledError,
    TimeUpError,
    UnreachableError,
    UsageError,
)
from ravi_agent.log import Log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ravi_agent.command.session import Session
    from ravi_agent.command.words import Given

    Message = dict[str, object]
    Reader = Callable[[Message], str | None]

_TIMEOUT_S = 60.0
_LONGEST_S = 7 * 86400.0
_CALL_TIMEOUT_S = 30.0
_MATCH_LIMIT_S = 2.0  # of CPU time that one regular expression may take on one message
_MATCHED = 256 * 1024  # characters that it is given
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_PATHS = {"email": "email-messages/", "sms": "messages/"}
_NOUNS = {"email": "mail", "sms": "SMS"}


class Text:
    """What --from, --subject or --body wants: a part in any case of letters, or `/regex/`.

    `/regex/i` is for any case of letters. Raises UsageError for what is not a regular expression.
    """

    def __init__(self, given: "Given", key: str) -> None:
        self._given = given
        self._key = key
        wanted = given.text(key)
        self._part = (wanted or "").casefold()
        self._form: re.Pattern[str] | None = None
        found = re.fullmatch(r"/(.+)/(i?)", wanted or "", re.DOTALL)
        if found:
            try:
                self._form = re.compile(found[1], re.IGNORECASE if found[2] else 0)
            except (re.error, RecursionError, OverflowError) as exc:
                raise given.wrong(key, f"no regular expression: {exc}") from exc

    def is_in(self, text: str) -> bool:
        """Whether it matches. Raises UsageError for an expression that takes too long."""
        if self._form is None:
            return self._part in text.casefold()
        # A timer of CPU time: Python's expressions look for signals while they go back and forth.
        before = signal.signal(signal.SIGVTALRM, self._stop)
        signal.setitimer(signal.ITIMER_VIRTUAL, _MATCH_LIMIT_S)
        try:
            return self._form.search(text[:_MATCHED]) is not None
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            signal.signal(signal.SIGVTALRM, before)

    def _stop(self, _number: int, _frame: object) -> None:
        raise self._given.wrong(self._key, "takes too long on a message: simplify it")


class Wanted:
    """Which messages a wait is for. Raises UsageError for what the command line cannot mean."""

    def __init__(self, given: "Given") -> None:
        self.kinds = [kind for kind in _PATHS if given.is_on(kind)] or list(_PATHS)
        if given.has("subject"):
            if self.kinds == ["sms"]:
                raise given.wrong("subject", "an SMS has none")
            self.kinds = ["email"]
        self.timeout_s = _duration(given, "timeout", _TIMEOUT_S)
        self.is_code, self.is_link = given.is_on("code"), given.is_on("link")
        if self.is_code and self.is_link:
            raise UsageError("--code --link", "one prints the other away", "give one of them")
        self._sender, self._subject, self._body = (
            Text(given, key) for key in ("from", "subject", "body")
        )
        self._is_body_wanted = given.has("body")

    def found(self, message: "Message") -> "Message | None":
        """The message with its `kind`, `code` and `link`, if it is wanted."""
        code_of, link_of, text_of = _readers()
        names = ("from_email", "from_display_name", "from_number")
        if not any(self._sender.is_in(str(message.get(name) or "")) for name in names):
            return None
        if not self._subject.is_in(str(message.get("subject") or "")):
            return None
        if self._is_body_wanted and not self._body.is_in(text_of(message)):
            return None
        code, link = code_of(message), link_of(message)
        if (self.is_code and not code) or (self.is_link and not link):
            return None
        return {**message, "code": code, "link": link}

    def what(self) -> str:
        wanted = "code" if self.is_code else "link" if self.is_link else "message"
        return f"no {wanted} by {' or '.join(_NOUNS[kind] for kind in self.kinds)}"


def _readers() -> "tuple[Reader, Reader, Callable[[Message], str]]":
    """What finds the code and the link of a message, and its text."""
    from ravi_agent.command.message_content import code_of, link_of, text_of

    return code_of, link_of, text_of


def wait_for_message(session: "Session", given: "Given") -> object:
    """Block until a message matches; a code, a link or the message. Raises TimeUpError."""
    wanted = Wanted(given)
    since = Since(session, given)
    ends = time.monotonic() + wanted.timeout_s
    found = _wait(session, wanted, since, ends)
    if not given.is_on("no-mark-read"):
        _mark_read(session, found)
    if wanted.is_code or wanted.is_link:
        return found["code" if wanted.is_code else "link"]
    return found


def _wait(session: "Session", wanted: Wanted, since: "Since", ends: float) -> "Message":
    with Arrivals(session, wanted.kinds) as arrivals:
        return _first_wanted(session, wanted, since, ends, arrivals)


def _first_wanted(
    session: "Session", wanted: Wanted, since: "Since", ends: float, arrivals: Arrivals
) -> "Message":
    passed: set[object] = set()
    while True:
        failure: RaviError | None = None
        try:
            # Before the look, so that nothing falls between it and what is listened to.
            arrivals.listen(_left(ends))
            for message in _unread(session, wanted, since, ends):
                key = (message["kind"], message.get("id"))
                if key in passed:
                    continue
                if found := wanted.found(message):
                    return found
                passed.add(key)
        except (UnreachableError, ThrottledError) as exc:
            if getattr(exc, "is_final", False):
                raise
            failure = exc
        if time.monotonic() >= ends:
            why = f"the last look failed: {failure}" if failure else "nothing that matches came"
            if passed and not failure:
                why = f"{len(passed)} came, and none matches"
            raise TimeUpError(
                f"{wanted.what()} within {wanted.timeout_s:g} s",
                why,
                "ravi inbox list --unread, or a longer --timeout 5m",
            )
        _readers()  # their rules take a moment to load, which no message has to wait for
        arrivals.wait(ends, failure)


def _unread(session: "Session", wanted: Wanted, since: "Since", ends: float) -> "Iterator[Message]":
    """What is unread and new enough, oldest first."""
    messages: list[Message] = []
    for kind in list(wanted.kinds):
        path = f"{_PATHS[kind]}?is_read=false&direction=incoming"
        try:
            answer = session.ask_identity("GET", path, timeout_s=_left(ends))
        except RefusedError as exc:
            # An identity without a number; with mail to wait for, that is no reason to stop.
            if kind != "sms" or exc.status in {401, 402, 403}:
                raise
            if wanted.kinds == ["sms"]:
                raise AbsentError(
                    "no SMS can come", f"this identity has no number ({exc.why})", "ravi get phone"
                ) from exc
            wanted.kinds.remove("sms")
            continue
        entries = answer if isinstance(answer, list) else []
        messages += [{"kind": kind, **entry} for entry in entries if isinstance(entry, dict)]
    begin = since.begin()
    new = [
        (created, message)
        for message in messages
        if message.get("direction") != "outgoing"
        and message.get("is_read") is not True  # a service that does not know the filter
        and (created := _unix_time(message.get("created_dt"), begin)) >= begin
    ]
    for _, message in sorted(new, key=lambda pair: pair[0]):
        yield message


class Since:
    """The service's time from which on a message counts."""

    def __init__(self, session: "Session", given: "Given") -> None:
        self._session = session
        self._age_s: float | None = None
        self._begin = 0.0
        self._measured = time.monotonic()
        text = given.text("since")
        if text is None:
            self._age_s = agent_age_s(session.environ, session.folder, is_home=session.is_home)
        elif text != "all":
            if re.fullmatch(r"[\d.]+[smhd]", text):
                self._age_s = _duration(given, "since", 0.0)
            else:
                self._begin = _unix_time(text, -1.0)
                if self._begin < 0:
                    raise given.wrong("since", "give 10m (ago), 2026-01-31T09:00:00Z or all")

    def begin(self) -> float:
        """In Unix seconds; to be asked after an answer, which tells the service's time.

        The age grows while an answer is on its way, so an answer can only make it earlier.
        """
        if self._age_s is None:
            return self._begin
        now = self._session.identity_api().server_time or time.time()
        return now - self._age_s - (time.monotonic() - self._measured)


def _mark_read(session: "Session", message: "Message") -> None:
    """Mark it as read; a service that cannot is no reason to keep the message back."""
    from urllib.parse import quote

    path = f"{_PATHS[str(message['kind'])]}{quote(str(message.get('id')), safe='')}/"
    try:
        for attempt in range(3):
            try:
                session.ask_identity("PATCH", path, {"is_read": True}, timeout_s=_CALL_TIMEOUT_S)
                break
            except (UnreachableError, ThrottledError) as exc:
                if attempt == 2:
                    raise
                time.sleep(min(getattr(exc, "retry_after_s", None) or 0.5, 5.0))
    except RaviError as exc:
        Log("ravi").warning(
            f"it is still unread, so the next wait finds it again: {exc}",
            "give the next wait a --since, --from or --subject",
        )


def _left(ends: float) -> float:
    """Seconds that a call may take: what is left of the wait, and at least enough for one."""
    return min(max(ends - time.monotonic(), 2.0), _CALL_TIMEOUT_S)


def _duration(given: "Given", key: str, default: float) -> float:
    text = given.text(key)
    if text is None:
        return default
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)(s|m|h|d|)", text, re.ASCII)
    seconds = float(found[1]) * _UNITS[found[2]] if found else -1.0
    if not 0 <= seconds <= _LONGEST_S:
        raise given.wrong(key, "give a time up to 7d, such as 90, 60s, 5m or 1h")
    return seconds


def _unix_time(text: object, default: float) -> float:
    """ISO 8601 in Unix seconds, UTC where it names no zone."""
    from datetime import UTC, datetime

    try:
        moment = datetime.fromisoformat(str(text))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return default
