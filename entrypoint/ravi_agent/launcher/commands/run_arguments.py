"""The arguments of commands that work on runs that exist."""

from dataclasses import dataclass

from ravi_agent.launcher.commands.flags import Completion, argument


@dataclass(frozen=True, kw_only=True)
class RunArguments:
    """A run, and those of its tasks that the command is for; all of them where none is named."""

    run: str = argument("RUN", completion=Completion.RUN, help="Name of the run.")
    tasks: tuple[str, ...] = argument(
        "TASK", default=(), completion=Completion.TASK, help="Only these tasks of the run."
    )
