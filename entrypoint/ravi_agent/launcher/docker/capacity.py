"""What this machine and its engine can carry: how many starts at once, how many open files."""

import os
import resource
from dataclasses import replace

from ravi_agent.errors import UsageError
from ravi_agent.launcher.planning.plan import Plan
from ravi_agent.launcher.planning.spec import RunSpec

# An engine is busy with four starts a core, and slower with more: 50 containers of `sleep` on two
# cores took 3.1/s with one thread, 5.3/s with eight, 4.2/s with fifty.
_STARTS_PER_CORE = 4
# Beside one socket a running agent and two a start: what Python, the log and the pools have open.
_SPARE_FILES = 64
MOST_STARTS = 64  # threads: more only wait for the engine


def check_count(spec: RunSpec, *, has_logs: bool) -> None:
    """Raises UsageError for more agents at once than this host can follow.

    Asked before anything is made of each of them: a million take their time.
    """
    count = len(spec.rows) if spec.rows is not None else spec.count or 0
    at_once = min(spec.flow.parallel or count, count)
    reserve_files(files_needed(at_once, 1, has_logs=has_logs), at_once)


def measured(plan: Plan, *, has_logs: bool) -> Plan:
    """The plan with its concurrency settled, and as many open files as it needs.

    Raises UsageError where this host allows fewer.
    """
    starts = plan.flow.concurrency or default_concurrency(
        plan,
        cores=os.cpu_count() or 1,
        free_memory=available_memory() if plan.container.memory else 0,
    )
    starts = min(starts, plan.at_once, MOST_STARTS)
    reserve_files(files_needed(plan.at_once, starts, has_logs=has_logs), plan.at_once)
    return replace(plan, flow=replace(plan.flow, concurrency=starts))


def available_memory() -> int:
    """Bytes that this host can give without swapping."""
    import psutil  # 8 ms that only who needs it waits for

    return int(psutil.virtual_memory().available)


def default_concurrency(plan: Plan, *, cores: int, free_memory: int) -> int:
    """Starts at once: by the cores, and by how many agents fit into the free memory (bytes).

    free_memory counts only where an agent has a limit of its own.
    """
    starts = max(4, _STARTS_PER_CORE * cores)
    if plan.container.memory:
        starts = min(starts, max(1, free_memory // plan.container.memory))
    return starts


def files_needed(agents: int, starts: int, *, has_logs: bool) -> int:
    """Open files of so many agents at once: a socket each, its log, and two a start."""
    return agents * (2 if has_logs else 1) + 2 * starts + _SPARE_FILES


def reserve_files(needed: int, agents: int) -> None:
    """Raise this process's own limit to what is needed; raises UsageError where it may not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise UsageError(
            f"{agents} agents at once",
            f"they take {needed} open files, and this host allows {hard}",
            f"ulimit -n {needed}, or fewer at once: --parallel",
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
