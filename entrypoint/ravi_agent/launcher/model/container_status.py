"""An agent of a run as its engine has it: what `ps`, `logs`, `stop` and `rm` go by."""

from collections.abc import Sequence
from dataclasses import dataclass

from ravi_agent.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class ContainerStatus:
    """`exit_code` None while it has not ended.

    id: its container's, or its pod's name, empty while it has none. state, status: in the engine's
    words ("exited", "Up 3 minutes").
    """

    id: str
    run: str
    task: str
    index: int
    count: int
    identity_name: str
    created_at: float  # Unix seconds
    state: str
    status: str
    exit_code: int | None


def select(
    found: Sequence[ContainerStatus], tasks: Sequence[str], *, why: str, fix: str
) -> list[ContainerStatus]:
    """Those of some tasks, or all; raises UsageError, with `why` and `fix`, for one not there."""
    known = {one.task for one in found}
    for task in tasks:
        if task not in known:
            raise UsageError(f"task {task!r}", why, fix)
    return [one for one in found if not tasks or one.task in tasks]


def refuse_running(run: str, running: Sequence[ContainerStatus]) -> None:
    """Raises UsageError where agents that are to be removed still run."""
    if running:
        raise UsageError(
            f"{len(running)} agents still run",
            ", ".join(one.task for one in running[:5]),
            f"ravi-launch stop {run}, or rm --force",
        )
