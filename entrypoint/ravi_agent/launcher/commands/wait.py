"""`ravi-launch wait`: wait until agents have ended."""

from dataclasses import dataclass, field

from ravi_agent.launcher.commands.engine_options import EngineOptions
from ravi_agent.launcher.commands.flags import Call, Command
from ravi_agent.launcher.commands.run_arguments import RunArguments


@dataclass(frozen=True, kw_only=True)
class WaitOptions:
    """Which agents."""

    which: RunArguments
    engine: EngineOptions = field(default_factory=EngineOptions)


def wait(options: WaitOptions, _: Call) -> int:
    """0 if every agent ended with 0, else 1."""
    with options.engine.open() as backend:
        return backend.wait(options.which.run, options.which.tasks)


COMMAND = Command(
    name="wait",
    summary="Wait until agents have ended; exit with 0 if all succeeded, else with 1",
    options=WaitOptions,
    execute=wait,
)
