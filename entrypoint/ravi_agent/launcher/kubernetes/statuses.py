"""The agents that a cluster knows: one status for each index of each run's Job."""

import shlex
from datetime import datetime

from ravi_agent import contract
from ravi_agent.identity import Identity
from ravi_agent.launcher.kubernetes import jobs, pods
from ravi_agent.launcher.kubernetes.api import KubernetesApi
from ravi_agent.launcher.kubernetes.names import Object
from ravi_agent.launcher.model.agents import State
from ravi_agent.launcher.model.container_status import ContainerStatus


def list_statuses(api: KubernetesApi, run: str | None = None) -> list[ContainerStatus]:
    """Every agent of a run, or of all runs of the namespace, in the order of their tasks."""
    return [one for one, _ in list_agents(api, run)]


def list_agents(
    api: KubernetesApi, run: str | None = None
) -> list[tuple[ContainerStatus, Identity | None]]:
    """The same, each with the identity that a pod of it has told of, the latest if it had several.

    That is the cluster's own record, which no agent can write; None where no pod knows it.
    """
    selector = contract.LABEL_RUN if run is None else f"{contract.LABEL_RUN}={run}"
    found_jobs, _ = api.list("jobs", label_selector=selector)
    found_pods, _ = api.list("pods", label_selector=selector)
    pods_of: dict[str, list[Object]] = {}
    for pod in sorted(found_pods, key=pods.order_of):
        pods_of.setdefault(pod["metadata"]["labels"][contract.LABEL_RUN], []).append(pod)
    rows = []
    for job in found_jobs:
        name = job["metadata"]["labels"][contract.LABEL_RUN]
        latest: dict[int, Object] = {}
        identities: dict[int, Identity] = {}
        for pod in pods_of.get(name, ()):
            if seen := pods.view(pod, job["metadata"]["uid"]):
                latest[seen.index] = pod
                if seen.identity:  # the latest attempt may not have told of it yet
                    identities[seen.index] = seen.identity
        names = _names(api, job)
        over = pods.ranges(job.get("status", {}).get("completedIndexes"))
        for index in range(job["spec"]["completions"]):
            task, identity_name = names.get(index) or _numbered(job, index)
            row = _row(job, index, latest.get(index), index in over)
            row |= {"task": task, "identity_name": identity_name}
            rows.append((ContainerStatus(run=name, **row), identities.get(index)))
    return sorted(rows, key=lambda pair: (pair[0].run, pair[0].index))


def _row(job: Object, index: int, pod: Object | None, has_succeeded: bool) -> Object:
    seen = pods.view(pod, job["metadata"]["uid"]) if pod else None
    ended = jobs.ending(job)
    if seen:
        state, exit_code = seen.state, seen.exit_code
        status = seen.error or seen.trouble or str(seen.state)
        if exit_code is not None:
            status = f"{state} {exit_code}" + (f": {seen.error}" if seen.error else "")
        if seen.has_failed and exit_code == 0:  # past its deadline: the Job counts a failure
            state, exit_code = State.FAILED, None
    elif has_succeeded:
        state, exit_code, status = State.EXITED, 0, "exited 0, and its pod is gone"
    else:
        over = ended or job["spec"].get("suspend")
        state, exit_code = (State.STOPPED if over else State.WAITING), None
        status = ended.words if ended else str(state)
    return {
        "id": seen.name if seen else "",
        "index": index,
        "count": job["spec"]["completions"],
        "created_at": _seconds((pod or job)["metadata"]["creationTimestamp"]),
        "state": str(state),
        "status": status,
        "exit_code": exit_code,
        "email": seen.identity.email if seen and seen.identity else None,
        "restarts": seen.attempt if seen else None,
        "why": (seen.error or seen.trouble or "") if seen else "",
    }


def _numbered(job: Object, index: int) -> tuple[str, str]:
    prefix = (job["metadata"].get("annotations") or {}).get(contract.LABEL_IDENTITY_NAME, "")
    return str(index), f"{prefix}{index}"


def _names(api: KubernetesApi, job: Object) -> dict[int, tuple[str, str]]:
    """Tasks and identities by index, where a run's tasks have names of their own."""
    volumes = job["spec"]["template"]["spec"].get("volumes") or []
    if not any("configMap" in volume for volume in volumes):
        return {}
    config = api.get("configmaps", job["metadata"]["name"]) or {}
    found = {}
    for index, text in config.get("data", {}).items():
        pairs = dict(word.partition("=")[::2] for word in shlex.split(text) if "=" in word)
        found[int(index)] = (pairs.get("TASK_ID", index), pairs.get("RAVI_IDENTITY_NAME", ""))
    return found


def _seconds(stamp: str) -> float:
    return datetime.fromisoformat(stamp).timestamp()
