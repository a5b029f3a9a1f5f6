"""A run as YAML for `kubectl apply`: the same for the same request, and without the key."""

import yaml

from ravi_agent.errors import UsageError
from ravi_agent.launcher.kubernetes import limits, manifests, names, task_files
from ravi_agent.launcher.kubernetes.planning import make_job_plan
from ravi_agent.launcher.model.request import JobOptions, RunRequest
from ravi_agent.launcher.planning.plan import Plan


def render_request(request: RunRequest, namespace: str | None) -> str:
    """The YAML of a run, for the command `render`.

    Raises UsageError for a run whose name nobody chose, and for one that no Job can be.
    """
    if request.is_new:
        raise UsageError("render", "a run without a name is never the same", "--name nightly")
    return render(make_job_plan(request), request.job, namespace)


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
