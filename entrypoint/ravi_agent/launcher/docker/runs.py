"""Existing runs on a Docker engine: find, follow, stop and remove them."""

import contextlib
import queue
import threading
import time
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import Future, ThreadPoolExecutor

from ravi_agent.errors import UsageError
from ravi_agent.launcher.docker.driver import driver_of
from ravi_agent.launcher.docker.engine import DockerEngine
from ravi_agent.launcher.docker.events import Watch
from ravi_agent.launcher.docker.following import follow_logs, print_log
from ravi_agent.launcher.docker.notes import ask_stop
from ravi_agent.launcher.docker.progress import STARTED, Progress
from ravi_agent.launcher.docker.records import forget
from ravi_agent.launcher.docker.statuses import list_statuses, still_runs
from ravi_agent.launcher.model.container_status import ContainerStatus, refuse_running, select
from ravi_agent.launcher.model.events import Died, EngineBack, Event
from ravi_agent.launcher.model.request import LogOptions

_AT_ONCE = 16
_STOPS_AT_ONCE = 8  # an engine that takes down more at the same time is slower at it
_SLOW_S = 0.25
_LOOK_AGAIN_S = 2.0
_KILL_S = 10  # an engine that has much to do takes its time for SIGKILL, too


def find(engine: DockerEngine, run: str, tasks: Sequence[str]) -> list[ContainerStatus]:
    """The agents of a run, or of some of its tasks. Raises UsageError for one not there."""
    found = list_statuses(engine, run)
    if not found:
        raise UsageError(f"run {run!r}", "the engine has no container of it", "ravi-launch ps")
    return select(found, tasks, why=f"run {run} has no such task", fix=f"ravi-launch ps {run}")


def print_logs(engine: DockerEngine, found: Sequence[ContainerStatus], options: LogOptions) -> None:
    """Print each line after its task's name; following, until the run is over."""
    if options.is_following:
        follow_logs(engine, found, options)
        return
    since = None if options.since_s is None else time.time() - options.since_s
    lock = threading.Lock()
    for one in found:
        if one.id:
            print_log(
                one.task,
                engine.logs(one.id, tail=options.tail, since=since, follow=False),
                lock,
            )


def stop(engine: DockerEngine, run: str, found: Sequence[ContainerStatus], *, grace_s: int) -> None:
    """Have no more of them started, and those that run stopped.

    SIGKILL goes to what still runs `grace_s` seconds after SIGTERM. A launcher that drives the run
    hears of it and obeys; what it was about to start is stopped as well.
    """
    is_whole = len(found) == found[0].count
    ask_stop(engine, run, None if is_whole else [one.task for one in found], grace_s=grace_s)
    wanted = {one.index for one in found}
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    watch = Watch(engine, run, events.put)
    try:
        for signal, wait_s in (("SIGTERM", grace_s), ("SIGKILL", max(grace_s, _KILL_S))):
            if _signalled(engine, run, wanted, signal, events, wait_s):
                break
        if is_whole:
            _wait_for_launcher(engine, run, events, grace_s)
    finally:
        watch.close()


def _signalled(
    engine: DockerEngine,
    run: str,
    wanted: AbstractSet[int],
    signal: str,
    events: "queue.SimpleQueue[Event]",
    wait_s: int,
) -> bool:
    """Send a signal to all that run, and to what is started meanwhile; whether all have ended."""
    deadline = time.monotonic() + wait_s
    signalled: set[str] = set()
    ended: set[str] = set()
    while True:
        there = [one for one in engine.containers(run) if one.index in wanted]
        left = {
            one.id
            for one in there
            if (still_runs(engine, one) if one.id in ended else one.is_running)
        }
        if not left:
            return True
        if fresh := left - signalled:
            ended |= _signal(engine, fresh, signal, events, is_paced=wait_s > 0)
            left -= ended
            signalled |= fresh
            deadline = time.monotonic() + wait_s
        until = min(deadline, time.monotonic() + _LOOK_AGAIN_S)
        while left and (timeout_s := until - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                ended |= _ended(events.get(timeout=timeout_s))
                left -= ended
        if left and time.monotonic() >= deadline:
            return False


def _signal(
    engine: DockerEngine,
    containers: AbstractSet[str],
    signal: str,
    events: "queue.SimpleQueue[Event]",
    *,
    is_paced: bool,
) -> AbstractSet[str]:
    """Send a signal to all; those that have ended meanwhile.

    is_paced: to a few at first, and to the next as these end. Twice as many may run on each time
    that none has ended for a moment, so that agents use their time to stop together.
    """
    waiting, ended = list(containers), set[str]()
    at_once = _STOPS_AT_ONCE if is_paced else len(waiting)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        calls: list[Future[None]] = []
        while waiting:
            while waiting and len(calls) - len(ended) < at_once:
                calls.append(pool.submit(engine.kill, waiting.pop(), signal))
            if waiting:
                try:
                    ended |= _ended(events.get(timeout=_SLOW_S)) & containers
                except queue.Empty:
                    at_once *= 2
        for call in calls:
            call.result()
    return ended


def _ended(event: Event) -> frozenset[str]:
    """The containers that have ended according to an event."""
    if isinstance(event, Died):
        return frozenset({event.container})
    if isinstance(event, EngineBack):
        return frozenset(one for one, code in event.exit_codes.items() if code is not None)
    return frozenset()


def _wait_for_launcher(
    engine: DockerEngine, run: str, events: "queue.SimpleQueue[Event]", grace_s: int
) -> None:
    """Until nobody drives the run any more: a start that was under way has been stopped then."""
    deadline = time.monotonic() + max(grace_s, _LOOK_AGAIN_S)
    while driver_of(engine, run) and (left_s := deadline - time.monotonic()) > 0:
        with contextlib.suppress(queue.Empty):
            events.get(timeout=min(left_s, _LOOK_AGAIN_S))


def remove(engine: DockerEngine, run: str, tasks: Sequence[str], *, is_forced: bool) -> str:
    """Remove containers, and with the last one all else that the engine has of the run.

    Returns what was removed, in words. Raises UsageError, with nothing removed, while one runs.
    """
    found = find(engine, run, tasks)
    if not is_forced:
        refuse_running(run, [one for one in found if still_runs(engine, one)], backend="docker")
        if driver := driver_of(engine, run):
            raise UsageError(
                f"run {run}",
                f"a launcher drives it: {driver}",
                f"ravi-launch stop {run}, or ravi-launch rm --force {run}",
            )
    elif driver_of(engine, run):
        stop(engine, run, found, grace_s=0)
    with_container = [one for one in found if one.id]
    if len(found) < found[0].count:
        _note_ends(engine, run, with_container)
    remove_all(engine, [one.id for one in with_container])
    if len(found) == found[0].count or not _has_more(engine, run):
        forget(engine, run)
    return f"{len(with_container)} containers"


def _note_ends(engine: DockerEngine, run: str, found: Sequence[ContainerStatus]) -> None:
    """Keep what is known of tasks whose containers are about to be removed."""
    progress = Progress(engine, run)
    for one in found:
        progress.mark(one.index, STARTED if one.exit_code is None else str(one.exit_code))
    progress.flush()


def _has_more(engine: DockerEngine, run: str) -> bool:
    """Whether a run has containers, or tasks that were never started."""
    return any(one.id or not one.has_ended for one in list_statuses(engine, run))


def remove_all(engine: DockerEngine, containers: Sequence[str]) -> None:
    """Remove containers, running or not, several at once."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(engine.remove, containers))
