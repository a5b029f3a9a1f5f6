"""How many identities the harnesses of a host may create, counted in its ledger.

A loop that goes wrong asks again and again, and every identity is paid for. The limit holds for
an hour and, where RAVI_RUN names one, for a run. What a start is about to create counts from
before it is paid for, in a file beside the ledger, so that fifty starts at once do not pass the
limit together; what exists already is adopted, and costs nothing.
"""

import time
from collections.abc import Mapping

from ravi_agent.errors import LimitError
from ravi_agent.plain_file import replace_plain_file
from ravi_agent.workspace import ledger

FILE = "ravi/reserved.jsonl"
_RESERVE = "reserve"
_HOUR_S = 3600.0


class Quota:
    """The creations of one start. `limit`: how many there may be, None for any number."""

    def __init__(
        self, environ: Mapping[str, str], limit: int | None, *, api_url: str, workspace: str
    ) -> None:
        self._environ = environ
        self._limit = limit
        self._api_url = api_url
        self._workspace = workspace
        self._run = environ.get("RAVI_RUN") or None

    def reserve(self, name: str) -> None:
        """Count an identity that is about to be created.

        Raises LimitError where it would be one too many, OSError without a ledger.
        """
        mine = ledger.entry_of(
            _RESERVE, name, self._api_url, workspace=self._workspace, run=self._run
        )
        with ledger.locked(self._environ):
            created = [
                entry for entry in ledger.read(self._environ) if entry.action == ledger.CREATE
            ]
            waiting = self._waiting(mine, created)
            self._check([*created, *waiting])
            _write(self._environ, [*waiting, mine])

    def cancel(self, name: str) -> None:
        """Count it no more: surely nothing was created. Raises OSError."""
        mine = ledger.entry_of(_RESERVE, name, self._api_url, workspace=self._workspace)
        with ledger.locked(self._environ):
            _write(self._environ, self._waiting(mine, []))

    def _waiting(self, mine: ledger.Entry, created: list[ledger.Entry]) -> list[ledger.Entry]:
        """What other starts of the last hour have reserved and not created yet."""
        made = {(entry.name, entry.path): entry.at for entry in created}
        return [
            entry
            for entry in ledger.read(self._environ, FILE)
            if entry.seconds > time.time() - _HOUR_S
            and (entry.name, entry.path) != (mine.name, mine.path)
            and entry.at > made.get((entry.name, entry.path), "")
        ]

    def _check(self, created: list[ledger.Entry]) -> None:
        if self._limit is None:
            return
        # A launcher's have no path: whoever types --count says how many.
        created = [entry for entry in created if entry.path and entry.is_of_here(self._api_url)]
        ages = sorted(time.time() - entry.seconds for entry in created)
        recent = [age for age in ages if age < _HOUR_S]
        of_run = [entry for entry in created if self._run and entry.run == self._run]
        if len(recent) >= self._limit:
            oldest = recent[self._limit - 1] if self._limit else recent[0] if recent else 0.0
            # The minute after that in which one less is younger than an hour.
            free = time.strftime("%H:%M", time.gmtime(time.time() + _HOUR_S - oldest + 60))
            raise _limit_reached(self._limit, "in the last hour", f"wait until {free} UTC, or set")
        if len(of_run) >= self._limit:
            raise _limit_reached(self._limit, f"in run {self._run}", "set another RAVI_RUN, or")


def _write(environ: Mapping[str, str], entries: list[ledger.Entry]) -> None:
    lines = b"".join(entry.line().encode() + b"\n" for entry in entries)
    replace_plain_file(ledger.ledger_path(environ, FILE), lines)


def _limit_reached(limit: int, when: str, instead: str) -> LimitError:
    return LimitError(
        "no identity was created",
        f"this host has created {limit} {when}, and RAVI_MAX_IDENTITIES allows no more",
        f"{instead} RAVI_MAX_IDENTITIES={max(1, 2 * limit)}",
    )
