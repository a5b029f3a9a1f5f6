"""The pod of a run: `ravi-init`, then the agent, under the rules of Pod Security `restricted`."""

from ravi_agent import contract
from ravi_agent.launcher.kubernetes.names import (
    INIT,
    KEY_FOLDER,
    KEY_VOLUME,
    SECRET_KEY,
    TASK_FILE,
    Object,
    job_name,
    name_prefix,
)
from ravi_agent.launcher.kubernetes.task_files import common_environment, has_files
from ravi_agent.launcher.model.request import JobOptions
from ravi_agent.launcher.planning.plan import Plan

ENTRYPOINT = "/opt/ravi/bin/ravi-entrypoint"
_INDEX_FIELD = "metadata.annotations['batch.kubernetes.io/job-completion-index']"
# Of the init container. A quota on limits refuses a pod that leaves one out.
INIT_RESOURCES = {
    "requests": {"cpu": "50m", "memory": "64Mi"},
    "limits": {"cpu": "1", "memory": "128Mi"},
}
_AGENT_USER = "1000:1000"  # `agent` in the base image
_PULL_POLICIES = {"always": "Always", "missing": "IfNotPresent", "never": "Never"}


def pod_spec(plan: Plan, options: JobOptions) -> Object:
    """The spec of every pod of a run."""
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
    if options.priority_class:
        pod["priorityClassName"] = options.priority_class
    if options.topology_spread:
        pod["topologySpreadConstraints"] = [
            {
                "maxSkew": 1,
                "topologyKey": key,
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {contract.LABEL_RUN: plan.run}},
            }
            for key in options.topology_spread
        ]
    if options.pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in options.pull_secrets]
    has_file = has_files(plan)
    pod["initContainers"] = [_init(plan, options, has_file)]
    pod["containers"] = [_agent(plan, has_file)]
    pod["volumes"] = [
        {"name": "workspace", "emptyDir": {}},
        {
            "name": KEY_VOLUME,
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
    container = _container(plan, INIT, options.init_image or INIT)
    container["env"] = [
        *_variables(plan, has_file),
        {"name": "RAVI_MANAGEMENT_KEY_FILE", "value": f"{KEY_FOLDER}/{SECRET_KEY}"},
    ]
    if has_file:
        container["command"] = ["/bin/sh", "-c", f"set -a; . {TASK_FILE}; exec ravi-init"]
    container["securityContext"]["readOnlyRootFilesystem"] = True
    container["resources"] = {kind: dict(given) for kind, given in INIT_RESOURCES.items()}
    container["volumeMounts"] = [
        *_mounts(has_file),
        {"name": KEY_VOLUME, "mountPath": KEY_FOLDER, "readOnly": True},
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
            script = f'set -a; . {TASK_FILE}; set +a; exec "$@"'
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
                "mountPath": TASK_FILE,
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
            {"name": "RAVI_IDENTITY_NAME", "value": f"{_literal(name_prefix(plan))}$(TASK_INDEX)"},
        ]
    found += [
        {"name": name, "value": _literal(value)}
        for name, value in sorted(common_environment(plan).items())
    ]
    return found


def user_of(plan: Plan) -> tuple[int, int]:
    """The uid and gid of both containers."""
    uid, _, gid = (plan.container.user or _AGENT_USER).partition(":")
    return int(uid), int(gid or uid)


def _literal(text: str) -> str:
    """A value that Kubernetes is to leave as it is: it reads `$(NAME)`, and `$$` as a dollar.

    https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#environment-variables
    """
    return text.replace("$", "$$")
