"""Existing runs on a Docker engine: find, follow, wait for, stop and remove them."""

import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from ravi_agent.errors import UsageError
from ravi_agent.launcher.docker.engine import DockerEngine
from ravi_agent.launcher.docker.events import Watch
from ravi_agent.launcher.docker.records import forget, load_record
from ravi_agent.launcher.model.agents import Died, EngineBack, Event
from ravi_agent.launcher.model.container_status import ContainerStatus, refuse_running, select
from ravi_agent.launcher.model.request import LogOptions

_AT_ONCE = 16


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
        rest = b""
        chunks = engine.logs(one.id, tail=options.tail, since=since, follow=options.is_following)
        for chunk in chunks:
            *lines, rest = (rest + chunk).split(b"\n")
            with lock:
                for line in lines:
                    print(f"{one.task} | {line.decode(errors='replace')}", flush=True)
        if rest:
            with lock:
                print(f"{one.task} | {rest.decode(errors='replace')}", flush=True)

    # Following takes a connection per container; what is already there is read in turn.
    with ThreadPoolExecutor(len(found) if options.is_following else 1) as pool:
        list(pool.map(follow, found))


def wait(engine: DockerEngine, run: str, tasks: Sequence[str]) -> int:
    """Wait until all have ended: 0 if every one ended with 0, else 1."""
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    watch = Watch(engine, run, events.put)
    try:
        codes = {one.id: one.exit_code for one in find(engine, run, tasks)}
        while None in codes.values():
            codes |= {one: code for one, code in _ended(events.get()).items() if one in codes}
    finally:
        watch.close()
    return int(any(codes.values()))


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
