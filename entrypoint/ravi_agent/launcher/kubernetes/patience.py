"""How long an API server is waited for that does not answer, or refuses while it starts."""

import time
from collections.abc import Callable
from typing import TypeVar

from ravi_agent.errors import EngineError
from ravi_agent.launcher.kubernetes.refusal import KubernetesError

_Done = TypeVar("_Done")

# Waits between attempts while the server is away: it restarts, and a fleet must not press it.
RETRY_S: tuple[float, ...] = (0.5, 1, 2, 4, 8)
# How long a server that has answered before may be away: an upgrade of a control plane takes
# minutes, and the run goes on without it.
AWAY_S = 300.0
# It refuses everybody for a moment after its start, while it reads who may do what.
REFUSED_S = 30.0


def is_refusal(exc: EngineError) -> bool:
    """Whether the server knew who asked, or did not, and said no."""
    return isinstance(exc, KubernetesError) and exc.status in {401, 403}


def is_final(exc: EngineError) -> bool:
    """Whether the server has answered, and would say the same to the same call later.

    A server that is away, fails or has too much to do has not; one that refuses has.
    """
    return isinstance(exc, KubernetesError) and exc.status < 500 and exc.status != 429


class Patience:
    """How long one caller waits; not for several threads.

    has_answered: the server has answered the caller, who waits for it for minutes then, and else
    for seconds. may_be_refused: a refusal may be that of a server that starts; without it a
    refusal is final.
    """

    def __init__(self, *, has_answered: bool = False) -> None:
        self.has_answered = has_answered
        self.may_be_refused = False
        self.failures = 0  # in a row
        self._away_since = 0.0
        self._refused_since: float | None = None

    def answered(self) -> None:
        """The server does what it is asked."""
        self.has_answered, self.failures, self._refused_since = True, 0, None

    def pause_s(self, exc: EngineError) -> float | None:
        """Seconds until the same call may succeed; None where it will not, or not in time."""
        now = time.monotonic()
        if self.failures == 0:
            self._away_since = now
        if not is_refusal(exc):
            self._refused_since = None
        elif self._refused_since is None:  # a server that was away for long has just started
            self._refused_since = now
        if not self._may_pass(exc, now):
            return None
        pause_s = RETRY_S[min(self.failures, len(RETRY_S) - 1)]
        self.failures += 1
        self.may_be_refused |= self.has_answered  # it has been away, and will start
        return pause_s

    def _may_pass(self, exc: EngineError, now: float) -> bool:
        if self._refused_since is not None and self.may_be_refused:
            return now - self._refused_since < REFUSED_S
        if is_final(exc):
            return False
        if not self.has_answered:
            return self.failures < len(RETRY_S)
        return now - self._away_since < AWAY_S

    def until_done(self, call: Callable[[], _Done], away: Callable[[EngineError], None]) -> _Done:
        """What `call` returns, called again until the server does it; `away` is told once of why.

        Raises the EngineError that is final, or that lasts.
        """
        while True:
            try:
                done = call()
            except EngineError as exc:
                pause_s = self.pause_s(exc)
                if pause_s is None:
                    raise
                if self.failures == 1:
                    away(exc)
                time.sleep(pause_s)
            else:
                self.answered()
                return done
