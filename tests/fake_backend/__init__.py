"""Two engines that record what commands ask of them, and refuse what real ones refuse."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from ravi_agent.errors import UsageError
from ravi_agent.launcher.model.container_status import ContainerStatus
from ravi_agent.launcher.model.findings import Finding, Verdict
from ravi_agent.launcher.model.inventory import Inventory, Leftover, ReapOptions, Removed
from ravi_agent.launcher.model.request import Connection, DoctorTarget, LogOptions, RunRequest
from ravi_agent.launcher.model.usage import Usage

AGENT = ContainerStatus(
    id="c" * 64,
    run="base",
    task="0000",
    index=0,
    count=1,
    identity_name="task-base-0000",
    created_at=0.0,
    state="running",
    status="Up 3 minutes",
    exit_code=None,
)
# What has been asked since a test has cleared it: the method and its arguments.
asked: list[tuple[str, Any]] = []


class FakeBackend:
    """One run, `base`, with one agent, `0000`; and one thing that another run has left behind."""

    def __init__(self, name: str, connection: Connection) -> None:
        asked.append(("open", (name, connection)))

    def launch(self, request: RunRequest) -> int:
        asked.append(("launch", request))
        return 0

    def agents(self, run: str | None = None, tasks: Sequence[str] = ()) -> list[ContainerStatus]:
        asked.append(("agents", (run, tuple(tasks))))
        if run not in {None, AGENT.run}:
            raise UsageError(f"run {run!r}", "there is no such run", "ravi-launch ps")
        return [AGENT]

    def describe(self, agents: Sequence[ContainerStatus]) -> list[ContainerStatus]:
        return [replace(one, email="a@x", restarts=0) for one in agents]

    def usage(self, agents: Sequence[ContainerStatus]) -> list[Usage]:
        asked.append(("usage", tuple(agents)))
        return [
            Usage(run="base", task="0000", cpu_percent=1.0, memory=1, memory_limit=2, processes=3)
        ]

    def logs(self, agents: Sequence[ContainerStatus], options: LogOptions) -> None:
        asked.append(("logs", (tuple(agents), options)))

    def wait(self, run: str, tasks: Sequence[str]) -> int:
        asked.append(("wait", (run, tuple(tasks))))
        return 1

    def stop(self, run: str, agents: Sequence[ContainerStatus], *, grace_s: int) -> None:
        asked.append(("stop", (run, tuple(agents), grace_s)))

    def remove(self, run: str, tasks: Sequence[str], *, is_forced: bool) -> Removed:
        asked.append(("remove", (run, tuple(tasks), is_forced)))
        return Removed(words="1 container")

    def inventory(self, options: ReapOptions) -> Inventory:
        # To the hour: two calls of one test are not at the same time.
        asked.append(
            (
                "inventory",
                (options.prefix, options.before // 3600, options.is_dry_run, options.is_for_all),
            )
        )
        left = Leftover(line="container old", remove=lambda: asked.append(("removed", "old")))
        return Inventory(noun="containers", leftovers=[left], names_in_use=frozenset())

    def diagnose(self, target: DoctorTarget) -> Iterable[Finding]:
        asked.append(("diagnose", target))
        return [Finding(what="engine", verdict=Verdict.GOOD, says="it answers")]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        asked.append(("close", None))
