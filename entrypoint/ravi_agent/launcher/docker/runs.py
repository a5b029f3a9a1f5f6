"""Existing runs on a Docker engine: find, follow, wait for, stop and remove them."""

import queue
import sys
import threading
import time
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor

from ravi_agent.errors import UsageError
from ravi_agent.launcher.docker.engine import DockerEngine
from ravi_agent.launcher.docker.events import Watch
from ravi_agent.launcher.docker.records import forget, load_record
from ravi_agent.launcher.model.agents import Died, EngineBack, Event
from ravi_agent.launcher.model.container_status import ContainerStatus, refuse_running, select
from ravi_agent.launcher.model.lines import Lines, last_state
from ravi_agent.launcher.model.request import LogOptions
from ravi_agent.launcher.planning.plan import make_plan
from ravi_agent.launcher.planning.spec import RunSpec
from ravi_agent.launcher.show.for_terminal import say

_AT_ONCE = 16
_LOOK_AGAIN_S = 2.0


def find(engine: DockerEngine, run: str, tasks: Sequence[str]) -> list[ContainerStatus]:
    """The containers of a run, or of some of its tasks. Raises UsageError for one not there."""
    found = engine.containers(run)
    if not found:
        raise UsageError(f"run {run!r}", "the engine has no container of it", "ravi-launch ps")
    return select(found, tasks, why=f"run {run} has no such container", fix=f"ravi-launch ps {run}")


def print_logs(engine: DockerEngine, found: Sequence[ContainerStatus], options: LogOptions) -> None:
    """Print each line after its task's name; following, until all containers have ended."""
    since = None if options.since_s is None else int(time.time()) - options.since_s
    lock = threading.Lock()

    def follow(one: ContainerStatus) -> None:
        lines = Lines()
        chunks = engine.logs(one.id, tail=options.tail, since=since, follow=options.is_following)
        for chunk in chunks:
            _print_lines(one.task, lines.feed(chunk), lock)
        _print_lines(one.task, lines.end(), lock)

    # Following takes a connection per container; what is already there is read in turn.
    with ThreadPoolExecutor(len(found) if options.is_following else 1) as pool:
        list(pool.map(follow, found))


def _print_lines(task: str, data: bytes, lock: threading.Lock) -> None:
    if data:
        lines = data.removesuffix(b"\n").split(b"\n")
        with lock:
            for line in lines:
                say(f"{task} | {last_state(line.decode(errors='replace'))}")


def wait(engine: DockerEngine, run: str, tasks: Sequence[str]) -> int:
    """Wait until all have ended, those not started yet too: 0 if all ended with 0, else 1.

    Raises UsageError for a run or task that is not there.
    """
    known = _indexes(engine, run)
    for task in tasks:
        if task not in known:
            raise UsageError(
                f"task {task!r}", f"run {run} has no such task", f"ravi-launch ps {run}"
            )
    wanted = {known[task] for task in tasks} if tasks else set(known.values())
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    watch = Watch(engine, run, events.put)
    codes: dict[int, int] = {}
    has_warned = False
    try:
        while True:
            there = [one for one in engine.containers(run) if one.index in wanted]
            for one in there:
                if one.exit_code is None:
                    codes.pop(one.index, None)  # it has been started again
                else:
                    # The list cannot tell success from an end that the engine has not seen.
                    codes[one.index] = one.exit_code or engine.exit_code(one.id) or 0
            if wanted <= codes.keys():
                return int(any(codes.values()))
            absent = wanted - codes.keys() - {one.index for one in there}
            if absent and not has_warned:
                has_warned = True
                print(_not_started(run, len(absent), len(wanted)), file=sys.stderr, flush=True)
            _hear_ends(events, codes, wanted)
    finally:
        watch.close()


def _indexes(engine: DockerEngine, run: str) -> dict[str, int]:
    """The index of every task of a run, by its record; of those with a container without one."""
    record = load_record(engine, run)
    if record is None:
        return {one.task: one.index for one in find(engine, run, [])}
    plan = make_plan(run, RunSpec.from_record(record), is_fresh=False)
    return {task.id: task.index for task in plan.tasks}


def _not_started(run: str, absent: int, count: int) -> str:
    return (
        f"ravi-launch: {absent} of {count} tasks have not been started; if their launcher has"
        f" ended, ravi-launch --resume {run} starts them"
    )


def _hear_ends(
    events: "queue.SimpleQueue[Event]", codes: dict[int, int], wanted: AbstractSet[int]
) -> None:
    """Note what ends until it is time to look again: starts are not among the events."""
    try:
        event = events.get(timeout=_LOOK_AGAIN_S)
    except queue.Empty:
        return
    # Kept here too: with --rm the container may be gone when the engine is asked.
    if isinstance(event, Died) and event.index in wanted:
        codes[event.index] = event.exit_code


def _ended(event: Event) -> dict[str, int]:
    """The containers that have ended according to an event, with their exit codes."""
    if isinstance(event, Died):
        return {event.container: event.exit_code}
    if isinstance(event, EngineBack):
        return {one: code for one, code in event.exit_codes.items() if code is not None}
    return {}


def stop(engine: DockerEngine, run: str, found: Sequence[ContainerStatus], *, grace_s: int) -> None:
    """Send SIGTERM to all at once, and SIGKILL to what still runs `grace_s` seconds later."""
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    watch = Watch(engine, run, events.put)
    try:
        left = {one.id for one in found if not one.has_ended}
        for signal in ("SIGTERM", "SIGKILL"):
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                list(pool.map(engine.kill, left, [signal] * len(left)))
            deadline = time.monotonic() + grace_s
            while left and time.monotonic() < deadline:
                try:
                    event = events.get(timeout=max(0.0, deadline - time.monotonic()))
                except queue.Empty:
                    break
                left -= _ended(event).keys()
            if not left:
                return
    finally:
        watch.close()


def remove(engine: DockerEngine, run: str, tasks: Sequence[str], *, is_forced: bool) -> str:
    """Remove containers, and with the last one all else that the engine has of the run.

    Returns what was removed, in words. Raises UsageError, with nothing removed, while one runs.
    """
    if engine.containers(run) or not load_record(engine, run):
        found = find(engine, run, tasks)
    else:
        found = []  # its launcher died before the first container, or they have been removed
    if not is_forced:
        refuse_running(run, found, backend="docker")
    remove_all(engine, [one.id for one in found])
    if not engine.containers(run):
        forget(engine, run)
    return f"{len(found)} containers"


def remove_all(engine: DockerEngine, containers: Sequence[str]) -> None:
    """Remove containers, running or not, several at once."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(engine.remove, containers))
