"""What each task of a run has of its own: a file, in a ConfigMap that all pods mount."""

import shlex
from collections.abc import Mapping

from ravi_agent.errors import UsageError
from ravi_agent.launcher.kubernetes.names import Object, job_name, metadata, name_prefix
from ravi_agent.launcher.planning.plan import Plan, Task

_CONFIG_LIMIT = 1 << 20  # bytes that a ConfigMap holds


def tasks_config(plan: Plan) -> Object | None:
    """What the tasks of a run have of their own, a file each; None where it is their number alone.

    Raises UsageError where it is more than a ConfigMap holds.
    """
    if not has_files(plan):
        return None
    common = common_environment(plan)
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
        "metadata": metadata(plan, job_name(plan.run)),
        "data": data,
    }


def has_files(plan: Plan) -> bool:
    """Whether tasks differ in more than their number, which Kubernetes gives them by itself."""
    first = plan.tasks[0]
    return any(
        task.id != str(task.index)
        or task.identity_name != f"{name_prefix(plan)}{task.index}"
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


def common_environment(plan: Plan) -> dict[str, str]:
    """The variables that all tasks have alike."""
    first, *others = (task.environment for task in plan.tasks)
    return {
        name: value
        for name, value in first.items()
        if all(name in other and other[name] == value for other in others)
    }
