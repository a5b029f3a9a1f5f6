"""What a run costs: how many identities it will create, and how many it finds."""

from collections.abc import Mapping
from dataclasses import dataclass

from ravi_agent.credential import Credential
from ravi_agent.errors import RaviError, UsageError
from ravi_agent.identity import Identity
from ravi_agent.launcher.planning.plan import Plan


@dataclass(frozen=True, kw_only=True)
class Budget:
    """identities: those that the names have already, by name; None where that is not known.

    why_unknown: what the service, or the way to it, said instead.
    """

    plan: Plan
    identities: Mapping[str, Identity] | None
    why_unknown: str = ""

    @property
    def adopted(self) -> int:
        names = self.identities or {}
        return sum(task.identity_name in names for task in self.plan.tasks)

    @property
    def created(self) -> int:
        return len(self.plan.tasks) - self.adopted

    def action(self, name: str) -> str:
        """`create`, `adopt` or `unknown`: what a start does for an identity of that name."""
        if self.identities is None:
            return "unknown"
        return "adopt" if name in self.identities else "create"

    def line(self) -> str:
        """For people, before anything is done."""
        agents = f"run {self.plan.run}: {len(self.plan.tasks)} agents"
        if self.identities is None:
            return f"{agents}; identities are adopted or created ({self.why_unknown})"
        return f"{agents}; {self.created} identities to create, {self.adopted} to adopt"

    def check(self, limit: int | None) -> None:
        """Raises UsageError where more than `limit` would have to be created, or nobody knows."""
        if limit is None:
            return
        flag = f"--max-identities {limit}"
        if self.identities is None:
            raise UsageError(flag, f"nobody knows how many there are: {self.why_unknown}")
        if self.created > limit:
            raise UsageError(
                flag,
                f"{self.created} of {len(self.plan.tasks)} would have to be created",
                f"--max-identities {self.created}, or fewer agents",
            )


def make_budget(plan: Plan, api_url: str, credential: Credential) -> Budget:
    """Look up which identities exist already; none can where the run's name is new.

    No error where the service does not answer: it may well answer in the containers.
    """
    if plan.is_fresh:
        return Budget(plan=plan, identities={})
    # What calls the service is imported only where it is asked.
    from ravi_agent.service.api import RaviApi

    try:
        with RaviApi(api_url, credential) as api:
            found = {one.name: one for one in api.list_identities("")}
    except RaviError as exc:
        return Budget(plan=plan, identities=None, why_unknown=str(exc))
    return Budget(plan=plan, identities=found)
