"""A run's objects in the cluster, created in an order in which a kill at any instant loses nothing.

The Job comes first, suspended, so that everything else is its own from its first instant: a
Secret without an owner would keep the account's key when the run has long been removed.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from ravi_agent import contract
from ravi_agent.credential import Credential
from ravi_agent.errors import RaviError, UsageError
from ravi_agent.launcher.kubernetes import manifests, task_files
from ravi_agent.launcher.kubernetes.api import KubernetesApi
from ravi_agent.launcher.kubernetes.names import ISOLATED, SECRET_KEY, Object, job_name
from ravi_agent.launcher.kubernetes.refusal import KubernetesError
from ravi_agent.launcher.model.request import JobOptions
from ravi_agent.launcher.planning.plan import Plan

_TAKEN = 409
_FORBIDDEN = 403
_STOPPED = "id.ravi.stopped"  # an annotation: by `stop`, or by a launcher that was interrupted
# Within this time of its creation a Job counts as created suspended.
_CREATION = timedelta(seconds=5)


def start(
    api: KubernetesApi, plan: Plan, options: JobOptions, credential: Credential | None
) -> Object:
    """Create the Job of a run with its Secret and its ConfigMap, and let it go.

    credential: None where `options` name a Secret that exists. Where a step fails, the Job is
    deleted with all that it owns before the error is raised.
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
    job = manifests.job(plan, options)
    job["spec"]["suspend"] = True
    job = api.create("jobs", job)
    try:
        if config := task_files.tasks_config(plan):
            create_owned(api, job, "configmaps", config)
        if plan.container.is_isolated:
            _isolate(api, job, plan.run)
        if credential:
            create_owned(api, job, "secrets", manifests.secret(plan, credential.token))
        return suspend(api, plan.run, is_suspended=False)
    except BaseException:  # an interrupt too: nothing has started yet
        with contextlib.suppress(RaviError):
            remove(api, plan.run)
        raise


def _isolate(api: KubernetesApi, job: Object, run: str) -> None:
    policy = manifests.network_policy(run, job["metadata"]["labels"])
    create_owned(api, job, "networkpolicies", policy)


def _has_secret(api: KubernetesApi, name: str) -> bool:
    """True as well where this user may not know: not everybody who runs Jobs may read Secrets."""
    try:
        return api.get("secrets", name) is not None
    except KubernetesError as exc:
        if exc.status != _FORBIDDEN:
            raise
        return True


def _check_secret(api: KubernetesApi, name: str) -> None:
    """Raises UsageError for a Secret whose lack every pod would wait for, event after event."""
    fix = f"kubectl create secret generic {name} --from-file={SECRET_KEY}=PATH"
    try:
        found = api.get("secrets", name)
    except KubernetesError as exc:
        if exc.status != _FORBIDDEN:
            raise
        return
    if found is None:
        raise UsageError(f"--secret {name}", f"namespace {api.namespace!r} has no such Secret", fix)
    if SECRET_KEY not in (found.get("data") or {}):
        raise UsageError(f"--secret {name}", f"the Secret has no entry {SECRET_KEY!r}", fix)


def create_owned(api: KubernetesApi, job: Object, resource: str, body: Object) -> None:
    """Create what belongs to a run, owned by its Job: Kubernetes removes it with the Job."""
    body["metadata"]["ownerReferences"] = [
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "name": job["metadata"]["name"],
            "uid": job["metadata"]["uid"],
        }
    ]
    try:
        api.create(resource, body)
    except KubernetesError as exc:
        if exc.status != _TAKEN:
            raise
        # Of a Job that was deleted a moment ago.
        api.delete(resource, body["metadata"]["name"])
        api.create(resource, body)


def take_over(api: KubernetesApi, plan: Plan, find_key: Callable[[], Credential]) -> Object:
    """The Job of a run whose launcher has ended, going on where it was stopped.

    find_key: the account's key, for a run whose launcher was killed before the Secret was there.
    Raises UsageError where there is no Job, or where it was killed before the tasks were there.
    """
    job = find(api, plan.run)
    if not job["spec"].get("suspend"):
        return job
    _complete(api, job, plan, find_key)
    return suspend(api, plan.run, is_suspended=False)


def _complete(
    api: KubernetesApi, job: Object, plan: Plan, find_key: Callable[[], Credential]
) -> None:
    name = job["metadata"]["name"]
    volumes = job["spec"]["template"]["spec"]["volumes"]
    if any("configMap" in volume for volume in volumes) and not api.get("configmaps", name):
        raise UsageError(
            f"--resume {plan.run}",
            "its launcher was killed before its tasks were in the cluster; nothing has started",
            f"ravi-launch rm {plan.run} --backend kubernetes, and start it anew",
        )
    if (job["metadata"].get("annotations") or {}).get(ISOLATED):
        _isolate(api, job, plan.run)
    # A Secret of another name is the user's own.
    secrets = {volume["secret"]["secretName"] for volume in volumes if "secret" in volume}
    if name in secrets and not _has_secret(api, name):
        create_owned(api, job, "secrets", manifests.secret(plan, find_key().token))


def find(api: KubernetesApi, run: str) -> Object:
    """The Job of a run; raises UsageError where there is none."""
    job = api.get("jobs", job_name(run))
    if job is None or contract.LABEL_RUN not in (job["metadata"].get("labels") or {}):
        raise UsageError(
            f"run {run!r}",
            f"namespace {api.namespace!r} has no Job of it",
            "ravi-launch ps --backend kubernetes",
        )
    return job


def suspend(api: KubernetesApi, run: str, *, is_suspended: bool = True) -> Object:
    """End a run's agents, each with SIGTERM and its grace, or let what is left of it go on."""
    mark = {_STOPPED: "true" if is_suspended else None}
    body = {"metadata": {"annotations": mark}, "spec": {"suspend": is_suspended}}
    return api.patch("jobs", job_name(run), body)


def is_stopped(job: Object) -> bool:
    """Whether somebody has suspended a Job that ran, and its agents have ended."""
    return not (job.get("status") or {}).get("active") and is_suspended_by_hand(job)


def is_suspended_by_hand(job: Object) -> bool:
    """Whether somebody has suspended a Job that ran.

    A Job that a queue holds back is suspended from its creation on, and starts some day; one that
    kubectl suspended has no mark of the launcher's, but says when it was.
    """
    if not job["spec"].get("suspend"):
        return False
    if (job["metadata"].get("annotations") or {}).get(_STOPPED):
        return True
    created = str(job["metadata"]["creationTimestamp"])
    conditions = (job.get("status") or {}).get("conditions") or []
    since = [one.get("lastTransitionTime") or "" for one in conditions if _is_suspension(one)]
    return any(
        datetime.fromisoformat(moment) - datetime.fromisoformat(created) > _CREATION
        for moment in since
        if moment
    )


def _is_suspension(condition: Object) -> bool:
    return bool(condition["type"] == "Suspended" and condition["status"] == "True")


def remove(api: KubernetesApi, run: str) -> None:
    """Delete the Job, with its pods and the Secret and the ConfigMap that it owns."""
    api.delete("jobs", job_name(run), propagationPolicy="Background")


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a Job has ended, and its own words for it."""

    is_success: bool
    words: str
    at: float  # Unix seconds


def ending(job: Object) -> Ending | None:
    """None while the Job goes on."""
    for condition in (job.get("status") or {}).get("conditions") or []:
        if condition["type"] in {"Complete", "Failed"} and condition["status"] == "True":
            words = [str(condition[key]) for key in ("reason", "message") if condition.get(key)]
            return Ending(
                is_success=condition["type"] == "Complete",
                words=": ".join(words),
                at=datetime.fromisoformat(condition["lastTransitionTime"]).timestamp(),
            )
    return None
