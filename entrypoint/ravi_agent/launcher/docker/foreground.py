"""`ravi-launch --count N`: everything checked, then the fleet, then the answer."""

import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ravi_agent.contract import LOCAL_URL
from ravi_agent.credential import Credential, host_account
from ravi_agent.errors import UsageError
from ravi_agent.launcher.docker import capacity
from ravi_agent.launcher.docker.engine import DockerEngine
from ravi_agent.launcher.docker.fleet import Fleet
from ravi_agent.launcher.docker.handovers import Handovers, IdentityHandovers, KeyHandovers
from ravi_agent.launcher.docker.images import Images
from ravi_agent.launcher.docker.local_ravi import NETWORK, start_local_ravi
from ravi_agent.launcher.docker.networks import Networks
from ravi_agent.launcher.docker.records import forget, load_record, save_record
from ravi_agent.launcher.docker.runs import remove_all
from ravi_agent.launcher.model.agents import State
from ravi_agent.launcher.model.budget import make_budget
from ravi_agent.launcher.model.container_status import ContainerStatus
from ravi_agent.launcher.planning.plan import Plan, make_plan
from ravi_agent.launcher.planning.spec import Flow, RunSpec
from ravi_agent.launcher.show.answer import Answer, Wishes
from ravi_agent.settings import Settings

EXIT_AGENTS_FAILED = 1


@dataclass(frozen=True, kw_only=True)
class Request:
    """Which run. flow: what the command line says of how it goes on, by the fields of Flow.

    is_new: nobody gave the name. has_tasks: the command line says who the agents are; a resumed
    run may leave that, and all else, to its record.
    """

    run: str
    spec: RunSpec
    flow: Mapping[str, Any]
    is_new: bool
    is_resuming: bool
    has_tasks: bool


def run_in_foreground(request: Request, environ: Mapping[str, str], wishes: Wishes) -> int:
    """0 if every agent ended with 0, else 1; detached, 0 if every agent runs or ended with 0.

    Raises RaviError before anything is started.
    """
    started_at = time.monotonic()
    settings = Settings(environ)
    connections = 2 * capacity.MOST_STARTS
    engine = DockerEngine(connections=connections, host=wishes.host, context=wishes.context)
    try:
        record = load_record(engine, request.run) if request.is_resuming else None
        spec = _spec(request, record)
        plan = make_plan(request.run, spec, is_fresh=request.is_new)
        # As seen from here: the agents reach a local Ravi at another address.
        service_url, credential = host_account(environ, is_local=spec.is_local)
        service_url = service_url if spec.is_local else plan.api_url
        plan = replace(plan, api_url=LOCAL_URL) if spec.is_local else plan
        plan = capacity.measured(plan, has_logs=wishes.log_dir is not None)
        there, unfinished = _take_stock(plan, engine, is_resuming=request.is_resuming)
        answer = Answer(plan, wishes)
        images = Images(engine.client, platform=plan.container.platform, say=answer.step)
        networks = Networks(engine.client, plan, default=NETWORK if spec.is_local else None)

        if wishes.is_dry_run:
            images.look_at(plan.images)
        else:
            _make_ready(plan, engine, images, is_local=spec.is_local)
        budget = make_budget(plan, service_url, credential)
        budget.check(wishes.max_identities)
        answer.step(budget.line())
        if wishes.is_dry_run:
            answer.dry_run(budget, there)
            return 0
        if record is None:  # written once: a record that is replaced can be lost in between
            save_record(engine, plan.run, spec.to_record())
        networks.create()
        if spec.is_local and networks.names:
            start_local_ravi(engine, networks.names)
        remove_all(engine, unfinished)
        handovers = _handovers(plan, settings, service_url, credential, spec)
        fleet = Fleet(plan, engine, networks, handovers, answer.observer, there=there)
        # A service manager's stop is handled like Ctrl-C.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            with answer:
                fleet.run(until_ready=wishes.is_detached)
        finally:
            handovers.close()
            if plan.flow.is_removing:
                remove_all(engine, [one.container for one in fleet.agents if one.container])
                forget(engine, plan.run)
            answer.end(fleet.agents, time.monotonic() - started_at)
    finally:
        engine.close()
    good = {State.RUNNING} if wishes.is_detached else set()
    is_good = all(agent.is_success or agent.state in good for agent in fleet.agents)
    return 0 if is_good else EXIT_AGENTS_FAILED


def _make_ready(plan: Plan, engine: DockerEngine, images: Images, *, is_local: bool) -> None:
    """What the engine must have before the cost of a run can be looked up."""
    images.make_ready(plan.images, plan.container.pull)
    if is_local:
        start_local_ravi(engine, [plan.container.network or NETWORK])


def _spec(request: Request, record: str | None) -> RunSpec:
    """What is to run: as the command line says, or as the record of a resumed run does."""
    fresh = replace(request.spec, flow=Flow(**request.flow))
    if not request.is_resuming:
        return fresh
    flag = f"--resume {request.run}"
    if record is None:
        if request.has_tasks:
            return fresh
        raise UsageError(
            flag, "the engine has no record of that run", "ravi-launch ps, or name its flags again"
        )
    spec = RunSpec.from_record(record)
    # Without tasks of its own, the command line stands for the record's.
    asked = request.spec if request.has_tasks else None
    if asked is None and request.spec.command is not None:
        raise UsageError(
            flag, "the run has a command already", "leave the command out, or name all flags again"
        )
    if asked and asked.count and spec.count not in {None, asked.count}:
        raise UsageError(f"{flag} --count {asked.count}", f"the run has {spec.count} agents", flag)
    if asked and (names := spec.differences(asked)):
        raise UsageError(
            flag,
            "it was started with another " + ", ".join(name.replace("_", " ") for name in names),
            f"ravi-launch {flag}, which knows how it was started",
        )
    return replace(spec, flow=replace(spec.flow, **request.flow))


def _take_stock(
    plan: Plan, engine: DockerEngine, *, is_resuming: bool
) -> tuple[dict[int, ContainerStatus], list[str]]:
    """What an earlier launcher has done of this run, by index, and the containers of the rest.

    Those never got to their agent: it was killed between their creation and the agent's start.

    Raises UsageError where an earlier run has the name: its containers are known by it.
    """
    there = engine.containers(plan.run)
    if there and not is_resuming:
        raise UsageError(
            f"--name {plan.run}",
            f"{len(there)} containers of an earlier run have it",
            f"ravi-launch --resume {plan.run}, or ravi-launch rm {plan.run}",
        )
    for one in there:
        if one.count != len(plan.tasks):
            raise UsageError(
                f"--resume {plan.run} --count {len(plan.tasks)}",
                f"the run has {one.count} agents",
                f"--count {one.count}",
            )
    under_way = {one.index: one for one in there if _is_under_way(one, engine)}
    return under_way, [one.id for one in there if under_way.get(one.index) is not one]


def _is_under_way(one: ContainerStatus, engine: DockerEngine) -> bool:
    """Whether a container has got to its agent, or still may."""
    if one.state in {"running", "paused"}:
        return True
    return one.exit_code is not None and engine.ready_line(one.id) is not None


def _handovers(
    plan: Plan, settings: Settings, service_url: str, credential: Credential, spec: RunSpec
) -> Handovers:
    if not spec.is_provisioning_here:
        return KeyHandovers(plan, credential)
    return IdentityHandovers(
        plan,
        service_url,
        credential,
        phone_policy=settings.phone_policy,
        timeout_s=settings.provision_timeout_s,
        log=settings.log_for("ravi-launch"),
    )
