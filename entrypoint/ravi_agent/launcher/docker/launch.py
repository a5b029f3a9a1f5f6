"""One run on a Docker engine: check everything, start the agents, report what became of them."""

import time
from contextlib import ExitStack
from dataclasses import replace

from ravi_agent.contract import LOCAL_URL
from ravi_agent.credential import Credential, host_account
from ravi_agent.errors import UsageError
from ravi_agent.identity import Identity
from ravi_agent.launcher.docker import capacity
from ravi_agent.launcher.docker.collect import check_collection, collect
from ravi_agent.launcher.docker.default_bridge import BRIDGE
from ravi_agent.launcher.docker.driver import UnseatedError, check_driver, drive
from ravi_agent.launcher.docker.earlier import check_earlier, find_earlier
from ravi_agent.launcher.docker.engine import DockerEngine
from ravi_agent.launcher.docker.fleet import Fleet
from ravi_agent.launcher.docker.handovers import Handovers, IdentityHandovers, KeyHandovers
from ravi_agent.launcher.docker.images import Images
from ravi_agent.launcher.docker.local_ravi import LocalRavi
from ravi_agent.launcher.docker.networks import Networks
from ravi_agent.launcher.docker.notes import DRIVER, erase_notes, forget_stops, read_notes
from ravi_agent.launcher.docker.pools import lease
from ravi_agent.launcher.docker.preflight import check_run
from ravi_agent.launcher.docker.progress import AGAIN, Progress, progress_of
from ravi_agent.launcher.docker.records import forget, load_record, save_record
from ravi_agent.launcher.docker.runs import remove_all
from ravi_agent.launcher.model.account import check_account
from ravi_agent.launcher.model.agents import still_running
from ravi_agent.launcher.model.bookkeeping import Books
from ravi_agent.launcher.model.budget import make_budget
from ravi_agent.launcher.model.exit_codes import EXIT_INTERRUPTED
from ravi_agent.launcher.model.interrupts import Interrupts
from ravi_agent.launcher.model.request import RunRequest
from ravi_agent.launcher.model.run_keys import end_keys
from ravi_agent.launcher.planning.plan import Plan, make_plan
from ravi_agent.launcher.planning.preflight import check_words
from ravi_agent.launcher.planning.spec import Flow, RunSpec
from ravi_agent.launcher.show.answer import Answer, exit_code_of
from ravi_agent.launcher.show.confirm import confirm_cost
from ravi_agent.settings import Settings

# After an interrupt, how long a terminal or pipe that takes nothing is waited for.
_END_WAIT_S = 2.0


def launch(engine: DockerEngine, request: RunRequest) -> int:
    """0 if every agent ended with 0, else 1; detached, 0 if every agent runs or ended with 0.

    Raises RaviError before anything is started.
    """
    with ExitStack() as stack:
        return _launch(engine, request, stack)


def _launch(engine: DockerEngine, request: RunRequest, stack: ExitStack) -> int:
    started_at = time.monotonic()
    record = load_record(engine, request.run) if request.is_resuming else None
    spec = _spec(request, record)
    capacity.check_count(spec, has_logs=request.view.log_dir is not None)
    plan = make_plan(request.run, spec, is_fresh=request.is_new)
    api_url, credential = host_account(request.environ, is_local=spec.is_local)
    plan = _plan_of_service(plan, spec, api_url)
    plan = capacity.measured(plan, has_logs=request.view.log_dir is not None)
    if spec.pool is None:
        _check_identities(plan, engine)
    check_words(plan)
    check_collection(request)
    if not request.is_dry_run:
        check_driver(engine, plan.run, is_taking_over=request.is_taking_over)
    there = engine.containers(plan.run)
    check_earlier(plan, there, is_resuming=request.is_resuming)
    plan = lease(engine, plan, spec, request, credential, stack)
    answer = Answer(plan, request, backend="docker")
    images = Images(engine.client, platform=plan.container.platform, say=answer.step)
    networks = Networks(engine.client, plan, has_local=spec.is_local)

    local = LocalRavi(engine, request.environ) if spec.is_local else None
    api_url = local.url if local else api_url
    if not local:
        check_account(
            api_url, credential, is_needed_here=spec.is_provisioning_here, say=answer.step
        )
    _make_ready(plan, engine, images, local, answer, is_dry_run=request.is_dry_run)
    budget = make_budget(plan, api_url, credential)
    budget.check(request.max_identities)
    answer.step(budget.line())
    if request.is_dry_run:
        answer.dry_run(budget, find_earlier(engine, plan, there, progress_of([])).under_way)
        return 0
    confirm_cost(budget, request)
    driver = drive(engine, plan.run, is_taking_over=request.is_taking_over)
    stack.callback(driver.leave)
    there = engine.containers(plan.run)  # of a launcher that has had the run meanwhile
    check_earlier(plan, there, is_resuming=request.is_resuming)
    if record is None:  # written once: a record that is replaced can be lost in between
        _keep_record(engine, plan.run, spec.to_record())
    else:
        forget_stops(engine, plan.run)
    plan = _connected(plan, networks, local)
    progress = Progress(engine, plan.run)
    earlier = find_earlier(engine, plan, there, progress.known())
    for one in earlier.unfinished:
        progress.mark(one.index, AGAIN)
    progress.flush()
    remove_all(engine, [one.id for one in earlier.unfinished])
    known = dict(budget.identities or {})
    handovers = _handovers(plan, request, api_url, credential, spec, known)
    stack.callback(handovers.close)
    fleet = Fleet(
        plan,
        engine,
        networks,
        handovers,
        answer.reporter,
        progress=progress,
        earlier=earlier,
        driver=driver,
        known=known,
    )
    return _follow(engine, request, fleet, answer, started_at)


def _follow(
    engine: DockerEngine, request: RunRequest, fleet: Fleet, answer: Answer, started_at: float
) -> int:
    """Carry out the run and report it."""
    interrupts = Interrupts(
        say=answer.reporter.stopping,
        stop=fleet.interrupt,
        left=lambda: still_running(fleet.agents, fleet.plan.run),
        ignores_hangup=request.ignores_hangup,
    )
    try:
        with interrupts:
            _run(engine, request, fleet, answer)
    finally:
        limit_s = _END_WAIT_S if interrupts.count else None
        answer.end(fleet.agents, time.monotonic() - started_at, limit_s=limit_s)
    if interrupts.count:
        return EXIT_INTERRUPTED
    return exit_code_of(fleet.agents, is_detached=request.is_detached)


def _plan_of_service(plan: Plan, spec: RunSpec, api_url: str) -> Plan:
    """The plan with the service as its agents reach it."""
    if spec.is_local:
        return replace(plan, api_url=LOCAL_URL)
    _check_service(plan.run, spec, api_url)
    return plan


def _connected(plan: Plan, networks: Networks, local: LocalRavi | None) -> Plan:
    """The plan with the way to the local Ravi, once the run's networks are there."""
    networks.create(local.network if local else None)
    if local and networks.names:
        local.join(networks.names)
    elif local and plan.container.network in {None, BRIDGE}:
        return local.known_to(plan)
    return plan


def _run(engine: DockerEngine, request: RunRequest, fleet: Fleet, answer: Answer) -> None:
    """Until the run is over; with --rm nothing is left of it, unless it is another's by then."""
    is_ours = True
    try:
        fleet.run(until_ready=request.is_detached)
    except UnseatedError:
        is_ours = False
        raise
    finally:
        if request.collect and is_ours:
            say = answer.reporter.note
            collect(engine, fleet.agents, request.collect, request.collect_to, say)
        if fleet.plan.flow.is_removing and is_ours:
            remove_all(engine, [one.container for one in fleet.agents if one.container])
            forget(engine, fleet.plan.run)
            end_keys(request.environ, fleet.plan.run)


def _keep_record(engine: DockerEngine, run: str, record: str) -> None:
    """Begin a run: what an earlier one of its name has left without a container is forgotten."""
    notes = read_notes(engine, run)
    erase_notes(engine, [one.name for one in notes if one.kind != DRIVER])
    save_record(engine, run, record)


def _make_ready(
    plan: Plan,
    engine: DockerEngine,
    images: Images,
    local: LocalRavi | None,
    answer: Answer,
    *,
    is_dry_run: bool,
) -> None:
    """Prepare what the engine needs before the cost of a run can be looked up, and check it."""
    if is_dry_run:
        images.look_at(plan.images)
    else:
        images.make_ready(plan.images, plan.container.pull)
    check_run(engine, plan, images, is_dry_run=is_dry_run)
    if local and not is_dry_run:
        local.start(plan.container.network)
        answer.step(local.line())


def _spec(request: RunRequest, record: str | None) -> RunSpec:
    """What is to run: as the command line says, or as the record of a resumed run does."""
    fresh = replace(request.spec, flow=Flow().changed(request.flow))
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
    return replace(spec, flow=spec.flow.changed(request.flow))


def _check_identities(plan: Plan, engine: DockerEngine) -> None:
    """Raises UsageError where another run's agent has an identity that this run would adopt."""
    if plan.is_fresh:
        return
    names = {task.identity_name for task in plan.tasks}
    for one in engine.containers():
        if one.run != plan.run and one.identity_name in names:
            raise UsageError(
                f"--name {plan.run}",
                f"task {one.task} of run {one.run} has the identity {one.identity_name!r}",
                "choose another --name",
            )


def _check_service(run: str, spec: RunSpec, api_url: str) -> None:
    """The key goes to the service that this host's settings name, whatever a record says."""
    if spec.api_url != api_url:
        raise UsageError(
            f"--resume {run}",
            f"it uses {spec.api_url}, and this host's key is for {api_url}",
            f"--api-url {spec.api_url}",
        )


def _handovers(
    plan: Plan,
    request: RunRequest,
    api_url: str,
    credential: Credential,
    spec: RunSpec,
    known: dict[str, Identity],
) -> Handovers:
    settings = Settings(request.environ)
    log = settings.log_for("ravi-launch")
    if not spec.is_provisioning_here:
        if not spec.is_local:  # whose key is the same everywhere
            images = ", ".join(plan.images)
            log.warning(
                f"--provision container gives the account's management key to {images}: whatever"
                " runs in the image before the agent can keep it",
                "leave the flag out: the launcher then creates the identities",
            )
        return KeyHandovers(plan, credential)
    settings = Settings(request.environ)
    books = None if spec.is_local else Books(request.environ, api_url, plan.run)
    return IdentityHandovers(
        plan,
        api_url,
        credential,
        phone_policy=settings.phone_policy,
        timeout_s=settings.provision_timeout_s,
        log=log,
        known=known,
        books=books,
        is_used_before=spec.pool is not None,
    )
