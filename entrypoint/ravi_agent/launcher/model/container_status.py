"""An agent of a run as its engine reports it: what `ps`, `logs`, `stop` and `rm` work on."""

from collections.abc import Sequence
from dataclasses import dataclass

from ravi_agent.errors import UsageError
from ravi_agent.launcher.model.agents import FINAL

_CREATED = "created"  # Docker's word for a container that was never started
_DOCKER_ID = 64  # hex digits; a pod's name has at most 63 characters here


@dataclass(frozen=True, kw_only=True)
class ContainerStatus:
    """`exit_code` None while it has not ended, and where it ended without a container.

    email, restarts, why: what has to be asked of each container, filled in by `Backend.describe`;
    None, or empty, where it is not known. why: the cause of its end.

    id: the container's ID or the pod's name, empty while there is none. state, status: in the
    engine's words ("exited", "Up 3 minutes").
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
    email: str | None = None
    restarts: int | None = None
    why: str = ""

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come of it, with a container or without one."""
        return self.exit_code is not None or self.state in FINAL

    @property
    def is_running(self) -> bool:
        """Whether its container has been started and has not ended."""
        return bool(self.id) and not self.has_ended and self.state != _CREATED

    @property
    def short_id(self) -> str:
        """The ID as `docker ps` abbreviates it; a pod's name stays whole."""
        return self.id[:12] if len(self.id) == _DOCKER_ID else self.id or "-"


def select(
    found: Sequence[ContainerStatus], tasks: Sequence[str], *, why: str, fix: str
) -> list[ContainerStatus]:
    """The agents of some tasks, or all of them.

    Raises UsageError, with `why` and `fix`, for a task that is not there.
    """
    known = {one.task for one in found}
    for task in tasks:
        if task not in known:
            raise UsageError(f"task {task!r}", why, fix)
    return [one for one in found if not tasks or one.task in tasks]


def refuse_running(run: str, found: Sequence[ContainerStatus], *, backend: str) -> None:
    """Raises UsageError where an agent that is to be removed still runs."""
    flags = "" if backend == "docker" else f" --backend {backend}"
    if running := [one for one in found if one.is_running]:
        raise UsageError(
            f"{len(running)} agents still run",
            ", ".join(one.task for one in running[:5]),
            f"ravi-launch stop {run}{flags}, or ravi-launch rm --force {run}{flags}",
        )
