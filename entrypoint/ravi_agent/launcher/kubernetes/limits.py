"""What a run on Docker can be and one on Kubernetes cannot: refused before anything is made."""

import re

from ravi_agent.errors import UsageError
from ravi_agent.launcher.kubernetes.manifests import job
from ravi_agent.launcher.kubernetes.names import COMPLETIONS_LIMIT, job_name
from ravi_agent.launcher.kubernetes.task_files import tasks_config
from ravi_agent.launcher.model.request import JobOptions
from ravi_agent.launcher.planning.container import ContainerOptions
from ravi_agent.launcher.planning.plan import Plan
from ravi_agent.launcher.planning.preflight import check_settings, check_words

# A host name has 63 characters, and an Indexed Job's pods are called <job>-<index>.
_HOST_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
# https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
_LABEL_NAME = re.compile(r"([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
# https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-subdomain-names
_OBJECT_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_OBJECT_NAME_LIMIT = 253
_INT32 = (1 << 31) - 1  # the type of a Job's numbers
_DOCKERS_OWN = {
    "shm_size": ("--shm-size", "a pod takes /dev/shm from its node", "leave it out"),
    "pids_limit": ("--pids-limit", "the kubelet sets it for all pods of a node", "leave it out"),
    "cap_add": ("--cap-add", "Pod Security `restricted` allows none", "leave it out"),
    "security_opt": ("--security-opt", "pods get the default seccomp profile", "leave it out"),
    "network": ("--network", "pods have the cluster's", "leave it out"),
    "platform": ("--platform", "the node decides", "--node-selector kubernetes.io/arch=arm64"),
}


def check(plan: Plan, options: JobOptions) -> None:
    """Raises UsageError for a plan that no Job can be."""
    last = f"{job_name(plan.run)}-{len(plan.tasks) - 1}"
    if not _HOST_NAME.fullmatch(last):
        raise UsageError(
            f"--name {plan.run!r}",
            f"{last!r} would be a host name: lower-case letters, digits and '-', 63 in all",
            "--name nightly",
        )
    if len(plan.tasks) > COMPLETIONS_LIMIT:
        raise UsageError(
            f"{len(plan.tasks)} agents",
            f"a Job has at most {COMPLETIONS_LIMIT} indexes",
            "make several runs of it",
        )
    if options.successes is not None and options.successes > len(plan.tasks):
        raise UsageError(
            f"--successes {options.successes}",
            f"the run has {len(plan.tasks)} agents",
            f"--successes {len(plan.tasks)}, or less",
        )
    _check_numbers(plan, options)
    _check_names(options)
    if options.patch:
        job(plan, options)
    check_words(plan)
    check_settings(plan, {}, plan.image)
    _check_tasks(plan)
    _check_container(plan.container)


def _check_numbers(plan: Plan, options: JobOptions) -> None:
    """Raises UsageError for a number that the API server does not take."""
    flow = plan.flow
    numbers = {
        "--retries": flow.retries,
        "--parallel": flow.parallel,
        "--max-failures": flow.max_failures,
        "--ttl": options.ttl_s,
        "--timeout": flow.timeout_s,
        "--deadline": options.deadline_s,
    }
    for flag, number in numbers.items():
        if number is not None and number > _INT32:
            raise UsageError(
                f"{flag} {number}", f"Kubernetes takes at most {_INT32}", f"leave out {flag}"
            )
    if options.deadline_s == 0:
        raise UsageError("--deadline 0", "no run ends in no time", "--deadline 2h")
    user = plan.container.user or ""
    if any(len(one) > 10 or int(one) > _INT32 for one in user.split(":") if one.isdecimal()):
        raise UsageError(f"--user {user}", f"Kubernetes takes at most {_INT32}", "--user 1000:1000")


def _check_names(options: JobOptions) -> None:
    """Raises UsageError for a name that no object of a cluster, and no label of a node, has."""
    names = [
        ("--secret", options.secret),
        ("--service-account", options.service_account),
        ("--priority-class", options.priority_class),
        *(("--pull-secret", one) for one in options.pull_secrets),
    ]
    for flag, name in names:
        if name is None:
            continue
        if not _OBJECT_NAME.fullmatch(name) or len(name) > _OBJECT_NAME_LIMIT:
            raise UsageError(
                f"{flag} {name!r}",
                "such a name is lower-case letters, digits, '-' and '.'",
                f"{flag} agents",
            )
    for name, value in options.node_selector.items():
        if not _LABEL_NAME.fullmatch(name) or not _LABEL_VALUE.fullmatch(value):
            raise UsageError(
                f"--node-selector {name}={value}",
                "Kubernetes takes no such label",
                "--node-selector pool=agents",
            )


def _check_tasks(plan: Plan) -> None:
    first = plan.tasks[0]
    if len(plan.images) > 1:
        raise UsageError(
            f"image {plan.images[1]!r}",
            f"all agents of a Job have one image, here {plan.images[0]!r}",
            "make a run of each image",
        )
    for task in plan.tasks:
        if task.volumes:
            raise UsageError(
                f"--volume {task.volumes[0]}", "no node has this host's directories", "leave it out"
            )
        if task.labels != first.labels:
            raise UsageError(
                f"labels of task {task.id}", "all pods of a Job have the same", "use --env"
            )
        if (task.command is None) != (first.command is None):
            raise UsageError(
                f"task {task.id}", "either all tasks have a command or none", "name one behind --"
            )
    for name, value in first.labels.items():
        if not _LABEL_NAME.fullmatch(name) or not _LABEL_VALUE.fullmatch(value):
            raise UsageError(
                f"--label {name}={value}", "Kubernetes takes no such label", "--label team=research"
            )
    if tasks_config(plan) and first.command is None:
        raise UsageError(
            "tasks of their own without a command",
            "a shell reads what is a task's own, and has to know what to start then",
            "name the agent's program behind --",
        )


def _check_container(container: ContainerOptions) -> None:
    default = ContainerOptions()
    for name, words in _DOCKERS_OWN.items():
        if getattr(container, name) != getattr(default, name):
            raise UsageError(*words)
    if container.gpus is not None and not container.gpus.isdecimal():
        raise UsageError(f"--gpus {container.gpus}", "a pod asks for a number", "--gpus 1")
    if container.user is not None and not re.fullmatch(r"[1-9]\d*(:[1-9]\d*)?", container.user):
        raise UsageError(
            f"--user {container.user!r}", "pods run as numbers, and not as root", "--user 1000:1000"
        )
