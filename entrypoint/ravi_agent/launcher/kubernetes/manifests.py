"""A run as Kubernetes objects, built from the plan alone: no cluster, no client."""

import base64
from collections.abc import Collection, Mapping

from ravi_agent.launcher.kubernetes.names import (
    INIT,
    ISOLATED,
    JOB_LABEL,
    SECRET_KEY,
    Object,
    job_name,
    metadata,
)
from ravi_agent.launcher.kubernetes.patch import patched
from ravi_agent.launcher.kubernetes.pod_template import pod_spec
from ravi_agent.launcher.model.exit_codes import FINAL_BEFORE_AGENT, FINAL_FOR_AGENT
from ravi_agent.launcher.model.request import JobOptions
from ravi_agent.launcher.planning.plan import Plan


def job(plan: Plan, options: JobOptions) -> Object:
    """The Indexed Job of a run; raises UsageError for a patch that does not fit."""
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
                _fail_index(INIT, FINAL_BEFORE_AGENT),
                _fail_index("agent", FINAL_FOR_AGENT),
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
    template = {"metadata": metadata(plan, None), "spec": pod_spec(plan, options)}
    spec["template"] = patched(template, options.patch) if options.patch else template
    about = metadata(plan, job_name(plan.run))
    if plan.container.is_isolated:
        about["annotations"][ISOLATED] = "true"
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": about, "spec": spec}


def network_policy(run: str, labels: Mapping[str, str]) -> Object:
    """The policy by which nothing in the cluster connects to a run's pods; they connect as before.

    labels: of the Job. A cluster whose network plugin knows no policies takes it and ignores it:
    https://kubernetes.io/docs/concepts/services-networking/network-policies/#prerequisites
    """
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": job_name(run), "labels": dict(labels)},
        "spec": {
            "podSelector": {"matchLabels": {JOB_LABEL: job_name(run)}},
            "policyTypes": ["Ingress"],
        },
    }


def _fail_index(container: str, codes: Collection[int]) -> Object:
    """The rule by which an index is not tried again after these exit codes."""
    on_exit_codes = {"containerName": container, "operator": "In", "values": sorted(codes)}
    return {"action": "FailIndex", "onExitCodes": on_exit_codes}


def secret(plan: Plan, token: str) -> Object:
    """The Secret that the init containers read. It holds the key: show it to nobody."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata(plan, job_name(plan.run)),
        "type": "Opaque",
        "data": {SECRET_KEY: base64.b64encode(token.encode()).decode()},
    }
