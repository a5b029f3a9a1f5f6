"""One run as a Job: check everything, create it, follow it, report what became of its agents."""

import signal
import sys
import time

from ravi_agent.credential import Credential, host_account
from ravi_agent.errors import EngineError, UsageError
from ravi_agent.launcher.kubernetes import jobs, limits, starting
from ravi_agent.launcher.kubernetes.api import KubernetesApi
from ravi_agent.launcher.kubernetes.fleet import KubernetesFleet
from ravi_agent.launcher.kubernetes.keys import keys_seen
from ravi_agent.launcher.kubernetes.names import Object
from ravi_agent.launcher.kubernetes.planning import make_job_plan
from ravi_agent.launcher.kubernetes.statuses import list_statuses
from ravi_agent.launcher.model.account import check_account
from ravi_agent.launcher.model.agents import State
from ravi_agent.launcher.model.budget import make_budget
from ravi_agent.launcher.model.exit_codes import EXIT_AGENTS_FAILED
from ravi_agent.launcher.model.request import RunRequest
from ravi_agent.launcher.model.run_keys import end_keys
from ravi_agent.launcher.planning.plan import Plan, Task
from ravi_agent.launcher.planning.spec import Flow
from ravi_agent.launcher.show.answer import Answer, exit_code_of
from ravi_agent.launcher.show.confirm import confirm_cost
from ravi_agent.launcher.show.for_terminal import say

# After an interrupt, how long a terminal or pipe that takes nothing is waited for.
_END_WAIT_S = 2.0


def launch(api: KubernetesApi, request: RunRequest) -> int:
    """0 if the Job ended well, else 1; detached, 0 if every agent runs or ended with 0.

    Raises RaviError before anything is created, or where the cluster cannot be watched any more.
    """
    started_at = time.monotonic()
    if request.is_resuming:
        plan = _known_plan(request, api)
    else:
        plan = make_job_plan(request)
        limits.check(plan, request.job)
    answer = Answer(plan, request, backend="kubernetes")
    job = _make(plan, request, api, answer)
    return 0 if job is None else _follow(plan, job, api, request, answer, started_at)


def _known_plan(request: RunRequest, api: KubernetesApi) -> Plan:
    """The plan of a run whose Job exists, as far as the Job says it."""
    job = jobs.find(api, request.run)
    found = list_statuses(api, request.run)
    asked = make_job_plan(request) if request.has_tasks else None
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
    flow = Flow().changed(request.flow)
    return Plan(run=request.run, image=image, tasks=tasks, api_url=request.spec.api_url, flow=flow)


def _make(plan: Plan, request: RunRequest, api: KubernetesApi, answer: Answer) -> Object | None:
    """The run's Job, created or taken over; None where the run is only described."""
    if request.is_resuming:
        return starting.take_over(api, plan, lambda: _host_key(request), _say)
    secret = request.job.secret
    # Where the Secret exists, this host need not have the key.
    is_key_needed = secret is None or request.max_identities is not None
    credential = _host_key(request) if is_key_needed else None
    if credential:
        check_account(plan.api_url, credential, is_needed_here=False, say=answer.step)
        budget = make_budget(plan, plan.api_url, credential)
        budget.check(request.max_identities)
        answer.step(budget.line())
        if request.is_dry_run:
            answer.dry_run(budget, {})
            return None
        confirm_cost(budget, request)
    elif request.is_dry_run:
        raise UsageError(
            "--dry-run and --secret",
            "this host has no key",
            f"ravi-launch render --count {len(plan.tasks)} --name {plan.run}",
        )
    return starting.start(api, plan, request.job, None if secret else credential, _say)


def _say(text: str) -> None:
    say(text, sys.stderr)


def _host_key(request: RunRequest) -> Credential:
    return host_account(request.environ, is_local=False)[1]


def _follow(
    plan: Plan,
    job: Object,
    api: KubernetesApi,
    request: RunRequest,
    answer: Answer,
    started_at: float,
) -> int:
    fleet = KubernetesFleet(plan, api, answer.reporter, job)
    # A service manager's stop, and a terminal that is closed, are handled like Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        is_ignored = request.ignores_hangup
        signal.signal(signal.SIGHUP, signal.SIG_IGN if is_ignored else signal.default_int_handler)
    try:
        fleet.run(until_ready=request.is_detached)
    except KeyboardInterrupt:
        answer.reporter.stopping("ravi-launch: suspending the Job, which stops its agents…\n")
        jobs.suspend(api, plan.run)
        fleet.give_up(State.STOPPED)
        _end(plan, job, fleet, api, request, answer, started_at, limit_s=_END_WAIT_S)
        raise
    except EngineError as exc:
        # Nobody has seen these agents fail: the run is left alone, whatever --rm says.
        exc.fix = f"ravi-launch --backend kubernetes --resume {plan.run}, which goes on with it"
        raise exc.restated(f"run {plan.run} goes on unseen: {exc.what}") from exc
    _end(plan, job, fleet, api, request, answer, started_at)
    if request.is_detached:
        return exit_code_of(fleet.agents, is_detached=True)
    return 0 if fleet.is_success else EXIT_AGENTS_FAILED


def _end(
    plan: Plan,
    job: Object,
    fleet: KubernetesFleet,
    api: KubernetesApi,
    request: RunRequest,
    answer: Answer,
    started_at: float,
    *,
    limit_s: float | None = None,
) -> None:
    """Clean up after a run whose end has been seen, and report it, in `limit_s` seconds."""
    try:
        if plan.flow.is_removing:
            jobs.remove(api, plan.run)
            end_keys(request.environ, plan.run, inside=keys_seen(job, fleet.agents))
        elif fleet.is_stuck:
            jobs.suspend(api, plan.run)  # else the cluster would try for ever
    finally:
        answer.end(fleet.agents, time.monotonic() - started_at, limit_s=limit_s)
