"""What `doctor` reports: one finding for each thing it checks."""

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from ravi_agent.credential import host_account
from ravi_agent.credential_paths import key_path
from ravi_agent.errors import RaviError


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


def good(what: str, says: str) -> Finding:
    """The finding for a check that found nothing in the way."""
    return Finding(what=what, verdict=Verdict.GOOD, says=says)


def failure(what: str, error: RaviError) -> Finding:
    """The finding for a check that failed."""
    return Finding(what=what, verdict=Verdict.BAD, says=str(error), fix=error.fix or "")


def attempt(what: str, check: Callable[[], str]) -> Finding:
    """`good` with what `check` returns, or `bad` with the RaviError that it raises."""
    try:
        return good(what, check())
    except RaviError as exc:
        return failure(what, exc)


def diagnose_account(environ: Mapping[str, str], *, is_local: bool) -> Iterator[Finding]:
    """Whether this host has a key, and whether the service accepts it."""
    try:
        api_url, credential = host_account(environ, is_local=is_local)
    except RaviError as exc:
        yield failure("settings", exc)
        return
    yield good("key", f"from {credential.source}")
    path = key_path(environ)
    if not is_local and os.path.exists(path):
        mode = stat.S_IMODE(os.stat(path).st_mode)
        if mode & 0o077:
            says = f"{path} has mode {mode:04o}: others can read it"
            yield Finding(what="key file", verdict=Verdict.NOTE, says=says, fix=f"chmod 600 {path}")
    # What calls the service is imported only where it is asked.
    from ravi_agent.service.api import RaviApi

    def ask() -> str:
        with RaviApi(api_url, credential) as api:
            return f"{api_url} accepts the key; {len(api.list_identities(''))} identities"

    yield attempt("service", ask)
