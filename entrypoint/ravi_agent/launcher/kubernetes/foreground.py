"""`ravi-launch --backend kubernetes`: everything checked, then the Job, then the answer."""

import signal
import time
from collections.abc import Mapping
from dataclasses import replace

from ravi_agent.credential import host_account
from ravi_agent.errors import UsageError
from ravi_agent.launcher.docker.foreground import EXIT_AGENTS_FAILED, Request
from ravi_agent.launcher.kubernetes import jobs, limits
from ravi_agent.launcher.kubernetes.api import KubernetesApi, Object
from ravi_agent.launcher.kubernetes.existing import list_existing
from ravi_agent.launcher.kubernetes.fleet import KubernetesFleet
from ravi_agent.launcher.kubernetes.names import JobOptions
from ravi_agent.launcher.model.agents import State
from ravi_agent.launcher.model.budget import make_budget
from ravi_agent.launcher.planning.plan import Plan, Task, make_plan
from ravi_agent.launcher.planning.spec import Flow, RunSpec
from ravi_agent.launcher.planning.tasks_file import Row
from ravi_agent.launcher.show.answer import Answer, Wishes


def launch_job(
    request: Request,
    options: JobOptions,
    environ: Mapping[str, str],
    wishes: Wishes,
    namespace: str | None,
) -> int:
    """0 if the Job ended well, else 1; detached, 0 if every agent runs or ended with 0.

    Raises RaviError before anything is made, or where the cluster cannot be watched any more.
    """
    started_at = time.monotonic()
    plan = plan_of(request) if not request.is_resuming else None
    if plan:
        limits.check(plan, options)
    api = KubernetesApi(context=wishes.context, namespace=namespace)
    try:
        if plan is None:
            plan = _known_plan(request, api)
        answer = Answer(plan, wishes)
        job = _make(plan, options, api, environ, wishes, answer, is_new=not request.is_resuming)
        if job is None:
            return 0
        return _follow(plan, job, api, wishes, answer, started_at)
    finally:
        api.close()


def plan_of(request: Request) -> Plan:
    """The plan of a new run. Tasks that are only counted are numbered as the Job numbers its pods.

    Raises UsageError for what needs a launcher on the agents' own host.
    """
    spec = replace(request.spec, flow=Flow(**request.flow))
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
    return make_plan(request.run, _numbered(spec), is_fresh=request.is_new)


def _numbered(spec: RunSpec) -> RunSpec:
    if spec.rows is not None or not spec.count:
        return spec
    return replace(spec, count=None, rows=tuple(Row(id=str(index)) for index in range(spec.count)))


def _known_plan(request: Request, api: KubernetesApi) -> Plan:
    """The plan of a run whose Job is there, as far as its agents' ends are told by it."""
    job = jobs.find(api, request.run)
    found = list_existing(api, request.run)
    asked = plan_of(request) if request.has_tasks else None
    if asked and len(asked.tasks) != len(found):
        raise UsageError(
            f"--resume {request.run}",
            f"the run has {len(found)} agents, and not {len(asked.tasks)}",
            f"ravi-launch --backend kubernetes --resume {request.run}, which knows them",
        )
    image = job["spec"]["template"]["spec"]["containers"][0]["image"]
    tasks = [
        Task(id=one.task, index=one.index, identity_name=one.identity_name, image=image)
        for one in found
    ]
    flow = Flow(**request.flow)
    return Plan(run=request.run, image=image, tasks=tasks, api_url=request.spec.api_url, flow=flow)


def _make(
    plan: Plan,
    options: JobOptions,
    api: KubernetesApi,
    environ: Mapping[str, str],
    wishes: Wishes,
    answer: Answer,
    *,
    is_new: bool,
) -> Object | None:
    """The run's Job; None where nothing is to be made."""
    if not is_new:
        return jobs.take_over(api, plan.run)
    # With a Secret that is there, the key need not be here.
    is_key_needed = options.secret is None or wishes.max_identities is not None
    credential = host_account(environ, is_local=False)[1] if is_key_needed else None
    if credential:
        budget = make_budget(plan, plan.api_url, credential)
        budget.check(wishes.max_identities)
        answer.step(budget.line())
        if wishes.is_dry_run:
            answer.dry_run(budget, {})
            return None
    elif wishes.is_dry_run:
        raise UsageError("--dry-run and --secret", "the key is not here", "ravi-launch render")
    return jobs.start(api, plan, options, None if options.secret else credential)


def _follow(
    plan: Plan,
    job: Object,
    api: KubernetesApi,
    wishes: Wishes,
    answer: Answer,
    started_at: float,
) -> int:
    fleet = KubernetesFleet(plan, api, answer.observer, job)
    # A service manager's stop is handled like Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with answer:
            fleet.run(until_ready=wishes.is_detached)
    except KeyboardInterrupt:
        jobs.suspend(api, plan.run)
        fleet.give_up(State.STOPPED)
        raise
    finally:
        if plan.flow.is_removing:
            jobs.remove(api, plan.run)
        elif fleet.is_stuck:
            jobs.suspend(api, plan.run)  # else the cluster would try for ever
        answer.end(fleet.agents, time.monotonic() - started_at)
    if wishes.is_detached:
        is_good = all(agent.is_success or agent.state == State.RUNNING for agent in fleet.agents)
    else:
        is_good = fleet.is_success
    return 0 if is_good else EXIT_AGENTS_FAILED
