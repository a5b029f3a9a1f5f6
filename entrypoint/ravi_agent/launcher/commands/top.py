"""`ravi-launch top`: what agents use of the processor and the memory."""

import json
from dataclasses import asdict, dataclass, field

from ravi_agent.launcher.commands.engine_options import EngineOptions
from ravi_agent.launcher.commands.flags import (
    Call,
    Command,
    Completion,
    argument,
    list_format,
)
from ravi_agent.launcher.show.listing import table

_COLUMNS = ("run", "task", "cpu %", "memory", "limit", "mem %", "pids")
_MIB = 1 << 20


@dataclass(frozen=True, kw_only=True)
class TopOptions:
    """Which agents, and how they are shown."""

    run: str | None = argument(
        "RUN", default=None, completion=Completion.RUN, help="Only the agents of this run."
    )
    output: str = list_format()
    engine: EngineOptions = field(default_factory=EngineOptions)


def top(options: TopOptions, _: Call) -> int:
    """Print one row, or one JSON object, for each agent that runs, the busiest first."""
    with options.engine.open() as backend:
        used = backend.usage(backend.agents(options.run))
    used.sort(key=lambda one: one.cpu_percent, reverse=True)
    if options.output == "json":
        print(json.dumps([asdict(one) for one in used], indent=2))
        return 0
    rows = [
        (
            one.run,
            one.task,
            f"{one.cpu_percent:.1f}",
            f"{one.memory / _MIB:.1f} MiB",
            f"{one.memory_limit / _MIB:.0f} MiB" if one.memory_limit else "-",
            f"{100 * one.memory / one.memory_limit:.1f}" if one.memory_limit else "-",
            str(one.processes),
        )
        for one in used
    ]
    print(table(_COLUMNS, rows), end="")
    return 0


COMMAND = Command(
    name="top",
    summary="Show the CPU and memory that agents use",
    options=TopOptions,
    execute=top,
)
