"""What plays the Job controller, the scheduler and the kubelets: pods in the shapes these write."""

import copy
import json
import queue
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fake_kubernetes.cluster import Cluster, Object, RefusalError, now

INDEX = "batch.kubernetes.io/job-completion-index"
JOB_NAME = "batch.kubernetes.io/job-name"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What becomes of one index. `waiting` is (container, reason, message): it never gets on.

    is_held: the agent runs until the Job is suspended or gone. is_past_deadline: the kubelet ends
    the pod at its deadline, and the agent exits with `exit_code` at its signal.
    """

    exit_code: int = 0
    reason: str = ""
    init_code: int = 0
    init_message: str | None = None
    waiting: tuple[str, str, str] | None = None
    unschedulable: str | None = None
    is_held: bool = False
    is_past_deadline: bool = False
    log: bytes = b""


class Controllers:
    """Carries out the Jobs of a cluster, each index as `outcome(index, attempt)` says.

    refusal: why the API server takes no pod, as a quota would; told in an Event.
    """

    def __init__(
        self,
        cluster: Cluster,
        outcome: Callable[[int, int], Outcome] = lambda _index, _attempt: Outcome(),
        *,
        refusal: str | None = None,
        batch: int = 1,
        is_watched: bool = False,
    ) -> None:
        self._cluster = cluster
        self._outcome = outcome
        self._refusal = refusal
        self._batch = batch  # ends told in one update of the Job's status
        self._is_watched = is_watched  # nothing happens before somebody watches
        self._attempts: dict[tuple[str, int], int] = {}
        self._work: queue.SimpleQueue[Object | None] = queue.SimpleQueue()
        cluster.on_job = self._work.put
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._work.put(None)
        self._thread.join(10)

    def _run(self) -> None:
        while (job := self._work.get()) is not None:
            metadata = job["metadata"]
            if self._is_watched:
                with self._cluster.changed:
                    self._cluster.changed.wait_for(
                        lambda: self._cluster.watchers >= {"jobs", "pods"}, timeout=30
                    )
            try:
                self._sync(metadata["namespace"], metadata["name"])
            except RefusalError:
                continue  # the Job has been deleted meanwhile

    def _sync(self, namespace: str, name: str) -> None:
        job = self._cluster.get(namespace, "jobs", name)
        pods = self._pods(job)
        if job["spec"].get("suspend"):
            for pod in pods.values():
                self._cluster.delete(namespace, "pods", pod["metadata"]["name"])
            if pods:
                job["status"]["active"] = 0
                self._cluster.put("jobs", job)
            return
        if any(
            one["type"] in {"Complete", "Failed"} for one in job["status"].get("conditions", [])
        ):
            return
        if self._refusal:
            self._tell(job, "FailedCreate", f"Error creating: {self._refusal}")
            return
        done = ranges(job["status"].get("completedIndexes", ""))
        failed = ranges(job["status"].get("failedIndexes", ""))
        left = [
            index
            for index in range(job["spec"]["completions"])
            if index not in done | failed | set(pods)
        ]
        active = len(pods)
        told = 0
        for index in left[: max(0, job["spec"]["parallelism"] - active)] if active else left:
            while True:
                ended = self._run_pod(job, index)
                if (
                    ended is None
                    or ended
                    or self._attempts[name, index] > job["spec"].get("backoffLimitPerIndex", 6)
                ):
                    break
            if ended is None:
                active += 1
                if active >= job["spec"]["parallelism"]:
                    break
                continue
            (done if ended else failed).add(index)
            told += 1
            if told % self._batch == 0 and self._update(namespace, name, done, failed):
                return
        self._update(namespace, name, done, failed)

    def _pods(self, job: Object) -> dict[int, Object]:
        """The pods of a Job that have not ended, by their index."""
        found, _ = self._cluster.list(job["metadata"]["namespace"], "pods")
        return {
            int(pod["metadata"]["labels"][INDEX]): pod
            for pod in found
            if pod["metadata"]["labels"].get(JOB_NAME) == job["metadata"]["name"]
            and pod["status"]["phase"] in {"Pending", "Running"}
        }

    def _update(self, namespace: str, name: str, done: set[int], failed: set[int]) -> bool:
        """Write the Job's status; whether that is its end."""
        job = self._cluster.get(namespace, "jobs", name)
        spec, status = job["spec"], job["status"]
        status |= {
            "startTime": status.get("startTime") or now(),
            "active": min(spec["parallelism"], spec["completions"] - len(done | failed)),
            "succeeded": len(done),
            "failed": len(failed),
            "completedIndexes": to_ranges(done),
            "uncountedTerminatedPods": {},
        }
        if spec.get("backoffLimitPerIndex") is not None:
            status["failedIndexes"] = to_ranges(failed)
        limit = spec.get("maxFailedIndexes")
        wanted = ((spec.get("successPolicy") or {}).get("rules") or [{}])[0].get("succeededCount")
        ending = None
        if limit is not None and len(failed) > limit:
            ending = "Failed", "MaxFailedIndexesExceeded", "Job has exceeded the specified limit"
        elif wanted is not None and len(done) >= wanted:
            ending = "Complete", "SuccessPolicy", "Matched rules at index 0"
        elif len(done | failed) == spec["completions"]:
            ending = (
                ("Failed", "FailedIndexes", "Job has failed indexes")
                if failed
                else ("Complete", "CompletionsReached", "Reached expected number of succeeded pods")
            )
        if ending:
            kind, reason, message = ending
            status["conditions"] = [
                {
                    "type": kind,
                    "status": "True",
                    "reason": reason,
                    "message": message,
                    "lastProbeTime": now(),
                    "lastTransitionTime": now(),
                }
            ]
            if kind == "Complete":
                status["completionTime"] = now()
        self._cluster.put("jobs", job)
        return ending is not None

    def _tell(self, job: Object, reason: str, message: str) -> None:
        metadata = job["metadata"]
        name = f"{metadata['name']}.{uuid.uuid4().hex[:16]}"
        self._cluster.put(
            "events",
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": name, "namespace": metadata["namespace"]},
                "involvedObject": {
                    "kind": "Job",
                    "apiVersion": "batch/v1",
                    "name": metadata["name"],
                    "namespace": metadata["namespace"],
                    "uid": metadata["uid"],
                },
                "type": "Warning",
                "reason": reason,
                "message": message,
                "count": 1,
                "source": {"component": "job-controller"},
            },
            "ADDED",
        )

    def _run_pod(self, job: Object, index: int) -> bool | None:
        """One pod from its making to its end: whether it succeeded, None where it goes on."""
        name = job["metadata"]["name"]
        attempt = self._attempts.get((name, index), 0)
        self._attempts[name, index] = attempt + 1
        outcome = self._outcome(index, attempt)
        pod = new_pod(job, index, attempt)
        put = self._cluster.put
        put("pods", pod, "ADDED")
        self._cluster.logs[pod["metadata"]["name"]] = outcome.log
        status = pod["status"]
        if outcome.unschedulable:
            status["conditions"] = [
                condition("PodScheduled", "False", "Unschedulable", outcome.unschedulable)
            ]
            put("pods", pod)
            return None
        pod["spec"]["nodeName"] = f"node-{index % 100}"
        status["conditions"] = [condition("PodScheduled", "True")]
        put("pods", pod)
        init, agent = pod["spec"]["initContainers"][0], pod["spec"]["containers"][0]
        pause = {"waiting": {"reason": "PodInitializing"}}
        status["initContainerStatuses"] = [container_status(init, pause)]
        status["containerStatuses"] = [container_status(agent, pause)]
        if outcome.waiting and outcome.waiting[0] == init["name"]:
            self._wait(pod, "initContainerStatuses", outcome)
            return None
        put("pods", pod)
        status["initContainerStatuses"] = [
            container_status(init, {"running": {"startedAt": now()}})
        ]
        put("pods", pod)
        message = outcome.init_message
        if message is None and outcome.init_code == 0:
            message = json.dumps(identity(job, index))
        ended = terminated(outcome.init_code, message)
        status["initContainerStatuses"] = [container_status(init, ended)]
        if outcome.init_code:
            status["phase"] = "Failed"
            put("pods", pod)
            return False
        put("pods", pod)
        if outcome.waiting:
            self._wait(pod, "containerStatuses", outcome)
            return None
        status["phase"] = "Running"
        status["containerStatuses"] = [
            container_status(agent, {"running": {"startedAt": now()}}, is_ready=True)
        ]
        put("pods", pod)
        if outcome.is_held:
            return None
        has_failed = bool(outcome.exit_code or outcome.is_past_deadline)
        status["phase"] = "Failed" if has_failed else "Succeeded"
        if outcome.is_past_deadline:
            status["reason"] = "DeadlineExceeded"
            status["message"] = "Pod was active on the node longer than the specified deadline"
        ended = terminated(outcome.exit_code, None, outcome.reason)
        status["containerStatuses"] = [container_status(agent, ended)]
        put("pods", pod)
        pod["metadata"].pop("finalizers")
        put("pods", pod)
        return not has_failed

    def _wait(self, pod: Object, kind: str, outcome: Outcome) -> None:
        assert outcome.waiting
        _, reason, message = outcome.waiting
        state = {"waiting": {"reason": reason, "message": message}}
        pod["status"][kind][0]["state"] = state
        self._cluster.put("pods", pod)


def new_pod(job: Object, index: int, failures: int = 0) -> Object:
    """A pod as the Job controller posts it, after so many of its index have failed."""
    metadata, spec = job["metadata"], job["spec"]
    template = spec["template"]
    labels = {
        **template["metadata"].get("labels", {}),
        JOB_NAME: metadata["name"],
        "job-name": metadata["name"],
        "batch.kubernetes.io/controller-uid": metadata["uid"],
        "controller-uid": metadata["uid"],
        INDEX: str(index),
    }
    pod_spec: dict[str, Any] = copy.deepcopy(template["spec"])
    pod_spec["hostname"] = f"{metadata['name']}-{index}"
    path = f"metadata.labels['{INDEX}']"
    for container in [*pod_spec.get("initContainers", []), *pod_spec["containers"]]:
        container.setdefault("env", []).append(
            {"name": "JOB_COMPLETION_INDEX", "valueFrom": {"fieldRef": {"fieldPath": path}}}
        )
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{metadata['name']}-{index}-{uuid.uuid4().hex[:5]}",
            "namespace": metadata["namespace"],
            "uid": str(uuid.uuid4()),
            "creationTimestamp": now(),
            "labels": labels,
            "annotations": {
                **template["metadata"].get("annotations", {}),
                INDEX: str(index),
                "batch.kubernetes.io/job-index-failure-count": str(failures),
            },
            "finalizers": ["batch.kubernetes.io/job-tracking"],
            "ownerReferences": [
                {
                    "apiVersion": "batch/v1",
                    "kind": "Job",
                    "name": metadata["name"],
                    "uid": metadata["uid"],
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": pod_spec,
        "status": {"phase": "Pending", "qosClass": "Burstable"},
    }


def identity(job: Object, index: int) -> dict[str, str | None]:
    """What `ravi-init` leaves as its termination message."""
    name = f"task-{job['metadata']['name'].removeprefix('ravi-agent-')}-{index}"
    return {
        "uuid": str(uuid.uuid5(uuid.NAMESPACE_DNS, name)),
        "name": name,
        "email": f"{name}@ravi.id",
        "phone": None,
        "created_at": now(),
    }


def container_status(container: Object, state: Object, *, is_ready: bool = False) -> Object:
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": "",
        "ready": is_ready,
        "restartCount": 0,
        "state": state,
    }


def terminated(code: int, message: str | None, reason: str = "") -> Object:
    ended: Object = {
        "exitCode": code,
        "reason": reason or ("Error" if code else "Completed"),
        "startedAt": now(),
        "finishedAt": now(),
        "containerID": f"containerd://{'0' * 64}",
    }
    if message is not None:
        ended["message"] = message
    return {"terminated": ended}


def condition(kind: str, status: str, reason: str = "", message: str = "") -> Object:
    found: Object = {"type": kind, "status": status, "lastTransitionTime": now()}
    if reason:
        found |= {"reason": reason, "message": message}
    return found


def ranges(text: str) -> set[int]:
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found


def to_ranges(indexes: set[int]) -> str:
    """`1,3-5`, as Job statuses have it."""
    parts: list[list[int]] = []
    for index in sorted(indexes):
        if parts and parts[-1][1] == index - 1:
            parts[-1][1] = index
        else:
            parts.append([index, index])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)
