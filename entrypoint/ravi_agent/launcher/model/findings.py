"""What `doctor` reports: one finding for each thing it checks."""

from dataclasses import dataclass
from enum import StrEnum


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
