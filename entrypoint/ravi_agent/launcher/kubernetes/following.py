"""Follow what the agents of a run write, those that start later too, until the run is over."""

import os
import queue
import sys
import threading
from collections.abc import Callable, Sequence

from ravi_agent.errors import EngineError, UsageError
from ravi_agent.launcher.kubernetes import jobs, pods
from ravi_agent.launcher.kubernetes.api import KubernetesApi
from ravi_agent.launcher.kubernetes.logs import FOLLOWED_LIMIT, Followers
from ravi_agent.launcher.kubernetes.names import JOB_LABEL, Object, job_name
from ravi_agent.launcher.kubernetes.statuses import list_statuses
from ravi_agent.launcher.kubernetes.watch import Watch
from ravi_agent.launcher.model.agents import State
from ravi_agent.launcher.model.container_status import ContainerStatus
from ravi_agent.launcher.model.exit_codes import EXIT_INTERRUPTED
from ravi_agent.launcher.model.request import LogOptions
from ravi_agent.launcher.show.for_terminal import say

_HAS_LOG = frozenset({State.RUNNING, State.EXITED})
_TRY_AGAIN_S = 1.0  # while all connections are taken


def follow_logs(api: KubernetesApi, found: Sequence[ContainerStatus], options: LogOptions) -> None:
    """Print each line after its task's name until none of the tasks is going to write any more.

    A pod that starts later is followed from its first line, and so is the next attempt of a task
    that failed. Ctrl-C ends the program at once, whoever reads its output. Raises UsageError for
    more running agents than one launcher may hold connections for, and EngineError.
    """
    try:
        _Following(api, found, options).run()
    except KeyboardInterrupt:
        os._exit(EXIT_INTERRUPTED)  # its threads wait for kubelets, and nobody for them


class _Following:
    """One call of `logs --follow`."""

    def __init__(
        self, api: KubernetesApi, found: Sequence[ContainerStatus], options: LogOptions
    ) -> None:
        self._api = api
        self._run = found[0].run
        self._tasks = {one.index: one.task for one in found}
        self._is_whole = len(found) == found[0].count
        self._there = {one.id for one in found if one.id}
        running = [one for one in found if one.is_running]
        if len(running) > FOLLOWED_LIMIT:
            raise UsageError(
                f"--follow of {len(running)} agents",
                f"each takes a connection, and {FOLLOWED_LIMIT} are allowed",
                f"ravi-launch logs {self._run} TASK… --follow --backend kubernetes",
            )
        limits = {"tail_lines": options.tail, "since_seconds": options.since_s}
        self._limits = {name: value for name, value in limits.items() if value is not None}
        self._pods_of = f"{JOB_LABEL}={job_name(self._run)}"
        self._uid = jobs.find(api, self._run)["metadata"]["uid"]
        self._heard: queue.SimpleQueue[tuple[str, Object | None] | EngineError] = (
            queue.SimpleQueue()
        )
        self._lock = threading.Lock()
        self._followers = Followers(api, self._show, self._lose)
        self._waiting: dict[str, int] = {}

    def run(self) -> None:
        watches = [
            self._watch("pods", label_selector=self._pods_of),
            self._watch("jobs", field_selector=f"metadata.name={job_name(self._run)}"),
        ]
        try:
            while not self._hear():
                self._follow_more()
        finally:
            for watch in watches:
                watch.close()
        # A Job may be told to have ended before its last pods are.
        for pod in self._api.list("pods", label_selector=self._pods_of)[0]:
            self._note(pod)
        self._follow_more()
        self._followers.join()
        while self._waiting:  # more than one launcher may follow at once
            self._follow_more()
            self._followers.join()

    def _watch(self, resource: str, **selectors: str) -> Watch:
        def hear(one: Object, is_gone: bool) -> None:
            self._heard.put((resource, None if is_gone else one))

        return Watch(
            self._api,
            resource,
            hear,
            self._heard.put,
            None,
            has_answered=True,
            known=None,
            **selectors,
        )

    def _hear(self) -> bool:
        """Wait for a change; whether nothing more will be written."""
        try:
            heard = self._heard.get(timeout=_TRY_AGAIN_S if self._waiting else None)
        except queue.Empty:
            return False
        if isinstance(heard, EngineError):
            raise heard
        resource, one = heard
        if resource == "pods":
            if one:
                self._note(one)
            return False
        if one is None or jobs.ending(one) or jobs.is_stopped(one):
            return True
        if self._is_whole:
            return False
        asked = [one for one in list_statuses(self._api, self._run) if one.index in self._tasks]
        return all(one.has_ended for one in asked)

    def _note(self, pod: Object) -> None:
        seen = pods.view(pod, self._uid)
        if seen and seen.index in self._tasks and seen.state in _HAS_LOG:
            self._waiting[seen.name] = seen.index

    def _follow_more(self) -> None:
        for pod, index in list(self._waiting.items()):
            limits = self._limits if pod in self._there else {}
            if self._followers.follow(index, pod, **limits):
                del self._waiting[pod]

    def _show(self, index: int, data: bytes, *, shown: Callable[[], None]) -> None:
        with self._lock:
            say(f"{self._tasks[index]} | {data.decode(errors='replace').removesuffix(chr(10))}")
        shown()

    def _lose(self, index: int, why: str) -> None:
        with self._lock:
            say(f"{self._tasks[index]}: {why}", sys.stderr)
