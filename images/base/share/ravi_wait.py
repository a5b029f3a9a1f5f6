"""Wait for a verification code or link with `ravi-sdk`: what its `wait_for` lacks.

    import os, sys
    from ravi import Ravi
    sys.path.append("/opt/ravi/share")
    from ravi_wait import wait_for_code

    with Ravi(api_key=os.environ["RAVI_API_KEY"]) as ravi:
        code = wait_for_code(ravi, sender="shop.example", timeout_s=120)

Only what is unread and came since the agent started counts, so an adopted inbox's old codes do
not; what is returned is marked as read, so the next call gets the next one. The code is told from
other numbers by the rules of `ravi inbox wait --code`.
"""

import os
import random
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

try:
    from ravi_agent.command.agent_start import agent_age_s
    from ravi_agent.command.message_content import code_of, link_of
except ImportError:  # in the image it is in no Python's search path
    sys.path.append("/opt/ravi/lib")
    from ravi_agent.command.agent_start import agent_age_s
    from ravi_agent.command.message_content import code_of, link_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ravi import Identity, Ravi


class Message(Protocol):
    """What `ravi.EmailMessage` and `ravi.SmsMessage` have in common."""

    created_dt: datetime

    def model_dump(self) -> dict[str, Any]: ...

    def mark_read(self) -> object: ...


_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.5, 5.0


def wait_for_code(
    ravi: "Ravi",
    *,
    identity: "Identity | None" = None,
    sender: str = "",
    subject: str = "",
    since: datetime | None = None,
    timeout_s: float = 60.0,
) -> str:
    """The code of the oldest unread mail or SMS that has one.

    identity: whose; with an identity key it is `ravi.me`. sender, subject: a part of them, in any
    case of letters; an SMS has no subject. since: the start of this agent.
    Raises TimeoutError, and whatever the SDK raises.
    """
    return _wait(ravi, code_of, identity, (sender, subject), since, timeout_s)


def wait_for_link(
    ravi: "Ravi",
    *,
    identity: "Identity | None" = None,
    sender: str = "",
    subject: str = "",
    since: datetime | None = None,
    timeout_s: float = 60.0,
) -> str:
    """The verification link of the oldest unread mail or SMS that has one, as `wait_for_code`."""
    return _wait(ravi, link_of, identity, (sender, subject), since, timeout_s)


def _wait(
    ravi: "Ravi",
    find: "Callable[[dict[str, object]], str | None]",
    identity: "Identity | None",
    wanted: tuple[str, str],
    since: datetime | None,
    timeout_s: float,
) -> str:
    ends = time.monotonic() + timeout_s
    whose: Identity = identity or ravi.me
    begin = since or _agent_start()
    pause_s = _FIRST_PAUSE_S
    while True:
        for message in _unread(whose, begin):
            found = find(message.model_dump()) if _is_wanted(message, *wanted) else None
            if found:
                message.mark_read()
                return found
        left_s = ends - time.monotonic()
        if left_s <= 0:
            raise TimeoutError(f"nothing that matches came within {timeout_s:g} s")
        time.sleep(min(pause_s * random.uniform(0.75, 1.25), left_s))  # noqa: S311 - no secret
        pause_s = min(pause_s * 1.3, _LAST_PAUSE_S)


def _unread(identity: "Identity", begin: datetime) -> "list[Message]":
    messages: list[Message] = list(identity.email.inbox(unread=True, direction="incoming"))
    if identity.phone:
        messages += [
            sms for sms in identity.phone.inbox(unread=True) if sms.direction == "incoming"
        ]
    return sorted(
        (one for one in messages if one.created_dt >= begin), key=lambda one: one.created_dt
    )


def _is_wanted(message: "Message", sender: str, subject: str) -> bool:
    given = message.model_dump()
    senders = " ".join(
        str(given.get(name) or "") for name in ("from_email", "from_display_name", "from_number")
    )
    return (
        sender.casefold() in senders.casefold()
        and subject.casefold() in str(given.get("subject") or "").casefold()
    )


def _agent_start() -> datetime:
    """When this agent started, by the clock of this machine."""
    home = os.path.join(os.environ.get("HOME") or "/", ".ravi")
    folder = os.environ.get("RAVI_CONFIG_DIR") or home
    age_s = agent_age_s(os.environ, folder, is_home=folder == home)
    return datetime.now(UTC) - timedelta(seconds=age_s)
