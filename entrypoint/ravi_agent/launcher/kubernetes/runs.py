"""Existing runs in a namespace: find, follow, wait for, stop and remove them."""

import queue
import sys
from collections.abc import Sequence
from typing import Any

from ravi_agent.errors import EngineError, UsageError
from ravi_agent.launcher.kubernetes import jobs
from ravi_agent.launcher.kubernetes.api import KubernetesApi
from ravi_agent.launcher.kubernetes.following import follow_logs
from ravi_agent.launcher.kubernetes.keys import keys_inside
from ravi_agent.launcher.kubernetes.names import Object, job_name
from ravi_agent.launcher.kubernetes.statuses import list_agents, list_statuses
from ravi_agent.launcher.kubernetes.watch import Watch
from ravi_agent.launcher.model.container_status import ContainerStatus, refuse_running, select
from ravi_agent.launcher.model.inventory import Removed
from ravi_agent.launcher.model.request import LogOptions
from ravi_agent.launcher.show.for_terminal import say


def find(api: KubernetesApi, run: str, tasks: Sequence[str]) -> list[ContainerStatus]:
    """The agents of a run, or of some of its tasks; UsageError where one is not there."""
    jobs.find(api, run)
    found = list_statuses(api, run)
    return select(
        found,
        tasks,
        why=f"run {run} has no such task",
        fix=f"ravi-launch ps {run} --backend kubernetes",
    )


def print_logs(api: KubernetesApi, found: Sequence[ContainerStatus], options: LogOptions) -> None:
    """Print each line after its task's name; following, until the run is over.

    Raises UsageError for more agents to follow than one launcher may hold connections for.
    """
    if options.is_following:
        follow_logs(api, found, options)
        return
    limits = {"tail_lines": options.tail, "since_seconds": options.since_s}
    asked: dict[str, Any] = {name: value for name, value in limits.items() if value is not None}
    for one in found:
        if not one.id:
            continue
        try:
            stream = api.open_log(one.id, **asked)
        except EngineError as exc:
            say(f"{one.task}: {exc.why}", sys.stderr)
            continue
        for line in stream.lines():
            say(f"{one.task} | {line.decode(errors='replace')}")


def wait(api: KubernetesApi, run: str, tasks: Sequence[str]) -> int:
    """Wait until the Job, or some of its tasks, have ended: 0 if all ended well, else 1."""
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
                raise UsageError(
                    f"run {run!r}",
                    "its Job has been deleted",
                    "ravi-launch ps --backend kubernetes",
                )
            ended = jobs.ending(job)
            if ended and not tasks:
                return int(not ended.is_success)
            if not ended and jobs.is_stopped(job):
                raise UsageError(
                    f"run {run!r}",
                    "it has been stopped, and nothing of it will end",
                    f"ravi-launch --backend kubernetes --resume {run}",
                )
            asked = [one for one in list_statuses(api, run) if one.task in tasks]
            if asked and all(one.has_ended for one in asked):
                return int(any(one.exit_code != 0 for one in asked))
    finally:
        watch.close()


def stop(api: KubernetesApi, run: str, found: Sequence[ContainerStatus], *, grace_s: int) -> None:
    """Send SIGTERM to all, and SIGKILL to what still runs `grace_s` seconds later.

    A whole run is suspended, so that `--resume` can go on with it; of single tasks the pods are
    deleted.
    """
    is_whole = len(found) == found[0].count
    if is_whole:
        jobs.suspend(api, run)
    for one in found:
        if one.is_running:
            api.delete("pods", one.id, gracePeriodSeconds=grace_s)


def remove(api: KubernetesApi, run: str, tasks: Sequence[str], *, is_forced: bool) -> Removed:
    """Remove the Job with all that belongs to it.

    Raises UsageError while an agent runs, and for single tasks.
    """
    if tasks:
        raise UsageError(
            f"rm {run} {tasks[0]}",
            "a Job is removed as a whole",
            f"ravi-launch rm {run} --backend kubernetes",
        )
    job = jobs.find(api, run)
    agents = list_agents(api, run)
    if not is_forced:
        refuse_running(run, [one for one, _ in agents], backend="kubernetes")
    jobs.remove(api, run)
    return Removed(words=f"the Job of {len(agents)} agents", keys=keys_inside(job, agents))
