"""A run on Kubernetes in the foreground: what its Job, its pods and its events say of it."""

import queue
import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from ravi_agent.errors import EngineError
from ravi_agent.launcher.kubernetes import jobs, pods
from ravi_agent.launcher.kubernetes.api import KubernetesApi
from ravi_agent.launcher.kubernetes.logs import FOLLOWED_LIMIT, Followers, explain
from ravi_agent.launcher.kubernetes.names import JOB_LABEL, Object, job_name
from ravi_agent.launcher.kubernetes.watch import Watch
from ravi_agent.launcher.model.agents import Agent, State
from ravi_agent.launcher.model.observer import Reporter
from ravi_agent.launcher.planning.plan import Plan

# The generated name in the API server's words: the same trouble would have fifty of them.
_POD_NAME = re.compile(r'pods "[^"]*" is')


@dataclass(frozen=True, kw_only=True)
class _Heard:
    resource: str
    object: Object
    is_gone: bool


@dataclass(frozen=True, kw_only=True)
class _Note:
    text: str


class KubernetesFleet:
    """One run whose Job exists. All state changes in the thread that calls `run`.

    patience_s: how long the cluster may refuse every pod before the run is given up. A refusal may
    pass: a new namespace has no service account for a moment.
    """

    def __init__(
        self,
        plan: Plan,
        api: KubernetesApi,
        reporter: Reporter,
        job: Object,
        *,
        patience_s: float = 30.0,
    ) -> None:
        self.plan = plan
        self.agents = [Agent(task=task) for task in plan.tasks]
        self._api = api
        self._reporter = reporter
        self._began = time.monotonic()
        self._queue: queue.SimpleQueue[_Heard | _Note | EngineError] = queue.SimpleQueue()
        self._job: Object | None = job
        self._uid = job["metadata"]["uid"]
        self._pods_of = f"{JOB_LABEL}={job_name(plan.run)}"
        self._patience_s = patience_s
        self._refusal: str | None = None  # why no pod can be created
        self._refused_since: float | None = None
        self._latest: dict[int, pods.PodView] = {}  # of each index
        self._over: dict[int, bool] = {}  # whether an index has succeeded, as the Job counts it
        self._stuck: dict[int, str] = {}
        self._warned: set[str] = set()
        self._trouble: str | None = None
        # Told of the Job as it is now, which a queue may have suspended; and whether it went on.
        self._is_told = self._has_gone_on = False
        self._followers: Followers | None = None

    def run(self, *, until_ready: bool = False) -> None:
        """Until the Job has ended, or nothing of it will go on; or until all agents run.

        Raises EngineError where the cluster cannot be watched any more; the run goes on there.
        """
        name = job_name(self.plan.run)
        if not until_ready and len(self.agents) <= FOLLOWED_LIMIT:
            self._followers = Followers(self._api, self._show, self._lose_output)
        of_job = f"involvedObject.kind=Job,involvedObject.name={name}"
        watches = [
            self._watch("jobs", self._job, field_selector=f"metadata.name={name}"),
            self._watch("pods", label_selector=self._pods_of),
            self._watch("events", field_selector=of_job),
            # Field selectors know no prefix, so these are the warnings of the whole namespace.
            self._watch("events", field_selector="involvedObject.kind=Pod,type=Warning"),
        ]
        is_over = False
        try:
            while not self._is_over() and not (until_ready and self._is_ready()):
                self._wait()
            if is_over := self._is_over():
                self._settle()
        finally:
            for watch in watches:
                watch.close()
            if self._followers:
                self._followers.close(is_over=is_over)
            while not self._queue.empty():
                if isinstance(heard := self._queue.get(), _Note):
                    self._handle(heard)
        if is_over:
            explain(self._api, self.agents, self._followers)

    def _wait(self) -> None:
        """Handle the next thing that is heard, unless it is time to give up before."""
        timeout_s = None
        if self._refused_since is not None:
            timeout_s = max(0.0, self._refused_since + self._patience_s - time.monotonic())
        try:
            self._handle(self._queue.get(timeout=timeout_s))
        except queue.Empty:
            found, _ = self._api.list("pods", label_selector=self._pods_of)
            self._trouble = None if found else self._refusal
            self._refused_since = None

    def give_up(self, state: State) -> None:
        """Say of all that have not ended that they are over, as `state`."""
        for agent in self.agents:
            if not agent.is_final:
                agent.error = agent.error or self._trouble
                self._change(agent, state)

    def _watch(self, resource: str, known: Object | None = None, **selectors: str) -> Watch:
        def heard(one: Object, is_gone: bool) -> None:
            self._queue.put(_Heard(resource=resource, object=one, is_gone=is_gone))

        def failed(exc: EngineError) -> None:
            if resource == "events":  # they explain; without the right to read them a run goes on
                self._warn(str(exc))
            else:
                self._queue.put(exc)

        def away(exc: EngineError) -> None:
            if resource == "jobs":  # once for all of them
                self._queue.put(_Note(text=f"{exc}; waiting for it: the run goes on"))

        return Watch(
            self._api, resource, heard, failed, away, has_answered=True, known=known, **selectors
        )

    def _lose_output(self, index: int, why: str) -> None:
        task = self.plan.tasks[index].id
        self._queue.put(_Note(text=f"{task}: some of its output is lost: {why}"))

    def _show(self, index: int, data: bytes, *, shown: Callable[[], None]) -> None:
        self._reporter.output(self.agents[index], data, is_error=False, shown=shown)

    def _is_over(self) -> bool:
        if self._job is None or not self._is_told or jobs.ending(self._job):
            return self._is_told
        is_suspended = bool(self._job["spec"].get("suspend"))
        if is_suspended and self._has_gone_on:
            return True
        self._has_gone_on |= not is_suspended
        # Nothing goes on where every pod there is has stuck; one that runs may yet end well.
        active = (self._job.get("status") or {}).get("active") or 0
        if self._stuck and len(self._stuck) >= active > 0:
            self._trouble = next(iter(self._stuck.values()))
        return self._trouble is not None

    def _is_ready(self) -> bool:
        return self._is_told and all(agent.is_settled for agent in self.agents)

    def _handle(self, heard: "_Heard | _Note | EngineError") -> None:
        match heard:
            case _Note(text=text):
                self._warn(text)
            case EngineError():
                raise heard
            case _Heard(resource="jobs", object=job, is_gone=is_gone):
                self._hear_job(None if is_gone else job)
            case _Heard(resource="pods", object=pod, is_gone=False):
                if seen := pods.view(pod, self._uid):
                    self._hear_pod(seen)
            case _Heard(object=event, is_gone=False):
                self._hear_event(event)

    def _hear_job(self, job: Object | None) -> None:
        self._job, self._is_told = job, True
        status = (job or {}).get("status") or {}
        for name, has_succeeded in (("failedIndexes", False), ("completedIndexes", True)):
            self._over |= dict.fromkeys(pods.ranges(status.get(name)), has_succeeded)
        for index in self._over:
            self._end_if_over(self.agents[index])

    def _hear_pod(self, seen: pods.PodView) -> None:
        agent = self.agents[seen.index]
        self._refused_since = None
        if self._followers and (seen.exit_code is not None or seen.state == State.RUNNING):
            # Of an earlier attempt too, which may have ended while the server was away.
            self._followers.follow(seen.index, seen.name)
        if agent.is_final or seen.order < self._latest.get(seen.index, seen).order:
            return
        self._latest[seen.index] = seen
        if agent.container and agent.container != seen.name:  # this index is tried again
            agent.exit_code = agent.error = None
            agent.is_timed_out = False
        agent.container = seen.name
        agent.identity = seen.identity or agent.identity
        self._stuck.pop(seen.index, None)
        if seen.trouble:
            self._warn(f"{agent.task.id}: {seen.trouble}")
            if seen.is_stuck:
                self._stuck[seen.index] = seen.trouble
        if seen.has_ended:
            # Whether that was its end is the Job's to say: there may be another attempt.
            agent.exit_code, agent.error = seen.exit_code, seen.error
            if seen.has_failed and seen.exit_code == 0:  # past its deadline, and exited with 0 then
                agent.is_timed_out = True
                agent.error = agent.error or "its pod has failed"
            if seen.is_account_refused:  # no other agent can do better
                agent.is_account_refused = True
                self._trouble = self._trouble or f"stopped: {seen.error}"
            self._end_if_over(agent)
            return
        if seen.state != agent.state:
            if seen.state == State.RUNNING:
                agent.ready_s = time.monotonic() - self._began
            self._change(agent, seen.state)

    def _end_if_over(self, agent: Agent, *, is_gone: bool = False) -> None:
        """An agent ends once its Job, and the pod that it counts unless that is gone, say so."""
        latest = self._latest.get(agent.task.index)
        has_succeeded = self._over.get(agent.task.index)
        if agent.is_final or has_succeeded is None:
            return
        retries = self.plan.flow.retries
        if is_gone or (latest and latest.is_counted(has_succeeded=has_succeeded, retries=retries)):
            if has_succeeded:
                agent.exit_code, agent.error, agent.is_timed_out = 0, None, False
            self._change(agent, State.FAILED if agent.exit_code is None else State.EXITED)

    def _hear_event(self, event: Object) -> None:
        """What the Job controller, or a kubelet, could not do.

        A quota, a policy, a service account or a Secret that does not exist.
        """
        about = event["involvedObject"]
        message = " ".join(str(event.get("message", "")).split())
        if about.get("kind") == "Pod":
            for agent in self.agents:
                if agent.container == about.get("name") and not agent.is_final:
                    reason = str(event.get("reason"))
                    self._warn(f"{agent.task.id}: {reason}: {message}", cause=reason)
            return
        if event.get("reason") != "FailedCreate" or about.get("uid") != self._uid:
            return  # an earlier Job of this name has left some, too
        self._warn(f"pods cannot be created: {_POD_NAME.sub('pods are', message)}")
        if any(agent.container for agent in self.agents) or "exceeded quota" in message:
            return  # those that run, of this run or of another, will make room
        self._refusal = message
        if self._refused_since is None:
            self._refused_since = time.monotonic()

    def _settle(self) -> None:
        """All has been said: the pods once more, which may lag behind their Job, and then ends."""
        if not all(agent.is_final for agent in self.agents):
            found, _ = self._api.list("pods", label_selector=self._pods_of)
            for pod in sorted(found, key=pods.order_of):
                if seen := pods.view(pod, self._uid):
                    self._hear_pod(seen)
            for index in self._over:
                self._end_if_over(self.agents[index], is_gone=True)
        if refused := [one for one in self.agents if one.is_account_refused]:
            if self.is_stuck:  # before anything else of it starts
                jobs.suspend(self._api, self.plan.run)
            for agent in refused:
                self._change(agent, State.FAILED)
            self.give_up(State.STOPPED)
        elif self._job is None:
            self._trouble = "the Job has been deleted"
        elif ended := jobs.ending(self._job):
            self._trouble = ended.words
            self.give_up(State.STOPPED)
        elif self._job["spec"].get("suspend") and not self._trouble:
            self._trouble = "the run has been stopped; --resume goes on with it"
            self.give_up(State.STOPPED)
        self.give_up(State.FAILED)

    @property
    def is_stuck(self) -> bool:
        """Whether the Job is there and would go on for ever without an agent that does."""
        return bool(self._trouble and self._job and not jobs.ending(self._job))

    @property
    def is_success(self) -> bool:
        """Whether the Job has ended well: all agents did, or as many as were asked for."""
        ended = self._job and jobs.ending(self._job)
        return bool(ended and ended.is_success)

    def _warn(self, message: str, *, cause: str | None = None) -> None:
        """Once for each cause: fifty pods with one image have one trouble."""
        if (cause := cause or message.partition(": ")[2] or message) not in self._warned:
            self._warned.add(cause)
            self._reporter.note(f"ravi-launch: warning: {message}")

    def _change(self, agent: Agent, state: State) -> None:
        agent.state = state
        self._reporter.changed(agent)
