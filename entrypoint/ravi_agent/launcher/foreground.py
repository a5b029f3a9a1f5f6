"""`ravi-launch --count N`: everything checked, then the fleet, then the answer."""

import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ravi_agent.errors import UsageError
from ravi_agent.launcher.agents import State
from ravi_agent.launcher.engines.docker import DockerEngine, Existing
from ravi_agent.launcher.fleet import Fleet
from ravi_agent.launcher.handovers import Handovers, IdentityHandovers, KeyHandovers
from ravi_agent.launcher.host_key import find_host_credential
from ravi_agent.launcher.local_ravi import (
    LOCAL_CREDENTIAL,
    LOCAL_HOST_URL,
    LOCAL_URL,
    NETWORK,
    start_local_ravi,
)
from ravi_agent.launcher.plan import Plan
from ravi_agent.launcher.progress import LiveProgress, PlainProgress, print_table
from ravi_agent.launcher.report import (
    COLUMNS,
    failures,
    report,
    rows,
    summary_line,
    to_json,
)
from ravi_agent.settings import Credential, Settings


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """How the run is to be carried out and shown, beside what it is."""

    is_local: bool
    is_provisioning_here: bool
    is_detached: bool
    is_resuming: bool
    is_removing: bool
    is_json: bool
    is_quiet: bool


def run_in_foreground(plan: Plan, environ: Mapping[str, str], wishes: Wishes) -> int:
    """0 if every agent ended with 0, else 1; detached, 0 if every agent runs or ended with 0.

    Raises RaviError before anything is started.
    """
    started_at = time.monotonic()
    settings = Settings(environ)
    credential = LOCAL_CREDENTIAL if wishes.is_local else find_host_credential(environ)
    engine = DockerEngine(connections=plan.concurrency + 4)
    try:
        engine.check_image(plan.image)
        there = _take_stock(plan, engine) if wishes.is_resuming else _check_name(plan, engine)
        if wishes.is_local:
            network = plan.network or NETWORK
            start_local_ravi(engine, network)
            plan = replace(plan, network=network, api_url=LOCAL_URL)
        handovers = _handovers(plan, settings, credential, wishes)
        progress = _progress(plan, wishes)
        fleet = Fleet(plan, engine, handovers, progress, there=there)
        # A service manager's stop is handled like Ctrl-C.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            with progress:
                fleet.run(until_ready=wishes.is_detached)
        finally:
            handovers.close()
            if wishes.is_removing:
                for container in [agent.container for agent in fleet.agents if agent.container]:
                    engine.remove(container)
            _answer(fleet, wishes, time.monotonic() - started_at)
    finally:
        engine.close()
    good = {State.RUNNING} if wishes.is_detached else set()
    return 0 if all(agent.is_success or agent.state in good for agent in fleet.agents) else 1


def _handovers(plan: Plan, settings: Settings, credential: Credential, wishes: Wishes) -> Handovers:
    if not wishes.is_provisioning_here:
        return KeyHandovers(plan, credential)
    return IdentityHandovers(
        plan,
        LOCAL_HOST_URL if wishes.is_local else plan.api_url,
        credential,
        phone_policy=settings.phone_policy,
        timeout_s=settings.provision_timeout_s,
        log=settings.log_for("ravi-launch"),
    )


def _progress(plan: Plan, wishes: Wishes) -> PlainProgress | LiveProgress:
    agents_out = sys.stderr if wishes.is_json or wishes.is_detached else sys.stdout
    if sys.stderr.isatty() and not wishes.is_quiet:
        return LiveProgress(len(plan.tasks), agents_out)
    return PlainProgress(agents_out, is_quiet=wishes.is_quiet)


def _answer(fleet: Fleet, wishes: Wishes, wall_s: float) -> None:
    result = report(fleet.plan, fleet.agents, wall_s)
    if wishes.is_json:
        print(to_json(result), flush=True)
    elif wishes.is_detached:
        print(fleet.plan.run, flush=True)
    else:
        print_table(COLUMNS, rows(fleet.agents))
    if not wishes.is_detached:
        for line in failures(fleet.agents):
            print(line, file=sys.stderr)
        print(summary_line(result), file=sys.stderr)
    if not wishes.is_removing and any(agent.container for agent in fleet.agents):
        print(f"containers stay: ravi-launch rm {fleet.plan.run}", file=sys.stderr)


def _check_name(plan: Plan, engine: DockerEngine) -> dict[int, Existing]:
    """A run's containers are known by its name: an earlier run may not share it."""
    if there := engine.containers(plan.run):
        raise UsageError(
            f"--name {plan.run}",
            f"{len(there)} containers of an earlier run have it",
            f"ravi-launch --resume {plan.run}, or ravi-launch rm {plan.run}",
        )
    return {}


def _take_stock(plan: Plan, engine: DockerEngine) -> dict[int, Existing]:
    """What an earlier launcher has done of this run; what never got to its agent is removed."""
    there = {}
    for existing in engine.containers(plan.run):
        if existing.count != len(plan.tasks):
            raise UsageError(
                f"--resume {plan.run} --count {len(plan.tasks)}",
                f"the run has {existing.count} agents",
                f"--count {existing.count}",
            )
        is_done = existing.exit_code is not None and engine.ready_line(existing.id)
        if existing.state in {"running", "paused"} or is_done:
            there[existing.index] = existing
        else:
            engine.remove(existing.id)
    return there
