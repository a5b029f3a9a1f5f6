"""Asking before money is spent, or something is lost."""

import sys

from ravi_agent.errors import UsageError
from ravi_agent.launcher.model.budget import Budget
from ravi_agent.launcher.model.request import RunRequest


def is_agreed_to(what: str) -> bool:
    """The answer on the terminal to what is about to be done: anything but yes is no."""
    sys.stderr.write(f"{what}. Continue? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def confirm_cost(budget: Budget, request: RunRequest) -> None:
    """Ask whether to create as many identities, where that is more than goes without saying.

    Raises UsageError where the answer is no, or nobody is there to give one.
    """
    is_agreed = request.is_confirmed or request.max_identities is not None
    if is_agreed or request.spec.is_local or budget.created <= request.confirm_above:
        return
    some = "up to " if budget.identities is None else ""
    what = f"{some}{budget.created} identities would be created"
    if not sys.stdin or not sys.stdin.isatty():
        raise UsageError(
            what,
            f"more than {request.confirm_above} are created only if somebody agrees",
            f"add --yes, or --max-identities {budget.created}",
        )
    if not is_agreed_to(f"{some}{budget.created} identities will be created"):
        raise UsageError(what, "the answer was no", "fewer agents, or --dry-run to see the plan")
