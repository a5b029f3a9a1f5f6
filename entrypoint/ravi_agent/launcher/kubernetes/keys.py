"""The keys that the pods of a run have made: what its Job and they say of them."""

import time
from collections.abc import Sequence
from datetime import datetime

from ravi_agent.identity import Identity
from ravi_agent.launcher.kubernetes import jobs
from ravi_agent.launcher.kubernetes.names import INIT, Object
from ravi_agent.launcher.model.agents import Agent, State
from ravi_agent.launcher.model.container_status import ContainerStatus
from ravi_agent.launcher.model.inventory import KeysInside


def keys_inside(
    job: Object, agents: Sequence[tuple[ContainerStatus, Identity | None]]
) -> KeysInside:
    """The keys that end with a Job. agents: all of it, as they are before it is removed."""
    ended = jobs.ending(job)
    is_over = ended is not None or jobs.is_suspended_by_hand(job)
    return KeysInside(
        api_url=_service_of(job),
        identities=[identity for _, identity in agents if identity],
        unknown=[
            one.identity_name
            for one, identity in agents
            if not identity and _may_have_made_one(one, is_over=is_over)
        ],
        since=_created_at(job),
        until=ended.at if ended else time.time(),
    )


def keys_seen(job: Object, agents: Sequence[Agent]) -> KeysInside:
    """The same for the agents of a run that was followed to its end."""
    return KeysInside(
        api_url=_service_of(job),
        identities=[one.identity for one in agents if one.identity],
        unknown=[
            one.task.identity_name
            for one in agents
            if one.container and not one.identity and one.state == State.STOPPED
        ],
        since=_created_at(job),
        until=time.time(),
    )


def _created_at(job: Object) -> float:
    return datetime.fromisoformat(job["metadata"]["creationTimestamp"]).timestamp()


def _may_have_made_one(agent: ContainerStatus, *, is_over: bool) -> bool:
    is_gone = is_over and not agent.id  # a suspended Job has no pods any more
    return is_gone or agent.state == State.PROVISIONING


def _service_of(job: Object) -> str:
    """The service that the Job's init containers call; empty where the Job does not say it."""
    for container in job["spec"]["template"]["spec"].get("initContainers") or []:
        for variable in container.get("env") or []:
            if container["name"] == INIT and variable["name"] == "RAVI_API_URL":
                return str(variable.get("value") or "").replace("$$", "$")
    return ""
