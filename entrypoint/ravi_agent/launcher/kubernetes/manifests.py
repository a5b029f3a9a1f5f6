"""A run as Kubernetes objects: built of the plan alone, without a cluster and without a client."""

import base64

from ravi_agent import contract
from ravi_agent.launcher.kubernetes.names import (
    SECRET_KEY,
    JobOptions,
    Object,
    job_name,
    metadata,
)
from ravi_agent.launcher.kubernetes.pod_template import pod_spec
from ravi_agent.launcher.planning.plan import Plan

# What a second attempt cannot mend: the exit codes of settings, answers and refusals.
_FINAL_CODES = (
    contract.EXIT_USAGE,
    contract.EXIT_WORKSPACE,
    contract.EXIT_ANSWER,
    contract.EXIT_REFUSED,
    contract.EXIT_SETTINGS,
)


def job(plan: Plan, options: JobOptions) -> Object:
    """The Indexed Job of a run."""
    spec: Object = {
        "completionMode": "Indexed",
        "completions": len(plan.tasks),
        "parallelism": plan.at_once,
        "backoffLimitPerIndex": plan.flow.retries,
        # One pod an index at a time: two would be two agents with one identity.
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": {
            "rules": [
                {
                    "action": "Ignore",
                    "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                },
                {
                    "action": "FailIndex",
                    "onExitCodes": {
                        "containerName": "ravi-init",
                        "operator": "In",
                        "values": list(_FINAL_CODES),
                    },
                },
            ]
        },
    }
    if plan.flow.max_failures is not None:
        spec["maxFailedIndexes"] = plan.flow.max_failures
    if options.successes is not None:
        spec["successPolicy"] = {"rules": [{"succeededCount": options.successes}]}
    if options.deadline_s is not None:
        spec["activeDeadlineSeconds"] = options.deadline_s
    if options.ttl_s is not None:
        spec["ttlSecondsAfterFinished"] = options.ttl_s
    spec["template"] = {"metadata": metadata(plan, None), "spec": pod_spec(plan, options)}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata(plan, job_name(plan.run)),
        "spec": spec,
    }


def secret(plan: Plan, token: str) -> Object:
    """The Secret that the init containers read. It holds the key: show it to nobody."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata(plan, job_name(plan.run)),
        "type": "Opaque",
        "data": {SECRET_KEY: base64.b64encode(token.encode()).decode()},
    }
