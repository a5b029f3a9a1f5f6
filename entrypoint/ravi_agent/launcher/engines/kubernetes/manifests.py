"""A run as Kubernetes objects: built of the plan alone, without a cluster and without a client."""

import base64
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ravi_agent import contract
from ravi_agent.errors import UsageError
from ravi_agent.launcher.plan import Plan

Object = dict[str, Any]

ENTRYPOINT = "/opt/ravi/bin/ravi-entrypoint"
SECRET_KEY = "management_key"  # noqa: S105 - its name in the Secret
_KEY_FOLDER = "/run/ravi-key"
_TASK_FILE = "/run/ravi-task"
_INDEX_FIELD = "metadata.annotations['batch.kubernetes.io/job-completion-index']"
# A host name has 63 characters, and an Indexed Job's pods are called <job>-<index>.
_JOB_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_HOST_NAME_LIMIT = 63
_CONFIG_LIMIT = 1 << 20  # bytes that a ConfigMap holds
# What a second attempt cannot mend: the exit codes of settings, answers and refusals.
_FINAL_CODES = (
    contract.EXIT_USAGE,
    contract.EXIT_WORKSPACE,
    contract.EXIT_ANSWER,
    contract.EXIT_REFUSED,
    contract.EXIT_SETTINGS,
)


@dataclass(frozen=True, kw_only=True)
class JobOptions:
    """What a run on Kubernetes has beside its plan; None leaves a choice to the cluster.

    secret: a Secret that is there, with the key as `management_key`; None has one made.
    retries: attempts after the first, for each agent. max_failed: agents that may fail before
    the others are stopped. successes: agents that are enough for the run to succeed.
    deadline_s: seconds for the whole run; ttl_s: seconds the Job stays after its end.
    """

    secret: str | None = None
    init_image: str = "ravi-init"
    retries: int = 0
    max_failed: int | None = None
    successes: int | None = None
    deadline_s: int | None = None
    timeout_s: int | None = None
    ttl_s: int | None = None
    cpus: str | None = None
    memory: str | None = None
    user: int = 1000
    is_read_only: bool = False
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: Sequence[Object] = ()
    service_account: str | None = None
    pull_secrets: Sequence[str] = ()
    pull_policy: str | None = None


def job_name(run: str) -> str:
    return f"ravi-agent-{run}"


def check(plan: Plan, options: JobOptions) -> None:
    """Raises UsageError for a plan that no Job can be."""
    last = f"{job_name(plan.run)}-{len(plan.tasks) - 1}"
    if not _JOB_NAME.fullmatch(last) or len(last) > _HOST_NAME_LIMIT:
        raise UsageError(
            f"--name {plan.run!r}",
            f"{last!r} would be a host name: lower-case letters, digits and '-', 63 in all",
            "--name nightly",
        )
    if options.successes is not None and options.successes > len(plan.tasks):
        raise UsageError(
            f"--successes {options.successes}", f"the run has {len(plan.tasks)} agents", "give less"
        )
    tasks_config(plan)


def job(plan: Plan, options: JobOptions) -> Object:
    """The Indexed Job of a run."""
    spec: Object = {
        "completionMode": "Indexed",
        "completions": len(plan.tasks),
        "parallelism": min(plan.parallel or len(plan.tasks), len(plan.tasks)),
        "backoffLimitPerIndex": options.retries,
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
    if options.max_failed is not None:
        spec["maxFailedIndexes"] = options.max_failed
    if options.successes is not None:
        spec["successPolicy"] = {"rules": [{"succeededCount": options.successes}]}
    if options.deadline_s is not None:
        spec["activeDeadlineSeconds"] = options.deadline_s
    if options.ttl_s is not None:
        spec["ttlSecondsAfterFinished"] = options.ttl_s
    spec["template"] = {"metadata": _metadata(plan, None), "spec": _pod(plan, options)}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": _metadata(plan, job_name(plan.run)),
        "spec": spec,
    }


def secret(plan: Plan, token: str) -> Object:
    """The Secret that the init containers read. It holds the key: show it to nobody."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": _metadata(plan, job_name(plan.run)),
        "type": "Opaque",
        "data": {SECRET_KEY: base64.b64encode(token.encode()).decode()},
    }


def tasks_config(plan: Plan) -> Object | None:
    """What the tasks of a run have of their own, a file each; None where it is their number alone.

    Raises UsageError where it is more than a ConfigMap holds.
    """
    if all(task.id == str(task.index) for task in plan.tasks):
        return None
    data = {str(task.index): _task_file(plan, index) for index, task in enumerate(plan.tasks)}
    size = sum(len(key) + len(value.encode()) for key, value in data.items())
    if size > _CONFIG_LIMIT:
        raise UsageError(
            "--tasks",
            f"{size} bytes are more than the {_CONFIG_LIMIT} of a ConfigMap",
            "make runs of fewer tasks, or let the agents fetch what they are to do",
        )
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _metadata(plan, job_name(plan.run)),
        "data": data,
    }


def _task_file(plan: Plan, index: int) -> str:
    """Assignments for a shell to read, and its own command line where the task has one."""
    task = plan.tasks[index]
    variables = {"TASK_ID": task.id, "RAVI_IDENTITY_NAME": task.identity_name}
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items())


def _metadata(plan: Plan, name: str | None) -> Object:
    metadata: Object = {"name": name} if name else {}
    metadata["labels"] = {
        "app.kubernetes.io/name": "ravi-agent",
        contract.LABEL_RUN: plan.run,
    }
    # No labels: names of identities may hold what a label may not.
    first = plan.tasks[0].identity_name.removesuffix(plan.tasks[0].id)
    metadata["annotations"] = {
        contract.LABEL_COUNT: str(len(plan.tasks)),
        contract.LABEL_IDENTITY_NAME: first,
    }
    return metadata


def _pod(plan: Plan, options: JobOptions) -> Object:
    pod: Object = {
        "restartPolicy": "Never",
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": options.user,
            "runAsGroup": options.user,
            "fsGroup": options.user,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    if options.service_account:
        pod["serviceAccountName"] = options.service_account
    else:
        pod["automountServiceAccountToken"] = False
    if options.timeout_s is not None:
        pod["activeDeadlineSeconds"] = options.timeout_s
    if options.node_selector:
        pod["nodeSelector"] = dict(options.node_selector)
    if options.tolerations:
        pod["tolerations"] = [dict(one) for one in options.tolerations]
    if options.pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in options.pull_secrets]
    has_file = tasks_config(plan) is not None
    pod["initContainers"] = [_init(plan, options, has_file)]
    pod["containers"] = [_agent(plan, options, has_file)]
    pod["volumes"] = [
        {"name": "workspace", "emptyDir": {}},
        {
            "name": "ravi-key",
            "secret": {
                "secretName": options.secret or job_name(plan.run),
                "items": [{"key": SECRET_KEY, "path": SECRET_KEY}],
                "defaultMode": 0o440,
            },
        },
    ]
    if options.is_read_only:
        pod["volumes"].append({"name": "tmp", "emptyDir": {}})
    if has_file:
        pod["volumes"].append({"name": "tasks", "configMap": {"name": job_name(plan.run)}})
    return pod


def _init(plan: Plan, options: JobOptions, has_file: bool) -> Object:
    container = _container("ravi-init", options.init_image, options)
    container["env"] = [
        *_variables(plan, has_file),
        {"name": "RAVI_MANAGEMENT_KEY_FILE", "value": f"{_KEY_FOLDER}/{SECRET_KEY}"},
    ]
    if has_file:
        container["command"] = ["/bin/sh", "-c", f"set -a; . {_TASK_FILE}; exec ravi-init"]
    container["securityContext"]["readOnlyRootFilesystem"] = True
    container["resources"] = {
        "requests": {"cpu": "50m", "memory": "64Mi"},
        "limits": {"memory": "128Mi"},
    }
    container["volumeMounts"] = [
        *_mounts(has_file),
        {"name": "ravi-key", "mountPath": _KEY_FOLDER, "readOnly": True},
    ]
    return container


def _agent(plan: Plan, options: JobOptions, has_file: bool) -> Object:
    container = _container("agent", plan.image, options)
    if plan.command is not None:
        # Named, so that an image without it fails instead of running without an identity.
        container["command"] = [ENTRYPOINT, "--"]
        container["args"] = [_literal(word) for word in plan.command]
        if has_file:
            script = f'set -a; . {_TASK_FILE}; set +a; exec "$@"'
            container["args"] = ["/bin/sh", "-c", _literal(script), "sh", *container["args"]]
    container["env"] = _variables(plan, has_file)
    if options.is_read_only:
        container["securityContext"]["readOnlyRootFilesystem"] = True
    limits = {"cpu": options.cpus, "memory": options.memory}
    if limits := {name: value for name, value in limits.items() if value}:
        container["resources"] = {"requests": limits, "limits": dict(limits)}
    container["volumeMounts"] = _mounts(has_file)
    if options.is_read_only:
        container["volumeMounts"].append({"name": "tmp", "mountPath": "/tmp"})  # noqa: S108
    return container


def _container(name: str, image: str, options: JobOptions) -> Object:
    container: Object = {"name": name, "image": image}
    if options.pull_policy:
        container["imagePullPolicy"] = options.pull_policy
    container["securityContext"] = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    return container


def _mounts(has_file: bool) -> list[Object]:
    mounts: list[Object] = [{"name": "workspace", "mountPath": contract.DEFAULT_WORKSPACE}]
    if has_file:
        mounts.append(
            {
                "name": "tasks",
                "mountPath": _TASK_FILE,
                "subPathExpr": "$(TASK_INDEX)",
                "readOnly": True,
            }
        )
    return mounts


def _variables(plan: Plan, has_file: bool) -> list[Object]:
    """The environment of both containers, so that both ask for the same identity."""
    found: list[Object] = [
        {"name": "TASK_INDEX", "valueFrom": {"fieldRef": {"fieldPath": _INDEX_FIELD}}},
        {"name": "TASK_COUNT", "value": str(len(plan.tasks))},
        {"name": "RAVI_RUN", "value": plan.run},
        {"name": "RAVI_API_URL", "value": _literal(plan.api_url)},
    ]
    if not has_file:
        prefix = plan.tasks[0].identity_name.removesuffix(plan.tasks[0].id)
        found += [
            {"name": "TASK_ID", "value": "$(TASK_INDEX)"},
            {"name": "RAVI_IDENTITY_NAME", "value": f"{_literal(prefix)}$(TASK_INDEX)"},
        ]
    found += [
        {"name": name, "value": _literal(value)} for name, value in sorted(plan.environment.items())
    ]
    return found


def _literal(text: str) -> str:
    """A value that Kubernetes is to leave as it is: it reads `$(NAME)`, and `$$` as a dollar.

    https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#environment-variables
    """
    return text.replace("$", "$$")
