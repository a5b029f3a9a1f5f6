"""Hearing that something came, as cheaply as the service allows.

Best by the service's WebSocket of events, which costs one open connection. Without one, a small
request a turn asks its event log (`GET /api/events/`) what is new; without a log, the caller looks
at its lists at the same pace. Turns begin close together and move apart, with jitter, so that many
agents do not ask at once.
"""

import random
import time

from ravi_agent.errors import (
    AnswerError,
    RaviError,
    RefusedError,
    ThrottledError,
    UnreachableError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from ravi_agent.command.session import Session
    from ravi_agent.service.event_socket import EventSocket

_FIRST_S, _LAST_S, _GROWTH = 0.3, 5.0, 1.3
_FAILED_FIRST_S, _FAILED_LAST_S = 1.0, 15.0
_LOOK_S = 60.0  # between looks that no event asked for
_AGAIN_S = 30.0  # until a WebSocket that did not open is tried again
_EVENTS = 1000  # the most that the service sends at once
_HISTORY = 50  # requests that finding the end of the log may take
_TYPES = {"email": "email.message.received", "sms": "sms.message.received"}


class Arrivals:
    """What may have come to one identity, by the kinds that somebody waits for."""

    def __init__(self, session: "Session", kinds: list[str]) -> None:
        self._session = session
        self._types = ",".join(_TYPES[kind] for kind in kinds)
        self._has_sockets = self._has_log = True
        self._socket: EventSocket | None = None
        self._next_socket_at = 0.0
        self._seq: int | None = None
        self._pause_s = _FIRST_S
        self._failures = 0

    def __enter__(self) -> "Arrivals":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: "TracebackType | None",
    ) -> None:
        self._hang_up()

    def listen(self, timeout_s: float) -> None:
        """From here on nothing that comes is missed. Raises any RaviError."""
        if self._is_socket_due():
            self._open(timeout_s)
        if self._socket or not self._has_log or self._seq is not None:
            return
        seq = 0
        for _ in range(_HISTORY):
            count, seq = self._read(seq, timeout_s)
            if count < _EVENTS:
                self._seq = seq
                return
        self._has_log = False  # too long a log: the lists are shorter

    def wait(self, ends: float, failure: RaviError | None) -> None:
        """Return when something may have come, at the latest at `ends` (monotonic seconds)."""
        if failure:
            self._hang_up()
            self._rest(self._failed_pause(failure), ends)
        elif self._socket:
            try:
                self._socket.wait(max(min(_LOOK_S, ends - time.monotonic()), 0.0))
                self._failures = 0
            except RaviError as exc:
                self._hang_up()  # the next look is preceded by another `listen`
                self._rest(self._failed_pause(exc), ends)
        else:
            self._failures = 0
            self._ask_for_news(ends)

    def _is_socket_due(self) -> bool:
        is_wanted = self._has_sockets and not self._socket
        return is_wanted and time.monotonic() >= self._next_socket_at

    def _open(self, timeout_s: float) -> None:
        try:
            self._socket = self._session.identity_api().listen(timeout_s=timeout_s)
        except (RefusedError, AnswerError) as exc:
            if isinstance(exc, RefusedError) and exc.status == 401:
                raise
            self._has_sockets = False  # an older service, or a proxy that lets none through
        except (UnreachableError, ThrottledError):
            # No reason to look at nothing meanwhile: the lists may well answer.
            self._next_socket_at = time.monotonic() + _AGAIN_S

    def _hang_up(self) -> None:
        socket, self._socket = self._socket, None
        if socket:
            socket.close()

    def _ask_for_news(self, ends: float) -> None:
        while True:
            self._rest(self._pause_s * random.uniform(0.75, 1.25), ends)  # noqa: S311 - no secret
            self._pause_s = min(self._pause_s * _GROWTH, _LAST_S)
            is_over = time.monotonic() >= ends or self._is_socket_due()
            if not self._has_log or self._seq is None or is_over:
                return
            try:
                count, self._seq = self._read(self._seq, max(ends - time.monotonic(), 2.0))
            except RefusedError:
                raise
            except RaviError as exc:
                self._rest(self._failed_pause(exc), ends)
                continue
            self._failures = 0
            if count:
                self._pause_s = _FIRST_S
                return

    def _read(self, since: int, timeout_s: float) -> tuple[int, int]:
        """How many events there are behind `since`, and the number of the last."""
        path = f"events/?since={since}&limit={_EVENTS}&event_types={self._types}"
        try:
            answer = self._session.ask_identity("GET", path, timeout_s=min(timeout_s, 30.0))
        except RefusedError as exc:
            if exc.status in {401, 402}:
                raise
            self._has_log = False  # an older service, or no log for this key
            return 0, since
        events = answer.get("events") if isinstance(answer, dict) else None
        if not isinstance(events, list):
            self._has_log = False
            return 0, since
        numbers = [one.get("seq") for one in events if isinstance(one, dict)]
        last = max([since, *(number for number in numbers if isinstance(number, int))])
        if events and last == since:
            self._has_log = False  # a log that is not counted
        return len(events), last

    def _failed_pause(self, failure: RaviError) -> float:
        self._failures += 1
        pause_s = min(_FAILED_FIRST_S * 2.0 ** min(self._failures - 1, 10), _FAILED_LAST_S)
        pause_s *= random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        asked_s = failure.retry_after_s if isinstance(failure, ThrottledError) else None
        return max(pause_s, asked_s or 0.0)

    @staticmethod
    def _rest(seconds: float, ends: float) -> None:
        time.sleep(max(min(seconds, ends - time.monotonic()), 0.0))
