"""Wait until the tasks of a run have ended, by what the engine has of the whole run."""

import queue
import sys
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from ravi_agent.launcher.docker.driver import living_driver
from ravi_agent.launcher.docker.engine import DockerEngine
from ravi_agent.launcher.docker.events import Watch
from ravi_agent.launcher.docker.notes import read_notes
from ravi_agent.launcher.docker.runs import find
from ravi_agent.launcher.docker.statuses import QUEUED, list_statuses, still_runs
from ravi_agent.launcher.model.events import Died, Event

_LOOK_AGAIN_S = 2.0
_NO_CODE = 1  # of a task that was stopped before its start, or whose end nobody knows


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """ended: the codes of tasks that have ended for good, by index; absent: not started yet."""

    ended: Mapping[int, int]
    absent: AbstractSet[int]
    is_driven: bool


def wait(engine: DockerEngine, run: str, tasks: Sequence[str]) -> int:
    """Wait until all have ended, those not started yet too: 0 if all ended with 0, else 1.

    An end is final once no launcher drives the run: until then it may start the agent again.
    Raises UsageError for a run or task that is not there.
    """
    wanted = {one.index for one in find(engine, run, tasks)}
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    watch = Watch(engine, run, events.put)
    heard: dict[int, int] = {}
    has_warned = False
    try:
        while True:
            seen = _look(engine, run, wanted, heard)
            if wanted <= seen.ended.keys():
                return int(any(seen.ended[index] for index in wanted))
            if seen.absent and not has_warned:
                has_warned = True
                print(_not_started(run, seen, len(wanted)), file=sys.stderr, flush=True)
            _hear_ends(events, heard)
    finally:
        watch.close()


def _look(
    engine: DockerEngine, run: str, wanted: AbstractSet[int], heard: Mapping[int, int]
) -> _Seen:
    # In this order: what a launcher does before it leaves is in the list that is made after that.
    notes = read_notes(engine, run)
    is_driven = living_driver(notes) is not None
    there = {one.index: one for one in list_statuses(engine, run) if one.index in wanted}
    ended: dict[int, int] = {}
    for index in wanted if not is_driven else ():
        one = there.get(index)
        if one is None or (
            one.exit_code is None and one.has_ended
        ):  # removed with its run: what has been heard of it is all there is
            ended[index] = heard.get(index, _NO_CODE)
        elif one.exit_code is not None:
            # The list cannot tell success from an end that the engine has not seen.
            unseen = engine.exit_code_if_there(one.id) if one.id and not one.exit_code else 0
            ended[index] = one.exit_code or unseen or 0
        elif one.is_running and index in heard and not still_runs(engine, one):
            ended[index] = heard[index]
    absent = {index for index, one in there.items() if one.state == QUEUED} - ended.keys()
    return _Seen(ended=ended, absent=absent, is_driven=is_driven)


def _not_started(run: str, seen: _Seen, count: int) -> str:
    says = f"ravi-launch: {len(seen.absent)} of {count} tasks have not been started"
    return says if seen.is_driven else f"{says}; ravi-launch --resume {run} starts them"


def _hear_ends(events: "queue.SimpleQueue[Event]", heard: dict[int, int]) -> None:
    """Note what ends until it is time to look again: what happens in between is looked at once."""
    timeout_s = _LOOK_AGAIN_S
    try:
        while True:
            event = events.get(timeout=timeout_s)
            # Kept here too: with --rm the container may be gone when the engine is asked.
            if isinstance(event, Died):
                heard[event.index] = event.exit_code
            timeout_s = 0.1
    except queue.Empty:
        return
