"""What runs have left behind on a Docker engine."""

from collections.abc import Set as AbstractSet
from functools import partial

from ravi_agent.errors import UsageError
from ravi_agent.launcher.docker.engine import DockerEngine
from ravi_agent.launcher.docker.records import forget, records
from ravi_agent.launcher.model.inventory import Inventory, Leftover, ReapOptions
from ravi_agent.launcher.planning.spec import RunSpec


def take_inventory(engine: DockerEngine, options: ReapOptions) -> Inventory:
    """Containers that have ended, and records and networks of runs without containers."""
    containers = engine.containers()
    ended = [
        one
        for one in containers
        if not one.is_running
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
    leftovers += _records(engine, options, {one.run for one in staying})
    return Inventory(
        noun="containers and records",
        leftovers=leftovers,
        names_in_use=frozenset(one.identity_name for one in staying),
    )


def _records(engine: DockerEngine, options: ReapOptions, runs: AbstractSet[str]) -> list[Leftover]:
    """The records of runs that have no container any more."""
    found = []
    for run, (record, made_at) in records(engine).items():
        if run in runs or made_at >= options.before:
            continue
        try:
            prefix = RunSpec.from_record(record).name_prefix
        except UsageError:
            continue  # another version of the launcher wrote it, and knows what it means
        if f"{prefix}{run}".startswith(options.prefix):
            found.append(Leftover(line=f"record of run {run}", remove=partial(forget, engine, run)))
    return found
