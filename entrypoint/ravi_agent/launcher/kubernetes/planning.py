"""The plan of a run as a Job; needs no cluster and no client for one."""

from dataclasses import replace

from ravi_agent.errors import UsageError
from ravi_agent.launcher.model.request import RunRequest
from ravi_agent.launcher.planning.plan import Plan, doubled_name, make_plan
from ravi_agent.launcher.planning.spec import Flow
from ravi_agent.launcher.planning.tasks_file import Row


def make_job_plan(request: RunRequest) -> Plan:
    """The plan of a new run; tasks that are only counted get the numbers of the Job's pods.

    Raises UsageError for what needs a launcher on the agents' own host.
    """
    spec = replace(request.spec, flow=Flow().changed(request.flow))
    refused = {
        "--local": spec.is_local,
        "--provision host": spec.is_provisioning_here,
        "--concurrency": spec.flow.concurrency is not None,
    }
    for flag, is_given in refused.items():
        if is_given:
            raise UsageError(
                f"{flag} on Kubernetes", "the cluster starts the agents", "leave it out"
            )
    if spec.rows is not None or not spec.count:
        return make_plan(request.run, spec, is_fresh=request.is_new)
    rows = tuple(Row(id=str(index)) for index in range(spec.count))
    plan = make_plan(request.run, replace(spec, count=None, rows=rows), is_fresh=request.is_new)
    return _evenly_named(plan, spec.name_prefix)


def _evenly_named(plan: Plan, prefix: str) -> Plan:
    """The plan with names that differ in nothing but the pod's number, however long that is."""
    tasks = [
        replace(task, identity_name=prefix + doubled_name(plan.run, task.id)) for task in plan.tasks
    ]
    return replace(plan, tasks=tasks)
