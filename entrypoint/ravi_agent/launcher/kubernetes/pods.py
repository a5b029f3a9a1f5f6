"""What a pod's status says of its agent."""

import json
from dataclasses import dataclass

from ravi_agent.contract import EXIT_REFUSED
from ravi_agent.errors import AnswerError
from ravi_agent.identity import Identity
from ravi_agent.launcher.kubernetes.names import INIT, Object
from ravi_agent.launcher.model.agents import State
from ravi_agent.launcher.model.exit_codes import can_retry, is_account_refused

INDEX = "batch.kubernetes.io/job-completion-index"
# How many pods of an index have failed before this one: together, which attempt it is.
# https://kubernetes.io/docs/reference/labels-annotations-taints/
_FAILURES = "batch.kubernetes.io/job-index-failure-count"
_IGNORED_FAILURES = "batch.kubernetes.io/job-index-ignored-failure-count"
AGENT = "agent"
# The kubelet's reasons for a container that will not start unless somebody changes something.
# It tries ImagePullBackOff again too, with the same image and the same rights.
_STUCK = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "ImageInspectError",
        "ImagePullBackOff",
        "InvalidImageName",
        "RunContainerError",
    }
)


@dataclass(frozen=True, kw_only=True)
class PodView:
    """One pod of a run. `exit_code` is the agent's, None unless it has ended.

    order: the pod of an index that counts has the greatest one. attempt: 0 for the first. error:
    why it failed, in the pod's own words. trouble: why it does not go on; `is_stuck` where that
    will not pass by itself.
    has_failed: the pod has, whatever its agent ended with: one that is past its deadline has
    failed even if the agent then exited with 0. is_account_refused: the service took no key of the
    account, or asked for money (401, 402); the init container's word, which no agent can write.
    """

    name: str
    index: int
    order: tuple[bool, int, str] = (False, 0, "")
    attempt: int = 0
    has_failed: bool = False
    state: State
    identity: Identity | None = None
    exit_code: int | None = None
    error: str | None = None
    trouble: str | None = None
    is_stuck: bool = False
    is_account_refused: bool = False

    @property
    def has_ended(self) -> bool:
        return self.state in {State.EXITED, State.FAILED}

    def is_counted(self, *, has_succeeded: bool, retries: int) -> bool:
        """Whether its Job has counted the index by this pod: else that was a later one.

        has_succeeded, retries: as the Job counts the index, and how often it tries it again.
        """
        if has_succeeded or not self.has_ended:
            return self.order[0]
        can_be_tried = can_retry(self.exit_code, has_started=self.identity is not None)
        return self.attempt >= retries or self.is_account_refused or not can_be_tried


def index_of(pod: Object) -> int | None:
    """The pod's place in its Indexed Job; None for a pod that has none."""
    value = (pod["metadata"].get("annotations") or {}).get(INDEX)
    return int(value) if value is not None and value.isdecimal() else None


def order_of(pod: Object) -> tuple[bool, int, str]:
    """The pod's place among those of its index. A list has them by name, in no order.

    An index is over with the first pod that succeeds, even if a second one is there for the same
    attempt, as after a crash of the API server. Else the latest counts; times have whole seconds,
    so the attempt comes first.
    """
    has_succeeded = (pod.get("status") or {}).get("phase") == "Succeeded"
    return has_succeeded, _attempt(pod), str(pod["metadata"].get("creationTimestamp") or "")


def _attempt(pod: Object) -> int:
    annotations = pod["metadata"].get("annotations") or {}
    counts = [annotations.get(name, "") for name in (_FAILURES, _IGNORED_FAILURES)]
    return sum(int(count) for count in counts if count.isdecimal())


def view(pod: Object, job_uid: str) -> PodView | None:
    """The state of a pod's agent; None for a pod that is not an index of this very Job.

    Labels and names do not say that: an earlier Job of the same name leaves pods for a while, and
    whoever makes pods can label them.
    """
    index = index_of(pod)
    owners = pod["metadata"].get("ownerReferences") or []
    if index is None or job_uid not in {one["uid"] for one in owners}:
        return None
    status = pod.get("status") or {}
    init = _container(status, "initContainerStatuses", INIT)
    agent = _container(status, "containerStatuses", AGENT)
    phase = status.get("phase", "Pending")
    trouble, is_stuck = _trouble(status)
    common = {
        "name": pod["metadata"]["name"],
        "index": index,
        "order": order_of(pod),
        "attempt": _attempt(pod),
        "has_failed": phase == "Failed",
        "identity": _identity(init),
    }
    if phase in {"Succeeded", "Failed"}:
        ended = agent.get("terminated")
        exit_code = ended.get("exitCode") if ended else None
        # With no code of its own the agent never ran.
        state = State.FAILED if exit_code is None else State.EXITED
        error = _failure(status, init, agent)
        is_refused = (init.get("terminated") or {}).get("exitCode") == EXIT_REFUSED
        return PodView(
            **common,
            state=state,
            exit_code=exit_code,
            error=error,
            is_account_refused=is_refused and is_account_refused(error or ""),
        )
    state = State.STARTING
    if agent.get("running"):
        state = State.RUNNING
    elif init.get("running") or init.get("terminated"):
        state = State.PROVISIONING
    return PodView(**common, state=state, trouble=trouble, is_stuck=is_stuck)


def identity_of(pod: Object) -> Identity | None:
    """The identity in the pod; None while its `ravi-init` has not told of one."""
    return _identity(_container(pod.get("status") or {}, "initContainerStatuses", INIT))


def _container(status: Object, kind: str, name: str) -> Object:
    """The state of a container: `waiting`, `running` or `terminated`."""
    for one in status.get(kind) or []:
        if one["name"] == name:
            state: Object = one.get("state") or {}
            return state
    return {}


def _identity(init: Object) -> Identity | None:
    """The identity that the init container told of in its termination message.

    The kubelet reads it from a file that is mounted into that container alone. The agent has one of
    its own.
    """
    ended = init.get("terminated")
    if not ended or ended.get("exitCode") != 0:
        return None
    try:
        return Identity.from_public(json.loads(ended.get("message") or ""))
    except (ValueError, AttributeError, AnswerError):
        return None  # an older ravi-init, or somebody else's: the agent runs all the same


def _failure(status: Object, init: Object, agent: Object) -> str | None:
    for what, container in ((INIT, init), ("the agent", agent)):
        ended = container.get("terminated") or {}
        code, message = ended.get("exitCode"), ended.get("message")
        if not code:
            continue
        if ended.get("reason") == "OOMKilled":
            return f"{what} was killed for want of memory"
        if message:
            words = " ".join(str(message).split())
            # The agent can write this file too, as Kubernetes means it to.
            return words if container is init else f"the agent's container says: {words}"
        if container is init:
            return f"{INIT} ended with {code}"
    if status.get("reason") or status.get("message"):  # evicted, or past its deadline
        return ": ".join(str(status[key]) for key in ("reason", "message") if status.get(key))
    return None


def _trouble(status: Object) -> tuple[str | None, bool]:
    for kind in ("initContainerStatuses", "containerStatuses"):
        for one in status.get(kind) or []:
            waiting = (one.get("state") or {}).get("waiting") or {}
            reason = waiting.get("reason", "")
            if reason in _STUCK or reason == "ErrImagePull":
                words = f"{reason}: {waiting.get('message') or one.get('image', '')}"
                return f"container {one['name']}: {words}", reason in _STUCK
    for condition in status.get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"{condition.get('reason')}: {condition.get('message', '')}", False
    return None, False


def ranges(text: str | None) -> set[int]:
    """The indexes that a Job's `completedIndexes` or `failedIndexes` names: `1,3-5`."""
    found: set[int] = set()
    for part in (text or "").split(","):
        first, dash, last = part.partition("-")
        if first:
            found.update(range(int(first), int(last if dash else first) + 1))
    return found
