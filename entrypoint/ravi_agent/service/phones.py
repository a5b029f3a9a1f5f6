"""A phone number for an identity that has none. It is paid for, as creation is."""

import time
from functools import partial

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
from ravi_agent.service.patience import Patience

# What a service without the call, without a plan for numbers or without a number says; a key
# that is not valid is another matter.
_NO_NUMBER = frozenset({400, 402, 404, 405, 409, 422})
# After so many unclear outcomes an agent that can do without a number gets none.
_UNCLEAR_LIMIT = 3


class Phones:
    """Buys numbers. is_required: raises where there is none to be had, else warns and goes on."""

    def __init__(
        self, api: RaviApi, patience: Patience, log: Log, *, is_required: bool, settle_s: float
    ) -> None:
        self._api = api
        self._patience = patience
        self._log = log
        self._is_required = is_required
        self._settle_s = settle_s

    def buy(self, identity: Identity) -> Identity:
        """The identity with a number; without one where none is to be had and none is required.

        Raises RefusedError, AnswerError or UnreachableError where one is required.
        """
        try:
            return self._buy(identity)
        except RefusedError as exc:
            if exc.status not in _NO_NUMBER and not is_about_phone(exc):
                raise
            if self._is_required:
                exc.fix = "set RAVI_PHONE_POLICY=auto, or another RAVI_IDENTITY_NAME"
                raise exc.restated(f"identity {identity.name} has no phone number") from exc
            failure: RaviError = exc
        except (UnreachableError, ThrottledError, AnswerError) as exc:
            if self._is_required:
                raise
            failure = exc
        self._log.warning(
            f"identity {identity.name} has no phone number, and goes on without: {failure.why}",
            "set RAVI_PHONE_POLICY=never to ask for none",
        )
        return identity

    def _buy(self, identity: Identity) -> Identity:
        attempt = 0
        while True:
            call = partial(self._api.provision_phone, identity.uuid)
            try:
                bought = self._patience.once(call)
                if bought.phone and bought.uuid == identity.uuid:
                    return bought
                cause: RaviError = AnswerError(
                    f"no phone number for {identity.name}", "the service names none in its answer"
                )
            except (NotSentError, ThrottledError) as exc:
                self._patience.wait(exc, attempt)  # surely nothing was bought
                attempt += 1
                continue
            except (OutcomeUnknownError, AnswerError) as exc:
                cause = exc
            found = self._look_for_it(identity, cause)
            if found:
                return found
            attempt += 1
            if isinstance(cause, AnswerError) or (
                attempt >= _UNCLEAR_LIMIT and not self._is_required
            ):
                raise cause

    def _look_for_it(self, identity: Identity, cause: RaviError) -> Identity | None:
        """The identity once it has the number that may have been bought, None if none comes."""
        self._log.warning(
            f"unclear whether {identity.name} has a phone number: {cause.why}; looking it up"
        )
        # A number may be given a moment after the answer.
        is_open = isinstance(cause, AnswerError) or (
            isinstance(cause, OutcomeUnknownError) and cause.may_still_run
        )
        settled = time.monotonic() + (self._settle_s if is_open else 0.0)
        attempt = 0
        while True:
            self._patience.wait(cause, attempt)
            found = self._patience.until_answered(partial(self._api.get_identity, identity.uuid))
            if found.phone:
                return found
            if time.monotonic() >= settled:
                return None
            attempt += 1


def is_about_phone(exc: RefusedError) -> bool:
    """Whether a creation was refused for its phone number rather than for the identity."""
    if exc.status in {402, 409}:
        return True
    named = (exc.code, *exc.fields)
    return exc.status in {400, 403, 422} and any("phone" in word for word in named)
