"""`ravi-launch logs`: print the output of agents."""

from dataclasses import dataclass, field

from ravi_agent.launcher.commands.engine_options import EngineOptions
from ravi_agent.launcher.commands.flags import Call, Command, Group, flag
from ravi_agent.launcher.commands.run_arguments import RunArguments
from ravi_agent.launcher.model.request import LogOptions
from ravi_agent.launcher.planning.values import parse_seconds


@dataclass(frozen=True, kw_only=True)
class LogsOptions:
    """Which agents, and which part of their output."""

    which: RunArguments
    is_following: bool = flag(
        "--follow",
        "-f",
        default=False,
        group=Group.OUTPUT,
        help="Continue until the run is over: agents that start later are followed, too.",
    )
    tail: int | None = flag(
        "--tail",
        metavar="N",
        minimum=0,
        group=Group.OUTPUT,
        default_text="all",
        help="Print only the last N lines of each agent.",
    )
    since: str | None = flag(
        "--since",
        metavar="DURATION",
        group=Group.OUTPUT,
        help="Print only what was written in the last 90s, 10m or 2h.",
    )
    engine: EngineOptions = field(default_factory=EngineOptions)


def logs(options: LogsOptions, _: Call) -> int:
    """Print each line with the name of its task in front."""
    asked = LogOptions(
        is_following=options.is_following,
        tail=options.tail,
        since_s=None if options.since is None else parse_seconds("--since", options.since),
    )
    with options.engine.open() as backend:
        backend.logs(backend.agents(options.which.run, options.which.tasks), asked)
    return 0


COMMAND = Command(
    name="logs", summary="Print the output of agents", options=LogsOptions, execute=logs
)
