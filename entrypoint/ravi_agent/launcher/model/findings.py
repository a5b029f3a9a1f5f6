"""What `doctor` reports: one finding for each thing it checks."""

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from ravi_agent.errors import RaviError
from ravi_agent.launcher.model.account import find_account
from ravi_agent.settings import key_path


class Verdict(StrEnum):
    """`bad` means that no run can succeed; `note` is worth knowing."""

    GOOD = "good"
    NOTE = "note"
    BAD = "bad"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing checked. `fix` is what to type, empty where there is nothing to fix."""

    what: str
    verdict: Verdict
    says: str
    fix: str = ""


def failure(what: str, error: RaviError) -> Finding:
    """The finding for a check that failed."""
    return Finding(what=what, verdict=Verdict.BAD, says=str(error), fix=error.fix or "")


def attempt(what: str, check: Callable[[], str]) -> Finding:
    """`good` with what `check` returns, or `bad` with the RaviError that it raises."""
    try:
        return Finding(what=what, verdict=Verdict.GOOD, says=check())
    except RaviError as exc:
        return failure(what, exc)


def diagnose_account(environ: Mapping[str, str], *, is_local: bool) -> Iterator[Finding]:
    """Whether this host has a key, and whether the service accepts it."""
    try:
        account = find_account(environ, is_local=is_local)
    except RaviError as exc:
        yield failure("settings", exc)
        return
    yield Finding(what="key", verdict=Verdict.GOOD, says=f"from {account.credential.source}")
    path = key_path(environ)
    if not is_local and os.path.exists(path):
        mode = stat.S_IMODE(os.stat(path).st_mode)
        if mode & 0o077:
            says = f"{path} has mode {mode:04o}: others can read it"
            yield Finding(what="key file", verdict=Verdict.NOTE, says=says, fix=f"chmod 600 {path}")
    # httpx is imported only where the service is asked.
    from ravi_agent.service.api import RaviApi

    def ask() -> str:
        with RaviApi(account.url, account.credential) as api:
            return f"{account.url} accepts the key; {len(api.list_identities(''))} identities"

    yield attempt("service", ask)
