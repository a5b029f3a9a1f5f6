"""A run's objects are created, in an order in which a kill at any instant loses nothing.

The Job comes first, suspended, so that everything else is its own from its first instant: a
Secret without an owner would keep the account's key when the run has long been removed.
"""

import secrets
from collections.abc import Callable
from typing import TypeVar

from ravi_agent.credential import Credential
from ravi_agent.errors import EngineError, RaviError, UsageError
from ravi_agent.launcher.kubernetes import jobs, manifests, task_files
from ravi_agent.launcher.kubernetes.api import KubernetesApi
from ravi_agent.launcher.kubernetes.names import ISOLATED, SECRET_KEY, Object, job_name
from ravi_agent.launcher.kubernetes.patience import Patience, is_final
from ravi_agent.launcher.kubernetes.refusal import KubernetesError
from ravi_agent.launcher.model.request import JobOptions
from ravi_agent.launcher.planning.plan import Plan

_Done = TypeVar("_Done")
# Told in words of what a user should know while a run starts.
Say = Callable[[str], None]

_TAKEN = 409
_FORBIDDEN = 403
_UNREADABLE: Object = {}  # what this user may not read
# An annotation of the Job: a random text, by which a launcher knows the one it has created.
_LAUNCH = "id.ravi.launch"


def start(
    api: KubernetesApi,
    plan: Plan,
    options: JobOptions,
    credential: Credential | None,
    say: Say,
) -> Object:
    """Create the Job of a run with its Secret and its ConfigMap, and let it go.

    credential: None where `options` name a Secret that exists. say: told in words of a server that
    is waited for. Raises RaviError. What the cluster refuses leaves nothing behind; where it stays
    away, the Job stands suspended, and the error says how to go on.
    """
    if api.get("jobs", job_name(plan.run)):
        raise UsageError(
            f"--name {plan.run}",
            f"a Job {job_name(plan.run)} of an earlier run has it",
            f"ravi-launch --backend kubernetes --resume {plan.run},"
            f" or ravi-launch --backend kubernetes rm {plan.run}",
        )
    if options.secret:
        _check_secret(api, options.secret)
    body = manifests.job(plan, options)
    body["spec"]["suspend"] = True
    mark = secrets.token_hex(8)
    body["metadata"].setdefault("annotations", {})[_LAUNCH] = mark
    steps = _Steps(api, plan.run, say)
    try:
        job = steps.create_job(body)
        if config := task_files.tasks_config(plan):
            steps.create_owned(job, "configmaps", config)
        if plan.container.is_isolated:
            steps.isolate(job)
        if credential:
            steps.create_owned(job, "secrets", manifests.secret(plan, credential.token))
        return steps.let_go()
    except EngineError as exc:
        if not is_final(exc):
            raise steps.standing(exc) from exc
        _undo(api, plan.run, mark, say)
        raise
    except BaseException:  # an interrupt too: nothing has started yet
        _undo(api, plan.run, mark, say)
        raise


def take_over(
    api: KubernetesApi, plan: Plan, find_key: Callable[[], Credential], say: Say
) -> Object:
    """The Job of a run whose launcher has ended, going on where it was stopped.

    find_key: the account's key, for a run whose launcher was killed before the Secret was there.
    Raises UsageError where there is no Job, or where it was killed before the tasks were there.
    """
    job = jobs.find(api, plan.run)
    if not job["spec"].get("suspend"):
        return job
    steps = _Steps(api, plan.run, say, is_job_there=True)
    try:
        _complete(steps, job, plan, find_key)
        return steps.let_go()
    except EngineError as exc:
        if is_final(exc):
            raise
        raise steps.standing(exc) from exc


class _Steps:
    """The calls that make a run's objects, each repeated until the server has done it.

    Whether a call whose answer was lost has been carried out is seen when it is repeated: names
    are unique, so that nothing is made twice.
    """

    def __init__(
        self, api: KubernetesApi, run: str, say: Say, *, is_job_there: bool = False
    ) -> None:
        self.api = api
        self._run = run
        self._say = say
        self._patience = Patience(has_answered=True)
        self._is_job_there = is_job_there
        self._may_be_let_go = False

    def until_done(self, call: Callable[[], _Done]) -> _Done:
        """What the call returns. Raises EngineError where the server refuses it, or stays away."""
        return self._patience.until_done(call, self._warn)

    def create_job(self, body: Object) -> Object:
        job = self.until_done(lambda: _create_job(self.api, body))
        self._is_job_there = True
        return job

    def create_owned(self, job: Object, resource: str, body: Object) -> None:
        self.until_done(lambda: create_owned(self.api, job, resource, body))

    def isolate(self, job: Object) -> None:
        policy = manifests.network_policy(self._run, job["metadata"]["labels"])
        self.create_owned(job, "networkpolicies", policy)

    def let_go(self) -> Object:
        self._may_be_let_go = True
        return self.until_done(lambda: jobs.suspend(self.api, self._run, is_suspended=False))

    def standing(self, exc: EngineError) -> EngineError:
        """The error for a run that can still go on, once the server is back."""
        is_sure = self._is_job_there and not self._may_be_let_go
        stands = "stands suspended" if is_sure else "may stand suspended"
        exc.fix = f"ravi-launch --backend kubernetes --resume {self._run}"
        return exc.restated(f"run {self._run} {stands}: {exc.what}")

    def _warn(self, exc: EngineError) -> None:
        self._say(f"ravi-launch: warning: {exc}; waiting for it: run {self._run} does not run yet")


def _create_job(api: KubernetesApi, body: Object) -> Object:
    try:
        return api.create("jobs", body)
    except KubernetesError as exc:
        if exc.status != _TAKEN:
            raise
        found = api.get("jobs", body["metadata"]["name"])
        if found is None or not _is_marked(found, body["metadata"]["annotations"][_LAUNCH]):
            raise  # of another launcher, which was faster
        return found  # the answer to an earlier attempt was lost


def _is_marked(job: Object, mark: str) -> bool:
    return (job["metadata"].get("annotations") or {}).get(_LAUNCH) == mark


def _undo(api: KubernetesApi, run: str, mark: str, say: Say) -> None:
    """Delete the Job, if this launcher has created it, with all that it owns."""
    try:
        job = api.get("jobs", job_name(run))
        if job and _is_marked(job, mark):
            jobs.remove(api, run)
    except RaviError as exc:
        say(f"ravi-launch: warning: the Job of run {run} may stand suspended: {exc}")
        say(f"  fix: ravi-launch --backend kubernetes rm {run}")


def _check_secret(api: KubernetesApi, name: str) -> None:
    """Raises UsageError for a Secret whose lack every pod would wait for, event after event."""
    fix = f"kubectl create secret generic {name} --from-file={SECRET_KEY}=PATH"
    found = _get_if_allowed(api, "secrets", name)
    if found is _UNREADABLE:
        return
    if found is None:
        raise UsageError(f"--secret {name}", f"namespace {api.namespace!r} has no such Secret", fix)
    if SECRET_KEY not in (found.get("data") or {}):
        raise UsageError(f"--secret {name}", f"the Secret has no entry {SECRET_KEY!r}", fix)


def create_owned(api: KubernetesApi, job: Object, resource: str, body: Object) -> None:
    """Create what belongs to a run, owned by its Job: Kubernetes removes it with the Job."""
    name, uid = body["metadata"]["name"], job["metadata"]["uid"]
    body["metadata"]["ownerReferences"] = [
        {"apiVersion": "batch/v1", "kind": "Job", "name": job["metadata"]["name"], "uid": uid}
    ]
    try:
        api.create(resource, body)
    except KubernetesError as exc:
        if exc.status != _TAKEN:
            raise
        if _is_owned(api, resource, name, uid):  # the answer to an earlier attempt was lost
            return
        # Of a Job that was deleted a moment ago.
        api.delete(resource, name)
        api.create(resource, body)


def _is_owned(api: KubernetesApi, resource: str, name: str, uid: str) -> bool:
    """False as well where this user may not know."""
    found = _get_if_allowed(api, resource, name) or _UNREADABLE
    owners = found.get("metadata", {}).get("ownerReferences") or []
    return any(one["uid"] == uid for one in owners)


def _complete(steps: _Steps, job: Object, plan: Plan, find_key: Callable[[], Credential]) -> None:
    """Make what the Job's pods need and what its launcher was killed before."""
    name, api = job["metadata"]["name"], steps.api
    volumes = job["spec"]["template"]["spec"]["volumes"]
    has_tasks = any("configMap" in volume for volume in volumes)
    if has_tasks and not steps.until_done(lambda: api.get("configmaps", name)):
        raise UsageError(
            f"--resume {plan.run}",
            "its launcher was killed before its tasks were in the cluster; nothing has started",
            f"ravi-launch rm {plan.run} --backend kubernetes, and start it anew",
        )
    if (job["metadata"].get("annotations") or {}).get(ISOLATED):
        steps.isolate(job)
    # A Secret of another name is the user's own.
    of_volumes = {volume["secret"]["secretName"] for volume in volumes if "secret" in volume}
    if name in of_volumes and not steps.until_done(lambda: _has_secret(api, job)):
        steps.create_owned(job, "secrets", manifests.secret(plan, find_key().token))


def _has_secret(api: KubernetesApi, job: Object) -> bool:
    """Where this user may not know, a run that has been started has one."""
    found = _get_if_allowed(api, "secrets", job["metadata"]["name"])
    return jobs.is_suspended_by_hand(job) if found is _UNREADABLE else found is not None


def _get_if_allowed(api: KubernetesApi, resource: str, name: str) -> Object | None:
    """None where there is none; not everybody who runs Jobs may read Secrets."""
    try:
        return api.get(resource, name)
    except KubernetesError as exc:
        if exc.status != _FORBIDDEN:
            raise
        return _UNREADABLE
