"""`ravi-launch ps`: list the agents of runs."""

from dataclasses import dataclass, field

from ravi_agent.launcher.commands.engine_options import EngineOptions
from ravi_agent.launcher.commands.flags import Call, Command, Completion, Group, argument, flag


@dataclass(frozen=True, kw_only=True)
class PsOptions:
    """Which agents, and how they are shown."""

    run: str | None = argument(
        "RUN", default=None, completion=Completion.RUN, help="Only the agents of this run."
    )
    output: str = flag(
        "--output",
        "-o",
        default="table",
        choices=("table", "json"),
        group=Group.OUTPUT,
        help="Format of the list.",
    )
    engine: EngineOptions = field(default_factory=EngineOptions)


def ps(options: PsOptions, _: Call) -> int:
    """Print one row, or one JSON object, for each agent."""
    from ravi_agent.launcher.show.tables import show_agents  # it loads rich

    with options.engine.open() as backend:
        show_agents(backend.agents(options.run), is_json=options.output == "json")
    return 0


COMMAND = Command(name="ps", summary="List agents", options=PsOptions, execute=ps)
