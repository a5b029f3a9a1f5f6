"""The agents of runs: those with a container, and by the runs' records those without one."""

from collections.abc import Mapping, Sequence

from ravi_agent.errors import UsageError
from ravi_agent.launcher.docker.engine import DockerEngine
from ravi_agent.launcher.docker.notes import Note, read_notes, stops_of
from ravi_agent.launcher.docker.progress import ended_with, has_begun, progress_of
from ravi_agent.launcher.docker.records import record_of, records
from ravi_agent.launcher.model.agents import State
from ravi_agent.launcher.model.container_status import ContainerStatus
from ravi_agent.launcher.planning.plan import Plan, make_plan
from ravi_agent.launcher.planning.spec import RunSpec

QUEUED = "queued"  # no container of the task has been started


def list_statuses(engine: DockerEngine, run: str | None = None) -> list[ContainerStatus]:
    """Every task of a run, or of all runs, in order; what has no record by its containers alone."""
    there = engine.containers(run)
    if run is None:
        kept = records(engine)
    else:
        record = record_of(engine, run)
        kept = {run: record} if record else {}
    found = list(there)
    for name, (text, made_at) in kept.items():
        known = {one.index: one for one in there if one.run == name}
        plan = plan_of(name, text)
        if plan and len(known) < len(plan.tasks):
            found += _without_container(plan, known, made_at, read_notes(engine, name))
    return sorted(found, key=lambda one: (one.run, one.index))


def still_runs(engine: DockerEngine, one: ContainerStatus) -> bool:
    """Whether a listed agent runs, which the list says until the engine has put its container away.

    An engine with much to do tells of an end seconds before that. An inspection waits for it.
    """
    return one.is_running and engine.exit_code_if_there(one.id) is None


def plan_of(run: str, record: str) -> Plan | None:
    """The plan that a record is of; None where another version of the launcher has written it."""
    try:
        return make_plan(run, RunSpec.from_record(record), is_fresh=False)
    except UsageError:
        return None


def _without_container(
    plan: Plan, known: Mapping[int, ContainerStatus], made_at: float, notes: Sequence[Note]
) -> Sequence[ContainerStatus]:
    progress, stops = progress_of(notes), stops_of(notes)
    found = []
    for task in plan.tasks:
        if task.index in known:
            continue
        state, status, code = _fate(progress.get(task.index), is_stopped=task.id in stops)
        found.append(
            ContainerStatus(
                id="",
                run=plan.run,
                task=task.id,
                index=task.index,
                count=len(plan.tasks),
                identity_name=task.identity_name,
                created_at=made_at,
                state=state,
                status=status,
                exit_code=code,
            )
        )
    return found


def _fate(progress: str | None, *, is_stopped: bool) -> tuple[str, str, int | None]:
    """State, status and exit code of a task without a container."""
    code = ended_with(progress)
    if code is not None:
        return State.EXITED, f"Exited ({code}), container removed", code
    if has_begun(progress):
        return State.FAILED, "container removed, its end is not known", None
    if is_stopped:
        return State.STOPPED, "stopped before its start", None
    return QUEUED, QUEUED, None
