"""Names, labels and annotations of a run's objects in a cluster."""

from typing import Any

from ravi_agent import contract
from ravi_agent.launcher.planning.plan import Plan

Object = dict[str, Any]

INIT = "ravi-init"  # the init container, and its image
KEY_VOLUME = "ravi-key"  # holds the management key, for the init container alone
KEY_FOLDER = "/run/ravi-key"
SECRET_KEY = "management_key"  # noqa: S105 - its name in the Secret
# Where a task finds the file with its own settings.
TASK_FILE = "/run/ravi-task"
# The Job controller puts it on every pod of a Job.
JOB_LABEL = "batch.kubernetes.io/job-name"
# An annotation of the Job: its pods are not to be started without the NetworkPolicy.
ISOLATED = "id.ravi.isolated"


# The most indexes an Indexed Job may have:
# https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/job-v1/#JobSpec
COMPLETIONS_LIMIT = 100_000


def job_name(run: str) -> str:
    return f"ravi-agent-{run}"


def metadata(plan: Plan, name: str | None) -> Object:
    metadata: Object = {"name": name} if name else {}
    metadata["labels"] = {
        **plan.tasks[0].labels,
        "app.kubernetes.io/name": "ravi-agent",
        contract.LABEL_RUN: plan.run,
    }
    # Annotations, because identity names may hold characters that labels may not.
    metadata["annotations"] = {
        contract.LABEL_COUNT: str(len(plan.tasks)),
        contract.LABEL_IDENTITY_NAME: name_prefix(plan),
    }
    return metadata


def name_prefix(plan: Plan) -> str:
    return plan.tasks[0].identity_name.removesuffix(plan.tasks[0].id)
