"""Runs that are there already: `ps`, `logs`, `wait`, `stop` and `rm`. The engine knows them all."""

import json
import queue
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import TYPE_CHECKING

from ravi_agent.errors import UsageError
from ravi_agent.launcher.docker.engine import DockerEngine
from ravi_agent.launcher.docker.events import Watch
from ravi_agent.launcher.docker.records import forget, load_record
from ravi_agent.launcher.model.agents import Died, EngineBack, Event
from ravi_agent.launcher.model.container_status import ContainerStatus, refuse_running, select
from ravi_agent.launcher.show.progress import print_table

if TYPE_CHECKING:
    from ravi_agent.launcher.reap import DockerStock

_AT_ONCE = 16


def find_all(engine: DockerEngine) -> list[ContainerStatus]:
    """The containers of all runs."""
    return engine.containers()


def stock(engine: DockerEngine) -> "DockerStock":
    """What `reap` looks at."""
    from ravi_agent.launcher.reap import DockerStock  # only who reaps waits for httpx

    return DockerStock(engine)


def find(engine: DockerEngine, run: str, tasks: Sequence[str]) -> list[ContainerStatus]:
    """The containers of a run, or of some of its tasks; UsageError where one is not there."""
    found = engine.containers(run)
    if not found:
        raise UsageError(f"run {run!r}", "the engine has no container of it", "ravi-launch ps")
    return select(found, tasks, why=f"run {run} has no such container", fix=f"ravi-launch ps {run}")


def show(found: Sequence[ContainerStatus], *, is_json: bool) -> None:
    """`ps`: one row a container, on standard output."""
    if is_json:
        print(json.dumps([asdict(one) for one in found], indent=2))
        return
    print_table(
        ("run", "task", "identity", "container", "status"),
        [(one.run, one.task, one.identity_name, one.id[:12], one.status) for one in found],
    )


def print_logs(
    engine: DockerEngine,
    found: Sequence[ContainerStatus],
    *,
    tail: int | None,
    since_s: int | None,
    is_following: bool,
) -> None:
    """`logs`: each line behind its task's name; following, until all containers have ended."""
    since = None if since_s is None else int(time.time()) - since_s
    lock = threading.Lock()

    def follow(one: ContainerStatus) -> None:
        rest = b""
        for chunk in engine.logs(one.id, tail=tail, since=since, follow=is_following):
            *lines, rest = (rest + chunk).split(b"\n")
            with lock:
                for line in lines:
                    print(f"{one.task} | {line.decode(errors='replace')}", flush=True)
        if rest:
            with lock:
                print(f"{one.task} | {rest.decode(errors='replace')}", flush=True)

    # To follow a container takes a connection of its own; to read what is there takes turns.
    with ThreadPoolExecutor(len(found) if is_following else 1) as pool:
        list(pool.map(follow, found))


def wait(engine: DockerEngine, run: str, tasks: Sequence[str]) -> int:
    """`wait`: until all have ended; 0 if every one ended with 0, else 1."""
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
    """The containers that an event says have ended, and their codes."""
    if isinstance(event, Died):
        return {event.container: event.exit_code}
    if isinstance(event, EngineBack):
        return {one: code for one, code in event.exit_codes.items() if code is not None}
    return {}


def stop(engine: DockerEngine, run: str, found: Sequence[ContainerStatus], *, time_s: int) -> None:
    """`stop`: SIGTERM to all at once, and SIGKILL to what is there after `time_s` seconds."""
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    watch = Watch(engine, run, events.put)
    try:
        left = {one.id for one in found if one.exit_code is None}
        for signal in ("SIGTERM", "SIGKILL"):
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                list(pool.map(engine.kill, left, [signal] * len(left)))
            deadline = time.monotonic() + time_s
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


def remove(engine: DockerEngine, run: str, tasks: Sequence[str], *, is_forced: bool) -> None:
    """`rm`: the containers, and with the last one what else the engine has of the run.

    Raises UsageError, with nothing removed, while one still runs.
    """
    if engine.containers(run) or not load_record(engine, run):
        found = find(engine, run, tasks)
    else:
        found = []  # its launcher was killed before the first container, or they are gone
    if not is_forced:
        refuse_running(
            run, [one for one in found if one.exit_code is None and one.state != "created"]
        )
    remove_all(engine, [one.id for one in found])
    if not engine.containers(run):
        forget(engine, run)
    print(f"removed {len(found)} containers", file=sys.stderr)


def remove_all(engine: DockerEngine, containers: Sequence[str]) -> None:
    """Remove containers, running or not, several at once."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(engine.remove, containers))
