"""From a name to an identity with its key, whatever the service does on the way.

Creation is paid for and has no idempotency key, so it is sent again only where the last attempt
surely made nothing, or where a look-up by name has shown so.
"""

import time
from collections.abc import Callable
from functools import partial

from ravi_agent import settings
from ravi_agent.errors import (
    AnswerError,
    NotSentError,
    OutcomeUnknownError,
    RaviError,
    RefusedError,
    SettingsError,
    ThrottledError,
)
from ravi_agent.identity import Identity
from ravi_agent.log import Log
from ravi_agent.service.api import RaviApi
from ravi_agent.service.creation import AnyNumber, Creations
from ravi_agent.service.keys import key_label
from ravi_agent.service.patience import Pacer, Patience
from ravi_agent.service.phones import Phones, is_about_phone
from ravi_agent.service.still_trying import how_to_reach

__all__ = ["SETTLE_S", "Pacer", "Provisioner"]

# How long a creation that timed out may still come into being before it is sent again.
SETTLE_S = 10.0


class Provisioner:
    """Makes or adopts identities within a deadline.

    deadline: `time.monotonic()` seconds after which nothing more is tried. Counts `attempts`,
    the calls made so far, also told to `on_attempt`. creations: asked before each creation, None
    for any number. Raises UnreachableError or ThrottledError at the deadline, RefusedError and
    AnswerError at once, and what `creations` raises. is_in_container: where loopback is the
    container's own.
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
        creations: Creations | None = None,
        is_in_container: bool = False,
    ) -> None:
        self._api = api
        self._settle_s = settle_s
        self._creations = creations or AnyNumber()
        self._phone_policy = phone_policy
        self._log = log
        self.has_adopted = False  # an identity that was there; else it was created
        self._patience = Patience(
            deadline=deadline,
            log=log,
            fix=how_to_reach(api.api_url, is_in_container=is_in_container),
            on_attempt=on_attempt,
            pacer=pacer,
        )
        self._phones = Phones(
            api, self._patience, log, is_required=self._is_phone_required, settle_s=settle_s
        )

    @property
    def attempts(self) -> int:
        return self._patience.attempts

    def provision(self, name: str, *, is_fresh: bool = False) -> Identity:
        """The one identity called `name`, holding a key where the account has keys.

        is_fresh: no identity of that name can exist yet, so none is looked for. Raises
        SettingsError for a name that the service would store as another one.
        """
        if name != name.strip():
            raise SettingsError(
                f"identity name {name!r}",
                "the service stores names without white space around them, and this one would "
                "never be found again",
                f"RAVI_IDENTITY_NAME={name.strip()!r}",
            )
        with self._patience.noticing(self._api.api_url):
            identity = None if is_fresh else self._find(name)
            if identity:
                self.has_adopted = True
                self._log.info(f"adopting identity {name}")
                if identity.phone is None and self._phone_policy != settings.PHONE_NEVER:
                    identity = self._phones.buy(identity)
            else:
                identity = self._create(name)
                if identity.phone is None and self._is_phone_required:
                    identity = self._phones.buy(identity)
            return self._with_key(identity)

    @property
    def _is_phone_required(self) -> bool:
        return self._phone_policy == settings.PHONE_REQUIRE

    def _find(self, name: str) -> Identity | None:
        found = self._api.find_identities(
            name, timeout_s=self._patience.left_s(), attempt=self._patience.until_answered
        )
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
        self._creations.reserve(name)
        try:
            return self._send_creation(name)
        except (NotSentError, ThrottledError, RefusedError):
            self._creations.cancel(name)  # surely nothing was made
            raise

    def _send_creation(self, name: str) -> Identity:
        with_phone = self._phone_policy != settings.PHONE_NEVER
        attempt = 0
        while True:
            call = partial(self._api.create_identity, name, with_phone=with_phone)
            try:
                return self._checked(name, self._patience.once(call))
            except (NotSentError, ThrottledError) as exc:
                self._patience.wait(exc, attempt)  # surely nothing was made
            except (OutcomeUnknownError, AnswerError) as exc:
                found = self._look_for_lost(name, exc)
                if found:
                    return found
                if isinstance(exc, AnswerError):
                    raise
            except RefusedError as exc:
                if exc.status == 409:
                    exc.fix = "set another RAVI_IDENTITY_NAME"
                is_phone = with_phone and is_about_phone(exc)
                if not is_phone or self._is_phone_required:
                    raise _explained(exc, name) from exc
                self._log.warning(f"no phone number for {name}: {exc.why}", exc.fix)
                with_phone = False
                # It said no to the phone: it may have made the rest before it came to that.
                found = self._find(name)
                if found:
                    return found
            attempt += 1

    def _checked(self, name: str, created: Identity) -> Identity:
        if created.name != name:
            self._log.warning(
                f"the service calls the new identity {created.name!r}, not {name!r}: the next "
                "start will not find it by that name",
                f"RAVI_IDENTITY_NAME={created.name!r}",
            )
        return created

    def _look_for_lost(self, name: str, cause: RaviError) -> Identity | None:
        """The identity that an unclear creation made after all, or None once none can come."""
        self._log.warning(f"unclear whether {name} was created: {cause.why}; looking it up")
        may_still_run = isinstance(cause, OutcomeUnknownError) and cause.may_still_run
        settled = time.monotonic() + (self._settle_s if may_still_run else 0.0)
        attempt = 0
        while True:
            self._patience.wait(cause, attempt)
            found = self._find(name)
            if found or time.monotonic() >= settled:
                return found
            attempt += 1

    def _with_key(self, identity: Identity) -> Identity:
        try:
            # Sent again after an unclear outcome: a key that was shown to nobody opens nothing,
            # cannot be looked up, and costs nothing.
            key, key_uuid = self._patience.until_answered(
                partial(self._api.mint_key, identity.uuid, label=key_label(identity.name))
            )
        except RefusedError as exc:
            if exc.status != 404:
                raise
            self._log.debug("no identity keys on this account")
            return identity
        return identity.with_key(key, key_uuid)


def _explained(exc: RefusedError, name: str) -> RefusedError:
    """A refused creation, with what to change: next to nothing but the name was asked for."""
    if exc.status in {400, 422} and not is_about_phone(exc):
        exc.fix = "set RAVI_IDENTITY_NAME to a name that the service takes"
        return exc.restated(f"identity name {name!r} is not taken, and nothing was created")
    return exc
