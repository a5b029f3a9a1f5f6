"""What a run's objects are called in a cluster, and what is said of it beside its plan."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ravi_agent import contract
from ravi_agent.launcher.planning.plan import Plan

Object = dict[str, Any]

INIT_IMAGE = "ravi-init"
SECRET_KEY = "management_key"  # noqa: S105 - its name in the Secret
# Where a task finds what is its own.
TASK_FILE = "/run/ravi-task"


@dataclass(frozen=True, kw_only=True)
class JobOptions:
    """What a run on Kubernetes has beside its plan; None leaves a choice to the cluster.

    secret: a Secret that is there, with the key as `management_key`; None has one made.
    successes: agents that are enough for the run to succeed. deadline_s: seconds for the whole
    run; ttl_s: seconds the Job stays after its end.
    """

    secret: str | None = None
    init_image: str = INIT_IMAGE
    successes: int | None = None
    deadline_s: int | None = None
    ttl_s: int | None = None
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: Sequence[Object] = ()
    service_account: str | None = None
    pull_secrets: Sequence[str] = ()


def job_name(run: str) -> str:
    return f"ravi-agent-{run}"


def metadata(plan: Plan, name: str | None) -> Object:
    metadata: Object = {"name": name} if name else {}
    metadata["labels"] = {
        **plan.tasks[0].labels,
        "app.kubernetes.io/name": "ravi-agent",
        contract.LABEL_RUN: plan.run,
    }
    # No labels: names of identities may hold what a label may not.
    metadata["annotations"] = {
        contract.LABEL_COUNT: str(len(plan.tasks)),
        contract.LABEL_IDENTITY_NAME: name_prefix(plan),
    }
    return metadata


def name_prefix(plan: Plan) -> str:
    return plan.tasks[0].identity_name.removesuffix(plan.tasks[0].id)
