"""A run as Kubernetes objects: built of the plan alone, without a cluster and without a client."""

import base64
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ravi_agent import contract
from ravi_agent.errors import UsageError
from ravi_agent.launcher.planning.plan import Plan, Task

Object = dict[str, Any]

INIT_IMAGE = "ravi-init"
ENTRYPOINT = "/opt/ravi/bin/ravi-entrypoint"
SECRET_KEY = "management_key"  # noqa: S105 - its name in the Secret
_KEY_FOLDER = "/run/ravi-key"
_TASK_FILE = "/run/ravi-task"
_INDEX_FIELD = "metadata.annotations['batch.kubernetes.io/job-completion-index']"
_AGENT_USER = "1000:1000"  # `agent` in the base image
_PULL_POLICIES = {"always": "Always", "missing": "IfNotPresent", "never": "Never"}
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
    if not has_files(plan):
        return None
    common = _common_environment(plan)
    data = {str(task.index): _task_file(plan, task, common) for task in plan.tasks}
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


def has_files(plan: Plan) -> bool:
    """Whether tasks differ in more than their number, which Kubernetes gives them by itself."""
    first = plan.tasks[0]
    return any(
        task.id != str(task.index)
        or task.identity_name != f"{_name_prefix(plan)}{task.index}"
        or task.command != first.command
        or task.environment != first.environment
        for task in plan.tasks
    )


def _task_file(plan: Plan, task: Task, common: Mapping[str, str]) -> str:
    """Assignments for a shell to read, and its own command line where the task has one."""
    own = {name: value for name, value in task.environment.items() if name not in common}
    variables = {"TASK_ID": task.id, "RAVI_IDENTITY_NAME": task.identity_name, **own}
    text = "".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items())
    if task.command is not None and task.command != plan.tasks[0].command:
        text += f"set -- {shlex.join(task.command)}\n"
    return text


def _common_environment(plan: Plan) -> dict[str, str]:
    """The variables that all tasks have alike."""
    first, *others = (task.environment for task in plan.tasks)
    return {
        name: value
        for name, value in first.items()
        if all(name in other and other[name] == value for other in others)
    }


def _metadata(plan: Plan, name: str | None) -> Object:
    metadata: Object = {"name": name} if name else {}
    metadata["labels"] = {
        **plan.tasks[0].labels,
        "app.kubernetes.io/name": "ravi-agent",
        contract.LABEL_RUN: plan.run,
    }
    # No labels: names of identities may hold what a label may not.
    metadata["annotations"] = {
        contract.LABEL_COUNT: str(len(plan.tasks)),
        contract.LABEL_IDENTITY_NAME: _name_prefix(plan),
    }
    return metadata


def _pod(plan: Plan, options: JobOptions) -> Object:
    uid, gid = user_of(plan)
    pod: Object = {
        "restartPolicy": "Never",
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": uid,
            "runAsGroup": gid,
            "fsGroup": gid,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    if options.service_account:
        pod["serviceAccountName"] = options.service_account
    else:
        pod["automountServiceAccountToken"] = False
    if plan.flow.timeout_s is not None:
        pod["activeDeadlineSeconds"] = plan.flow.timeout_s
    if options.node_selector:
        pod["nodeSelector"] = dict(options.node_selector)
    if options.tolerations:
        pod["tolerations"] = [dict(one) for one in options.tolerations]
    if options.pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in options.pull_secrets]
    has_file = has_files(plan)
    pod["initContainers"] = [_init(plan, options, has_file)]
    pod["containers"] = [_agent(plan, has_file)]
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
    if plan.container.is_read_only:
        pod["volumes"].append({"name": "tmp", "emptyDir": {}})
    if has_file:
        pod["volumes"].append({"name": "tasks", "configMap": {"name": job_name(plan.run)}})
    return pod


def _init(plan: Plan, options: JobOptions, has_file: bool) -> Object:
    container = _container(plan, "ravi-init", options.init_image)
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


def _agent(plan: Plan, has_file: bool) -> Object:
    container = _container(plan, "agent", plan.images[0])
    command = plan.tasks[0].command
    if command is not None:
        # Named, so that an image without it fails instead of running without an identity.
        container["command"] = [ENTRYPOINT, "--"]
        container["args"] = [_literal(word) for word in command]
        if has_file:
            script = f'set -a; . {_TASK_FILE}; set +a; exec "$@"'
            container["args"] = ["/bin/sh", "-c", _literal(script), "sh", *container["args"]]
    container["env"] = _variables(plan, has_file)
    limits = {
        "cpu": plan.container.cpus,
        "memory": plan.container.memory,
        "nvidia.com/gpu": int(plan.container.gpus) if plan.container.gpus else None,
    }
    if given := {name: _quantity(value) for name, value in limits.items() if value}:
        container["resources"] = {"requests": given, "limits": dict(given)}
    container["volumeMounts"] = _mounts(has_file)
    if plan.container.is_read_only:
        container["securityContext"]["readOnlyRootFilesystem"] = True
        container["volumeMounts"].append({"name": "tmp", "mountPath": "/tmp"})  # noqa: S108
    return container


def _quantity(value: float) -> str:
    """A number as Kubernetes writes quantities: whole, or in thousandths."""
    return str(int(value)) if value == int(value) else f"{round(value * 1000)}m"


def _container(plan: Plan, name: str, image: str) -> Object:
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": _PULL_POLICIES[plan.container.pull],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
    }


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
        found += [
            {"name": "TASK_ID", "value": "$(TASK_INDEX)"},
            {"name": "RAVI_IDENTITY_NAME", "value": f"{_literal(_name_prefix(plan))}$(TASK_INDEX)"},
        ]
    found += [
        {"name": name, "value": _literal(value)}
        for name, value in sorted(_common_environment(plan).items())
    ]
    return found


def _name_prefix(plan: Plan) -> str:
    return plan.tasks[0].identity_name.removesuffix(plan.tasks[0].id)


def user_of(plan: Plan) -> tuple[int, int]:
    """The uid and gid of both containers."""
    uid, _, gid = (plan.container.user or _AGENT_USER).partition(":")
    return int(uid), int(gid or uid)


def _literal(text: str) -> str:
    """A value that Kubernetes is to leave as it is: it reads `$(NAME)`, and `$$` as a dollar.

    https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#environment-variables
    """
    return text.replace("$", "$$")
