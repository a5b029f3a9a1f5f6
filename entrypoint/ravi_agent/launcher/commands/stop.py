"""`ravi-launch stop`: stop agents."""

from dataclasses import dataclass, field

from ravi_agent.launcher.commands.engine_options import EngineOptions
from ravi_agent.launcher.commands.flags import Call, Command, flag
from ravi_agent.launcher.commands.run_arguments import RunArguments


@dataclass(frozen=True, kw_only=True)
class StopOptions:
    """Which agents, and how long they may take."""

    which: RunArguments
    grace_s: int = flag(
        "--time",
        "-t",
        default=10,
        metavar="SECONDS",
        minimum=0,
        help="Seconds from SIGTERM to SIGKILL.",
    )
    engine: EngineOptions = field(default_factory=EngineOptions)


def stop(options: StopOptions, _: Call) -> int:
    """Return once the agents have ended, or have been killed."""
    which = options.which
    with options.engine.open() as backend:
        agents = backend.agents(which.run, which.tasks)
        backend.stop(which.run, agents, grace_s=options.grace_s)
    return 0


COMMAND = Command(name="stop", summary="Stop agents", options=StopOptions, execute=stop)
