"""A run's objects in the cluster: made in an order in which a kill at any instant loses nothing."""

import contextlib
from dataclasses import dataclass

from ravi_agent import contract
from ravi_agent.credential import Credential
from ravi_agent.errors import RaviError, UsageError
from ravi_agent.launcher.kubernetes import manifests, task_files
from ravi_agent.launcher.kubernetes.api import KubernetesApi, KubernetesError
from ravi_agent.launcher.kubernetes.names import Object, job_name
from ravi_agent.launcher.model.request import JobOptions
from ravi_agent.launcher.planning.plan import Plan

_TAKEN = 409


def start(
    api: KubernetesApi, plan: Plan, options: JobOptions, credential: Credential | None
) -> Object:
    """Make the Secret, the ConfigMap and the Job of a run; what was made goes where one fails.

    credential: None where `options` name a Secret that is there. The Secret comes first, because
    a pod that misses it waits minutes; once the Job is there it owns both, and takes them along.
    """
    if api.get("jobs", job_name(plan.run)):
        raise UsageError(
            f"--name {plan.run}",
            f"a Job {job_name(plan.run)} of an earlier run has it",
            f"ravi-launch --backend kubernetes --resume {plan.run},"
            f" or ravi-launch --backend kubernetes rm {plan.run}",
        )
    made = []
    try:
        if credential:
            _make(api, "secrets", manifests.secret(plan, credential.token))
            made.append("secrets")
        if config := task_files.tasks_config(plan):
            _make(api, "configmaps", config)
            made.append("configmaps")
        job = api.create("jobs", manifests.job(plan, options))
    except RaviError:
        with contextlib.suppress(RaviError):  # what stays is made anew by the next start
            for resource in made:
                api.delete(resource, job_name(plan.run))
        raise
    own(api, job, made)
    return job


def _make(api: KubernetesApi, resource: str, body: Object) -> None:
    """Create what belongs to a run; what a killed launcher left of it is made anew."""
    try:
        api.create(resource, body)
    except KubernetesError as exc:
        if exc.status != _TAKEN:
            raise
        api.delete(resource, body["metadata"]["name"])
        api.create(resource, body)


def own(api: KubernetesApi, job: Object, resources: list[str]) -> None:
    """Let the Job own what belongs to it, so that Kubernetes removes it with the Job."""
    owner = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": job["metadata"]["name"],
        "uid": job["metadata"]["uid"],
    }
    for resource in resources:
        api.patch(resource, job["metadata"]["name"], {"metadata": {"ownerReferences": [owner]}})


def take_over(api: KubernetesApi, run: str) -> Object:
    """The Job of a run whose launcher has ended, going on where it was stopped.

    Raises UsageError where there is none.
    """
    job = find(api, run)
    # A Secret of another name is the user's own.
    name = job["metadata"]["name"]
    volumes = job["spec"]["template"]["spec"]["volumes"]
    secrets = {volume["secret"]["secretName"] for volume in volumes if "secret" in volume}
    has_config = any("configMap" in volume for volume in volumes)
    own(api, job, ["secrets"] * (name in secrets) + ["configmaps"] * has_config)
    if job["spec"].get("suspend"):
        job = suspend(api, run, is_suspended=False)
    return job


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
    return api.patch("jobs", job_name(run), {"spec": {"suspend": is_suspended}})


def remove(api: KubernetesApi, run: str) -> None:
    """Delete the Job with its pods; the Secret and the ConfigMap too where nobody owns them yet."""
    api.delete("jobs", job_name(run), propagationPolicy="Background")
    for resource in ("secrets", "configmaps"):
        api.delete(resource, job_name(run))


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a Job has ended, and its own words for it."""

    is_success: bool
    words: str


def ending(job: Object) -> Ending | None:
    """None while the Job goes on."""
    for condition in (job.get("status") or {}).get("conditions") or []:
        if condition["type"] in {"Complete", "Failed"} and condition["status"] == "True":
            words = [str(condition[key]) for key in ("reason", "message") if condition.get(key)]
            return Ending(is_success=condition["type"] == "Complete", words=": ".join(words))
    return None
