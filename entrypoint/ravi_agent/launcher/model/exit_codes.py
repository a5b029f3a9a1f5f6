"""Exit codes: the launcher's own, and what those of an agent's container mean for a retry.

One table: both engines, the Job's podFailurePolicy and the reference pages read it.
"""

import re
from dataclasses import dataclass

from ravi_agent import contract

# The launcher's own, beside the codes that every program of the package may exit with.
EXIT_AGENTS_FAILED = 1
EXIT_INTERRUPTED = 130


@dataclass(frozen=True, kw_only=True)
class ExitCode:
    """can_retry: whether another start of the same container may succeed.

    is_agents: the agent's program had been reached; else the entrypoint failed before that.
    """

    code: int
    meaning: str
    can_retry: bool
    is_agents: bool = False


EXIT_CODES = (
    ExitCode(code=contract.EXIT_USAGE, meaning="the command line is wrong", can_retry=False),
    ExitCode(
        code=contract.EXIT_UNREACHABLE,
        meaning="the service did not answer within the time limit",
        can_retry=True,
    ),
    ExitCode(code=contract.EXIT_BUG, meaning="a bug in ravi-agent-base", can_retry=True),
    ExitCode(
        code=contract.EXIT_WORKSPACE,
        meaning="the workspace cannot be written or trusted",
        can_retry=False,
    ),
    ExitCode(
        code=contract.EXIT_THROTTLED,
        meaning="the service was still throttling requests at the time limit",
        can_retry=True,
    ),
    ExitCode(
        code=contract.EXIT_ANSWER,
        meaning="the service's answer could not be understood",
        can_retry=False,
    ),
    ExitCode(
        code=contract.EXIT_REFUSED,
        meaning="the service refused the request (401, 402 or 403)",
        can_retry=False,
    ),
    ExitCode(code=contract.EXIT_SETTINGS, meaning="a setting is missing or wrong", can_retry=False),
    ExitCode(
        code=contract.EXIT_TIMED_OUT,
        meaning="the agent still ran after `RAVI_TIMEOUT`",
        can_retry=True,
        is_agents=True,
    ),
    ExitCode(
        code=contract.EXIT_NOT_EXECUTABLE,
        meaning="the agent's program is not executable",
        can_retry=False,
        is_agents=True,
    ),
    ExitCode(
        code=contract.EXIT_NOT_FOUND,
        meaning="the agent's program was not found",
        can_retry=False,
        is_agents=True,
    ),
)
# A second start cannot change these. The first set holds only before the agent has started: after
# that such a code is the agent's own.
FINAL_BEFORE_AGENT = frozenset(
    one.code for one in EXIT_CODES if not one.can_retry and not one.is_agents
)
_ACCOUNT_REFUSED = re.compile(r"\bstatus 40[12]\b")
FINAL_FOR_AGENT = frozenset(one.code for one in EXIT_CODES if not one.can_retry and one.is_agents)


def is_account_refused(error: str) -> bool:
    """Whether the entrypoint's error is the service's refusal of the whole account."""
    return _ACCOUNT_REFUSED.search(error) is not None


def meaning_of(exit_code: int, *, has_started: bool) -> str | None:
    """What such a code says where nothing else does; None where it may be the agent's own."""
    for one in EXIT_CODES:
        if one.code == exit_code and (one.is_agents or not has_started):
            return f"{one.meaning}, by its exit code"
    return None


def can_retry(exit_code: int | None, *, has_started: bool) -> bool:
    """Whether another start may end differently.

    exit_code: None where no container came of the start. has_started: the agent got its identity.
    """
    if exit_code in FINAL_FOR_AGENT:
        return False
    return has_started or exit_code not in FINAL_BEFORE_AGENT
