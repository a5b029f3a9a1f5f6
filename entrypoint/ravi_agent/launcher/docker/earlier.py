"""What an earlier launcher of a run has left, by its containers and by what it has noted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ravi_agent import contract
from ravi_agent.errors import UsageError
from ravi_agent.launcher.docker.calls import ask
from ravi_agent.launcher.docker.engine import DockerEngine
from ravi_agent.launcher.docker.inspection import agent_of
from ravi_agent.launcher.docker.progress import READY, ended_with, has_begun
from ravi_agent.launcher.model.container_status import ContainerStatus
from ravi_agent.launcher.model.exit_codes import EXIT_CODES
from ravi_agent.launcher.planning.plan import Plan

# What the entrypoint exits with before it has reached the agent; a signal ends either.
_BEFORE_AGENT = frozenset(one.code for one in EXIT_CODES if not one.is_agents)


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """under_way: containers that have reached their agent, or still may, by index.

    told: those of them whose end has been told. unfinished: containers that ended before that.
    ended: the codes of tasks whose container has been removed since. gone: tasks whose container
    has been removed before anybody knew its end. taken: tasks for whose container somebody else has
    taken the name.
    """

    under_way: Mapping[int, ContainerStatus] = field(default_factory=dict)
    told: frozenset[int] = frozenset()
    unfinished: Sequence[ContainerStatus] = ()
    ended: Mapping[int, int] = field(default_factory=dict)
    gone: frozenset[int] = frozenset()
    taken: frozenset[int] = frozenset()


def find_earlier(
    engine: DockerEngine,
    plan: Plan,
    there: Sequence[ContainerStatus],
    progress: Mapping[int, str],
) -> Earlier:
    """Sort out what there is. progress: what is known of each task, by index."""
    under_way = {
        one.index: one for one in there if _is_under_way(engine, one, progress.get(one.index))
    }
    foreign = _foreign_names(engine)
    absent = progress.keys() - {one.index for one in there}
    codes = {index: ended_with(state) for index, state in progress.items()}
    return Earlier(
        under_way=under_way,
        told=frozenset(
            one.index
            for one in under_way.values()
            if one.exit_code is not None and codes.get(one.index) is not None
        ),
        unfinished=[one for one in there if one.index not in under_way],
        ended={index: code for index in absent if (code := codes[index]) is not None},
        gone=frozenset(index for index in absent if has_begun(progress[index])),
        taken=frozenset(one.index for one in plan.tasks if plan.container_name(one) in foreign),
    )


def _is_under_way(engine: DockerEngine, one: ContainerStatus, progress: str | None) -> bool:
    """Whether a container has reached its agent, or still may."""
    if one.exit_code is None:
        return one.is_running
    if progress == READY or ended_with(progress) is not None:
        return True
    is_doubtful = one.exit_code in _BEFORE_AGENT or one.exit_code > contract.EXIT_SIGNAL_BASE
    return not is_doubtful or engine.ready_line(one.id) is not None


def _foreign_names(engine: DockerEngine) -> frozenset[str]:
    """The names of containers that are no agent's, though they may look like it."""
    found = ask("containers cannot be listed", lambda: engine.client.api.containers(all=True))
    return frozenset(
        name.lstrip("/")
        for summary in found
        if not agent_of(summary)
        for name in summary.get("Names") or ()
    )


def check_earlier(plan: Plan, there: Sequence[ContainerStatus], *, is_resuming: bool) -> None:
    """Raises UsageError where an earlier run has the name, for its containers are found by it."""
    if there and not is_resuming:
        running = sum(one.is_running for one in there)
        whose = f"a run that goes on, {running} of them running" if running else "an earlier run"
        raise UsageError(
            f"--name {plan.run}",
            f"{len(there)} containers of {whose} have it",
            f"ravi-launch --resume {plan.run}, or ravi-launch rm {plan.run}",
        )
    for one in there:
        if one.count != len(plan.tasks):
            raise UsageError(
                f"--resume {plan.run} --count {len(plan.tasks)}",
                f"the run has {one.count} agents",
                f"--count {one.count}",
            )
