"""The Job of a run: find it, hold it and let it go, remove it, read how it ended."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from ravi_agent import contract
from ravi_agent.errors import UsageError
from ravi_agent.launcher.kubernetes.api import KubernetesApi
from ravi_agent.launcher.kubernetes.names import Object, job_name

_STOPPED = "id.ravi.stopped"  # an annotation: by `stop`, or by a launcher that was interrupted
# Within this time of its creation a Job counts as created suspended.
_CREATION = timedelta(seconds=5)


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
