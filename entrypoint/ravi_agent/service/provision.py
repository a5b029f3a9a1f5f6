"""From a name to an identity with its key, whatever the service does on the way.

Creation is paid for and has no idempotency key, so it is sent again only where the last attempt
surely made nothing, or where a look-up by name has shown so.
"""

import random
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from ravi_agent import settings
from ravi_agent.errors import (
    AnswerError,
    NotSentError,
    OutcomeUnknownError,
    RaviError,
    RefusedError,
    ThrottledError,
    UnreachableError,
)
from ravi_agent.identity import Identity
from ravi_agent.log import Log
from ravi_agent.service.api import RaviApi
from ravi_agent.service.calls import CALL_TIMEOUT_S

Answer = TypeVar("Answer")

_BACKOFF_BASE_S = 0.2
_BACKOFF_LIMIT_S = 5.0
# How long a creation that timed out may still come into being before it is sent again.
SETTLE_S = 10.0


class Pacer:
    """When a fleet that shares one account may call again; safe to use from several threads."""

    def __init__(self) -> None:
        self._not_before = 0.0

    def hold_off(self, wait_s: float) -> None:
        """Nobody calls for that long: the service said so to one, and means all."""
        self._not_before = max(self._not_before, time.monotonic() + wait_s)

    def left_s(self) -> float:
        """Seconds until the next call may be made."""
        return max(0.0, self._not_before - time.monotonic())


class Provisioner:
    """Makes or adopts identities within a deadline.

    deadline: `time.monotonic()` seconds after which nothing more is tried. Counts `attempts`,
    the calls made so far, also told to `on_attempt`. Raises UnreachableError or ThrottledError
    at the deadline, RefusedError and AnswerError at once.
    """

    def __init__(
        self,
        api: RaviApi,
        *,
        deadline: float,
        phone_policy: str,
        log: Log,
        settle_s: float = SETTLE_S,
        on_attempt: Callable[[int], object] = lambda _count: None,
        pacer: Pacer | None = None,
    ) -> None:
        self._api = api
        self._deadline = deadline
        self._settle_s = settle_s
        self._on_attempt = on_attempt
        self._pacer = pacer or Pacer()
        self._phone_policy = phone_policy
        self._log = log
        self._started = time.monotonic()
        self.attempts = 0
        self.has_adopted = False  # an identity that was there; else it was created

    def provision(self, name: str, *, is_fresh: bool = False) -> Identity:
        """The one identity called `name`, holding a key where the account has keys.

        is_fresh: no identity of that name can exist yet, so none is looked for.
        """
        identity = None if is_fresh else self._find(name)
        if identity is None:
            identity = self._create(name)
        else:
            self.has_adopted = True
            self._log.info(f"adopting identity {name}")
        if identity.phone is None and self._phone_policy == settings.PHONE_REQUIRE:
            raise RefusedError(
                f"identity {name} has no phone number",
                "RAVI_PHONE_POLICY=require",
                "set RAVI_PHONE_POLICY=auto, or another RAVI_IDENTITY_NAME",
                status=409,
            )
        return identity.with_key(self._mint_key(identity))

    def _find(self, name: str) -> Identity | None:
        left_s = max(0.1, self._deadline - time.monotonic())
        found = self._api.find_identities(name, timeout_s=left_s, attempt=self._until_answered)
        if len(found) > 1:
            uuids = ", ".join(identity.uuid for identity in found)
            raise RefusedError(
                f"{len(found)} identities are called {name}",
                f"any of them could be meant: {uuids}",
                "delete or rename all but one, or set another RAVI_IDENTITY_NAME",
                status=409,
            )
        return found[0] if found else None

    def _create(self, name: str) -> Identity:
        with_phone = self._phone_policy != settings.PHONE_NEVER
        attempt = 0
        while True:
            try:
                return self._once(partial(self._api.create_identity, name, with_phone=with_phone))
            except (NotSentError, ThrottledError) as exc:
                self._wait(exc, attempt)  # surely nothing was made
            except (OutcomeUnknownError, AnswerError) as exc:
                found = self._look_for_lost(name, exc)
                if found:
                    return found
                if isinstance(exc, AnswerError):
                    raise
            except RefusedError as exc:
                is_phone = with_phone and exc.status in {402, 409}
                if not is_phone or self._phone_policy == settings.PHONE_REQUIRE:
                    raise
                self._log.warning(f"no phone number for {name}: {exc.why}", exc.fix)
                with_phone = False
                # It said no to the phone: it may have made the rest before it came to that.
                found = self._find(name)
                if found:
                    return found
            attempt += 1

    def _look_for_lost(self, name: str, cause: RaviError) -> Identity | None:
        """The identity that an unclear creation made after all, or None once none can come."""
        self._log.warning(f"unclear whether {name} was created: {cause.why}; looking it up")
        may_still_run = isinstance(cause, OutcomeUnknownError) and cause.may_still_run
        settled = time.monotonic() + (self._settle_s if may_still_run else 0.0)
        attempt = 0
        while True:
            self._wait(cause, attempt)
            found = self._find(name)
            if found or time.monotonic() >= settled:
                return found
            attempt += 1

    def _mint_key(self, identity: Identity) -> str | None:
        try:
            # Sent again after an unclear outcome: a key that was shown to nobody opens nothing,
            # cannot be looked up, and costs nothing.
            return self._until_answered(
                partial(self._api.mint_key, identity.uuid, label=identity.name)
            )
        except RefusedError as exc:
            if exc.status != 404:
                raise
            self._log.debug("no identity keys on this account")
            return None

    def _until_answered(self, call: Callable[..., Answer]) -> Answer:
        attempt = 0
        while True:
            try:
                return self._once(call)
            except (NotSentError, ThrottledError, OutcomeUnknownError) as exc:
                self._wait(exc, attempt)
            attempt += 1

    def _once(self, call: Callable[..., Answer]) -> Answer:
        while (held_s := self._pacer.left_s()) > 0:
            if time.monotonic() + held_s >= self._deadline:
                raise self._gave_up(
                    ThrottledError("the service", f"asked all of us to wait {held_s:.1f} s more")
                )
            time.sleep(held_s + random.uniform(0, 0.2))  # noqa: S311 - not all at once again
        self.attempts += 1
        self._on_attempt(self.attempts)
        left_s = self._deadline - time.monotonic()
        return call(timeout_s=max(0.1, min(CALL_TIMEOUT_S, left_s)))

    def _wait(self, cause: RaviError, attempt: int) -> None:
        """Sleep as the service asks, else with full jitter; raises `cause` at the deadline."""
        if isinstance(cause, NotSentError) and cause.is_final:
            raise cause
        limit_s = min(_BACKOFF_LIMIT_S, _BACKOFF_BASE_S * 2**attempt)
        wait_s = random.uniform(0, limit_s)  # noqa: S311 - spreads load, guards nothing
        if isinstance(cause, ThrottledError) and cause.retry_after_s is not None:
            # As told, and a little more, so that a whole fleet does not come back at once.
            self._pacer.hold_off(cause.retry_after_s)
            wait_s = cause.retry_after_s + random.uniform(0, 0.1 + cause.retry_after_s / 4)  # noqa: S311
        if time.monotonic() + wait_s >= self._deadline:
            raise self._gave_up(cause)
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
        return UnreachableError(
            what, f"last: {cause}", "check RAVI_API_URL and the container's network"
        )
