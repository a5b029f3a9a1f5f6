"""Device logins (RFC 8628) that wait for somebody to approve them; forgotten at a restart."""

import asyncio
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ravi_agent.local.refusals import RefusalError

if TYPE_CHECKING:
    from collections.abc import Callable

VALID_S = 600
INTERVAL_S = 1
WAIT_S = 20.0
_MOST = 100
# No letters that look like others, and none that make words.
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"


@dataclass(frozen=True, kw_only=True)
class Login:
    """One device that asks to be let in; `user_code` is what its user compares."""

    device_code: str
    user_code: str
    expires: float
    approved: asyncio.Event = field(default_factory=asyncio.Event)


class Logins:
    """The logins that wait, few at a time: whoever asks has no key yet."""

    def __init__(self, *, approve_all: bool) -> None:
        self._approve_all = approve_all
        # Called after every change of what waits.
        self.on_change: Callable[[], None] = lambda: None
        self._waiting: dict[str, Login] = {}

    def start(self) -> Login:
        """A new login; RefusalError where too many wait."""
        self._forget_expired()
        if len(self._waiting) >= _MOST:
            headers = {"retry-after": str(INTERVAL_S)}
            raise RefusalError(429, "Too many logins wait to be approved.", headers=headers)
        half = ["".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(2)]
        login = Login(
            device_code=secrets.token_urlsafe(32),
            user_code="-".join(half),
            expires=time.monotonic() + VALID_S,
        )
        self._waiting[login.device_code] = login
        if self._approve_all:
            login.approved.set()
        self.on_change()
        return login

    def waiting(self) -> list[Login]:
        """What somebody may approve, oldest first."""
        self._forget_expired()
        return [login for login in self._waiting.values() if not login.approved.is_set()]

    def approve(self, user_code: str) -> bool:
        """Let a device in; False where there is no such code."""
        for login in self.waiting():
            if secrets.compare_digest(login.user_code.encode(), user_code.upper().encode()):
                login.approved.set()
                self.on_change()
                return True
        return False

    async def redeem(self, device_code: str, *, wait: bool) -> str | None:
        """None once, where the login was approved; else the error of RFC 8628, 3.5.

        wait: hold the answer back until it is approved, for WAIT_S at most.
        """
        self._forget_expired()
        login = self._waiting.get(device_code)
        if login is None:
            return "expired_token"
        if wait and not login.approved.is_set():
            try:
                await asyncio.wait_for(login.approved.wait(), WAIT_S)
            except TimeoutError:
                return "authorization_pending"
        if not login.approved.is_set():
            return "authorization_pending"
        # Whoever asked twice at the same time gets one answer.
        return None if self._waiting.pop(device_code, None) else "expired_token"

    def _forget_expired(self) -> None:
        moment = time.monotonic()
        for code in [code for code, login in self._waiting.items() if login.expires <= moment]:
            del self._waiting[code]
