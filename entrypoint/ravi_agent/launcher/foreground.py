"""A run in the foreground: everything checked, then the fleet, then the answer."""

import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import replace

from ravi_agent import contract
from ravi_agent.errors import UsageError
from ravi_agent.launcher.agents import Agent
from ravi_agent.launcher.engines.docker import DockerEngine
from ravi_agent.launcher.fleet import Fleet
from ravi_agent.launcher.host_key import find_host_credential
from ravi_agent.launcher.local_ravi import LOCAL_CREDENTIAL, LOCAL_URL, NETWORK, start_local_ravi
from ravi_agent.launcher.plan import Plan
from ravi_agent.launcher.progress import LiveProgress, PlainProgress, print_table
from ravi_agent.launcher.report import failures, report, summary_line, to_json


def run_in_foreground(
    plan: Plan,
    environ: Mapping[str, str],
    *,
    is_local: bool,
    is_json: bool,
    is_quiet: bool,
    is_removing: bool,
    started_at: float,
) -> int:
    """0 if every agent ended with 0, else 1. Raises RaviError before anything is started."""
    credential = LOCAL_CREDENTIAL if is_local else find_host_credential(environ)
    engine = DockerEngine(connections=plan.concurrency + 4)
    try:
        engine.check_image(plan.image)
        _check_name(plan, engine)
        if is_local:
            network = plan.network or NETWORK
            start_local_ravi(engine, network)
            plan = replace(plan, network=network, api_url=LOCAL_URL)
        agents_out = sys.stderr if is_json else sys.stdout
        progress: PlainProgress | LiveProgress
        if sys.stderr.isatty() and not is_quiet:
            progress = LiveProgress(len(plan.tasks), agents_out)
        else:
            progress = PlainProgress(agents_out, is_quiet=is_quiet)
        fleet = Fleet(plan, engine, credential, progress)
        # A service manager's stop is handled like Ctrl-C.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            with progress:
                fleet.run()
        finally:
            if is_removing:
                _remove(engine, fleet.agents)
            result = report(plan, fleet.agents, time.monotonic() - started_at)
            if is_json:
                print(to_json(result), flush=True)
            else:
                print_table(fleet.agents)
                for line in failures(fleet.agents):
                    print(line, file=sys.stderr)
            print(summary_line(result), file=sys.stderr)
            if not is_removing and any(agent.container for agent in fleet.agents):
                print(f"containers stay: {_removal(plan)}", file=sys.stderr)
    finally:
        engine.close()
    return 0 if all(agent.is_success for agent in fleet.agents) else 1


def _check_name(plan: Plan, engine: DockerEngine) -> None:
    """A run's containers are known by its name: an earlier run may not share it."""
    if there := engine.containers(plan.run):
        raise UsageError(
            f"--name {plan.run}",
            f"{len(there)} containers of an earlier run have it",
            f"{_removal(plan)}, or another name",
        )


def _removal(plan: Plan) -> str:
    return f"docker rm -f $(docker ps -aq --filter label={contract.LABEL_RUN}={plan.run})"


def _remove(engine: DockerEngine, agents: list[Agent]) -> None:
    for agent in agents:
        if agent.container:
            engine.remove(agent.container)
