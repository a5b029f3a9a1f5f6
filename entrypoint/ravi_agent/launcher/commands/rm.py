"""`ravi-launch rm`: remove the containers of agents."""

import sys
from dataclasses import dataclass, field

from ravi_agent.launcher.commands.engine_options import EngineOptions
from ravi_agent.launcher.commands.flags import Call, Command, flag
from ravi_agent.launcher.commands.run_arguments import RunArguments


@dataclass(frozen=True, kw_only=True)
class RmOptions:
    """Which agents, and whether running ones too."""

    which: RunArguments
    is_forced: bool = flag("--force", "-f", default=False, help="Remove running agents too.")
    engine: EngineOptions = field(default_factory=EngineOptions)


def rm(options: RmOptions, _: Call) -> int:
    """Remove them; their identities stay in the account."""
    which = options.which
    with options.engine.open() as backend:
        removed = backend.remove(which.run, which.tasks, is_forced=options.is_forced)
    print(f"removed {removed}", file=sys.stderr)
    return 0


COMMAND = Command(
    name="rm",
    summary="Remove the containers of agents; their identities stay",
    options=RmOptions,
    execute=rm,
)
