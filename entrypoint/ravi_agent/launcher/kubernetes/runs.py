"""Runs that are there already: `ps`, `logs`, `wait`, `stop`, `rm` and `reap`, on a cluster."""

import json
import queue
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import TYPE_CHECKING

from ravi_agent.errors import EngineError, UsageError
from ravi_agent.launcher.kubernetes import jobs
from ravi_agent.launcher.kubernetes.api import KubernetesApi, Object
from ravi_agent.launcher.kubernetes.existing import list_existing
from ravi_agent.launcher.kubernetes.logs import FOLLOWED_LIMIT
from ravi_agent.launcher.kubernetes.names import job_name
from ravi_agent.launcher.kubernetes.watch import Watch
from ravi_agent.launcher.model.agents import State
from ravi_agent.launcher.model.container_status import ContainerStatus, refuse_running, select
from ravi_agent.launcher.show.progress import print_table

if TYPE_CHECKING:
    from ravi_agent.launcher.kubernetes.stock import JobStock

OVER = {State.EXITED, State.FAILED, State.STOPPED}


def find_all(api: KubernetesApi) -> list[ContainerStatus]:
    """The agents of all runs of the namespace."""
    return list_existing(api)


def find(api: KubernetesApi, run: str, tasks: Sequence[str]) -> list[ContainerStatus]:
    """The agents of a run, or of some of its tasks; UsageError where one is not there."""
    jobs.find(api, run)
    found = list_existing(api, run)
    return select(
        found,
        tasks,
        why=f"run {run} has no such task",
        fix=f"ravi-launch ps {run} --backend kubernetes",
    )


def show(found: Sequence[ContainerStatus], *, is_json: bool) -> None:
    """`ps`: one row an agent, on standard output."""
    if is_json:
        print(json.dumps([asdict(one) for one in found], indent=2))
        return
    print_table(
        ("run", "task", "identity", "pod", "status"),
        [(one.run, one.task, one.identity_name, one.id or "-", one.status) for one in found],
    )


def print_logs(
    api: KubernetesApi,
    found: Sequence[ContainerStatus],
    *,
    tail: int | None,
    since_s: int | None,
    is_following: bool,
) -> None:
    """`logs`: each line behind its task's name; following, until all have ended.

    Raises UsageError for more to follow than one launcher may hold connections for.
    """
    there = [one for one in found if one.id]
    if is_following and len(there) > FOLLOWED_LIMIT:
        raise UsageError(
            f"--follow of {len(there)} agents",
            f"each takes a connection, and {FOLLOWED_LIMIT} are allowed",
            f"ravi-launch logs {found[0].run} TASK… --follow",
        )
    options = {"tail_lines": tail, "since_seconds": since_s}
    asked = {name: value for name, value in options.items() if value is not None}
    lock = threading.Lock()

    def follow(one: ContainerStatus) -> None:
        try:
            stream = api.open_log(one.id, is_following=is_following, **asked)
        except EngineError as exc:
            print(f"{one.task}: {exc.why}", file=sys.stderr)
            return
        for line in stream.lines():
            with lock:
                print(f"{one.task} | {line.decode(errors='replace')}", flush=True)

    with ThreadPoolExecutor(max(1, len(there)) if is_following else 1) as pool:
        list(pool.map(follow, there))


def wait(api: KubernetesApi, run: str, tasks: Sequence[str]) -> int:
    """`wait`: until the Job, or some of its tasks, have ended; 0 if all ended well, else 1."""
    find(api, run, tasks)
    heard: queue.SimpleQueue[Object | EngineError | None] = queue.SimpleQueue()
    watch = Watch(
        api,
        "jobs",
        lambda job, is_gone: heard.put(None if is_gone else job),
        heard.put,
        field_selector=f"metadata.name={job_name(run)}",
    )
    try:
        while True:
            job = heard.get()
            if isinstance(job, EngineError):
                raise job
            if job is None:
                raise UsageError(f"run {run!r}", "its Job has been deleted", "ravi-launch ps")
            ended = jobs.ending(job)
            if ended and not tasks:
                return int(not ended.is_success)
            asked = [one for one in list_existing(api, run) if one.task in tasks]
            if asked and all(one.state in OVER for one in asked):
                return int(any(one.exit_code != 0 for one in asked))
    finally:
        watch.close()


def stop(api: KubernetesApi, run: str, found: Sequence[ContainerStatus], *, time_s: int) -> None:
    """`stop`: SIGTERM to all, and SIGKILL to what is there after `time_s` seconds.

    A whole run is suspended, so that `--resume` can go on with it; of some tasks the pods go.
    """
    is_whole = len(found) == found[0].count
    if is_whole:
        jobs.suspend(api, run)
    for one in found:
        if one.id and one.state not in OVER:
            api.delete("pods", one.id, gracePeriodSeconds=time_s)


def remove(api: KubernetesApi, run: str, tasks: Sequence[str], *, is_forced: bool) -> None:
    """`rm`: the Job and all of it; raises UsageError while an agent runs, or for some of a run."""
    if tasks:
        raise UsageError(
            f"rm {run} {tasks[0]}", "a Job goes as a whole", f"ravi-launch rm {run}, or stop"
        )
    found = find(api, run, [])
    if not is_forced:
        refuse_running(run, [one for one in found if one.id and one.state not in OVER])
    jobs.remove(api, run)
    print(f"removed the Job of {len(found)} agents", file=sys.stderr)


def stock(api: KubernetesApi) -> "JobStock":
    """What `reap` looks at."""
    from ravi_agent.launcher.kubernetes.stock import JobStock  # it loads httpx

    return JobStock(api)
