"""A run as YAML for `kubectl apply`: the same for the same plan, and without the key."""

import yaml

from ravi_agent.launcher.kubernetes import limits, manifests, names, task_files
from ravi_agent.launcher.kubernetes.names import JobOptions
from ravi_agent.launcher.planning.plan import Plan


def render(plan: Plan, options: JobOptions, namespace: str | None = None) -> str:
    """YAML documents; the Secret they refer to is named in a comment. Raises UsageError."""
    limits.check(plan, options)
    name = options.secret or names.job_name(plan.run)
    head = (
        "# The init containers read the management key from a Secret that is to be there:\n"
        f"#   kubectl create secret generic {name} --from-file={names.SECRET_KEY}=PATH\n"
    )
    documents = [task_files.tasks_config(plan), manifests.job(plan, options)]
    for one in documents:
        if one and namespace:
            one["metadata"]["namespace"] = namespace
    return head + "---\n".join(
        yaml.safe_dump(one, sort_keys=False, allow_unicode=True, width=1000)
        for one in documents
        if one
    )
