"""Trying again: when, how often, until when, and what is said meanwhile."""

import random
import threading
import time
from collections.abc import Callable

from ravi_agent.errors import (
    AnswerError,
    NotSentError,
    OutcomeUnknownError,
    RaviError,
    ThrottledError,
    UnreachableError,
)
from ravi_agent.log import Log
from ravi_agent.service.calls import CALL_TIMEOUT_S
from ravi_agent.service.still_trying import StillTrying

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    from ravi_agent.service.watcher import Watcher

    Answer = TypeVar("Answer")

_BACKOFF_BASE_S = 0.2
_BACKOFF_LIMIT_S = 5.0
# By how much a call that is served after a refusal widens what may be under way at once.
_MORE_AT_ONCE = 0.25
# A service that has room for one more call in a moment has room for several a little later.
_LEAST_HOLD_S = 0.25


class Pacer:
    """When a fleet that shares one account may call, and how many at once; for several threads.

    Where the service refuses a call for their number, calls are made one at a time, and as it
    serves them more of them again: of a fleet that comes back together it would refuse most.
    watcher: of those that wait; without, each has a thread of its own.
    """

    def __init__(self, watcher: "Watcher | None" = None) -> None:
        self.watcher = watcher
        self._not_before = 0.0
        self._said_at = -float("inf")
        self._lock = threading.Condition()
        self._at_once = float("inf")
        self._calls = 0

    def hold_off(self, wait_s: float) -> None:
        """Nobody calls for that long: the service said so to one, and means all."""
        with self._lock:
            wait_s = max(wait_s, _LEAST_HOLD_S)
            self._not_before = max(self._not_before, time.monotonic() + wait_s)
            self._at_once = 1.0

    def begin_call(self, deadline: float) -> bool:
        """Wait for a turn; False where there is none by the deadline (`time.monotonic()`)."""
        with self._lock:
            while self._calls + 1 > self._at_once:
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    return False
                self._lock.wait(left_s)
            self._calls += 1
            return True

    def end_call(self, *, is_served: bool) -> None:
        """Give the turn back."""
        with self._lock:
            self._calls -= 1
            if is_served:
                self._at_once += _MORE_AT_ONCE
            self._lock.notify_all()

    def left_s(self) -> float:
        """Seconds until the next call may be made."""
        return max(0.0, self._not_before - time.monotonic())

    def may_say(self, gap_s: float) -> bool:
        """Whether nobody has said for that long that the service does not answer; notes it."""
        with self._lock:
            now = time.monotonic()
            if now - self._said_at < gap_s * 0.9:
                return False
            self._said_at = now
            return True


class Patience:
    """Makes calls, and makes them again, within a deadline.

    deadline: `time.monotonic()` seconds. Counts `attempts`, the calls made so far, also told to
    `on_attempt`. fix: what to check where the service cannot be reached. Raises UnreachableError
    or ThrottledError at the deadline.
    """

    def __init__(
        self,
        *,
        deadline: float,
        log: Log,
        fix: str,
        on_attempt: Callable[[int], object] = lambda _count: None,
        pacer: Pacer | None = None,
    ) -> None:
        self.deadline = deadline
        self.attempts = 0
        self.notice: StillTrying | None = None
        self._log = log
        self._fix = fix
        self._on_attempt = on_attempt
        self._pacer = pacer or Pacer()
        self._started = time.monotonic()

    def noticing(self, api_url: str) -> StillTrying:
        """What says, for as long as it is entered, that the service does not answer."""
        pacer = self._pacer
        self.notice = StillTrying(api_url, self._log, self._fix, pacer.may_say, pacer.watcher)
        return self.notice

    def left_s(self) -> float:
        """Seconds to the deadline, at least the tenth that a last call gets."""
        return max(0.1, self.deadline - time.monotonic())

    def until_answered(self, call: "Callable[..., Answer]") -> "Answer":
        """For calls that may be repeated whatever became of the last. call: takes `timeout_s`."""
        attempt = 0
        while True:
            try:
                return self.once(call)
            except (NotSentError, ThrottledError, OutcomeUnknownError) as exc:
                self.wait(exc, attempt)
            attempt += 1

    def once(self, call: "Callable[..., Answer]") -> "Answer":
        """One call, as soon as the service wants any. call: takes `timeout_s`."""
        if not self._pacer.begin_call(self.deadline):
            raise self._gave_up(ThrottledError("the service", "others were served until now"))
        is_served = False
        try:
            answer = self._call(call)
            is_served = True
        finally:
            self._pacer.end_call(is_served=is_served)
        return answer

    def _call(self, call: "Callable[..., Answer]") -> "Answer":
        while (held_s := self._pacer.left_s()) > 0:
            if time.monotonic() + held_s >= self.deadline:
                raise self._gave_up(
                    ThrottledError("the service", f"asked all of us to wait {held_s:.1f} s more")
                )
            time.sleep(held_s + random.uniform(0, 0.2))  # noqa: S311 - not all at once again
        self.attempts += 1
        self._on_attempt(self.attempts)
        answer = call(timeout_s=min(CALL_TIMEOUT_S, self.left_s()))
        if self.notice:
            self.notice.answered()
        return answer

    def wait(self, cause: RaviError, attempt: int) -> None:
        """Sleep as the service asks, else with full jitter; raises `cause` at the deadline."""
        if isinstance(cause, NotSentError) and cause.is_final:
            raise cause
        if self.notice:
            self.notice.cause = cause
        limit_s = min(_BACKOFF_LIMIT_S, _BACKOFF_BASE_S * 2**attempt)
        wait_s = random.uniform(0, limit_s)  # noqa: S311 - spreads load, guards nothing
        if isinstance(cause, ThrottledError) and cause.retry_after_s is not None:
            # As told, and a little more, so that a whole fleet does not come back at once.
            self._pacer.hold_off(cause.retry_after_s)
            wait_s = _a_little_more(cause.retry_after_s)
        elif isinstance(cause, OutcomeUnknownError) and cause.retry_after_s is not None:
            # A guess of something that is out of order: kept where there is time for it.
            asked_s = _a_little_more(cause.retry_after_s)
            if time.monotonic() + asked_s < self.deadline:
                wait_s = asked_s
        if time.monotonic() + wait_s >= self.deadline:
            raise self._gave_up(cause) from cause
        self._log.debug(f"{cause}; again in {wait_s:.1f} s")
        time.sleep(wait_s)

    def _gave_up(self, cause: RaviError) -> RaviError:
        if isinstance(cause, AnswerError):
            return cause
        spent_s = time.monotonic() - self._started
        what = f"no usable answer after {self.attempts} attempts in {spent_s:.0f} s"
        if isinstance(cause, ThrottledError):
            return ThrottledError(
                what,
                f"last: {cause}",
                "start fewer at once, or raise RAVI_PROVISION_TIMEOUT",
                retry_after_s=cause.retry_after_s,
            )
        return UnreachableError(what, f"last: {cause}", cause.fix or self._fix)


def _a_little_more(wait_s: float) -> float:
    return wait_s + random.uniform(0, 0.1 + wait_s / 4)  # noqa: S311 - spreads load
