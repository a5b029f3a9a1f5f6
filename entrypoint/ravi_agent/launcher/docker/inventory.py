"""What runs have left behind on a Docker engine."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from functools import partial

from ravi_agent.launcher.docker.driver import driver_of
from ravi_agent.launcher.docker.engine import DockerEngine
from ravi_agent.launcher.docker.records import forget, records, runs_with_notes
from ravi_agent.launcher.docker.statuses import plan_of
from ravi_agent.launcher.model.inventory import Inventory, Leftover, ReapOptions
from ravi_agent.launcher.planning.plan import Plan


def take_inventory(engine: DockerEngine, options: ReapOptions) -> Inventory:
    """Containers that have ended, and records and networks of runs without containers.

    Nothing of a run that a launcher drives is left behind.
    """
    containers = engine.containers()
    kept = {run: (plan_of(run, text), made_at) for run, (text, made_at) in records(engine).items()}
    driven = {run for run in runs_with_notes(engine) if driver_of(engine, run)}
    ended = [
        one
        for one in containers
        if not one.is_running
        and one.run not in driven
        and one.created_at < options.before
        and one.identity_name.startswith(options.prefix)
    ]
    gone = {one.id for one in ended}
    leftovers = [
        Leftover(
            line=f"container {one.short_id} of run {one.run}: {one.status}",
            remove=partial(engine.remove, one.id),
        )
        for one in ended
    ]
    leftovers += [
        Leftover(line=f"container {one[:12]} of a check", remove=partial(engine.remove, one))
        for one in engine.probes(options.before)
    ]
    staying = [one for one in containers if one.id not in gone]
    busy = driven | {one.run for one in staying}
    leftovers += _records(engine, options, kept, busy)
    names = {run: _names(plan) for run, (plan, _) in kept.items()}
    in_use = {one.identity_name for one in staying}
    return Inventory(
        noun="containers and records",
        leftovers=leftovers,
        names_in_use=frozenset(in_use.union(*(names.get(run, ()) for run in driven))),
        names_made=frozenset({one.identity_name for one in containers}.union(*names.values())),
    )


def _names(plan: Plan | None) -> AbstractSet[str]:
    return {task.identity_name for task in plan.tasks} if plan else set()


def _records(
    engine: DockerEngine,
    options: ReapOptions,
    kept: Mapping[str, tuple[Plan | None, float]],
    busy: AbstractSet[str],
) -> list[Leftover]:
    """What is known of runs that have no container any more."""
    found = []
    for run, noted_at in runs_with_notes(engine).items():
        plan, made_at = kept.get(run, (None, noted_at))
        if run in busy or made_at >= options.before:
            continue
        if run in kept and plan is None:
            continue  # another version of the launcher wrote it, and knows what it means
        if plan is None or all(one.startswith(options.prefix) for one in _names(plan)):
            found.append(Leftover(line=f"record of run {run}", remove=partial(forget, engine, run)))
    return found
