"""An inbox that somebody has used before: what is in it is no news for its next user."""

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from urllib.parse import quote

from ravi_agent.errors import RefusedError
from ravi_agent.log import Log
from ravi_agent.service.api import RaviApi
from ravi_agent.service.patience import Patience
from ravi_agent.service.still_trying import how_to_reach

_KINDS = ("email-messages/", "messages/")
_UNREAD = {"is_read": False, "direction": "incoming"}
_AT_ONCE = 4
_NO_SUCH_CALL = (404, 405)


def mark_all_read(api: RaviApi, *, timeout_s: float, log: Log) -> int:
    """Mark every message of an identity as read; how many there were.

    api: called as the identity. A code in an older message is then found neither by `--unread` nor
    by `ravi inbox wait`. Raises any error of the service, but for messages that are gone, and for a
    kind of message that it does not have.
    """

    def mark(path: str) -> None:
        try:
            patience.until_answered(partial(api.ask, "PATCH", path, {"is_read": True}))
        except RefusedError as exc:
            if exc.status not in _NO_SUCH_CALL:
                raise

    patience = Patience(
        deadline=time.monotonic() + timeout_s,
        log=log,
        fix=how_to_reach(api.api_url, is_in_container=False),
    )
    paths = [path for kind in _KINDS for path in _unread(api, patience, kind)]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(mark, paths))
    return len(paths)


def _unread(api: RaviApi, patience: Patience, kind: str) -> list[str]:
    try:
        found = api.read_list(
            kind,
            _UNREAD,
            timeout_s=patience.left_s(),
            attempt=patience.until_answered,
            keep=lambda one: (
                one.get("is_read") is not True and isinstance(one.get("id"), int | str)
            ),
        )
    except RefusedError as exc:
        if exc.status in _NO_SUCH_CALL:
            return []
        raise
    return [f"{kind}{quote(str(one.get('id')), safe='')}/" for one in found]
