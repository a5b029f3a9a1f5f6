"""What stands before each line of an agent's output."""

from datetime import datetime

from ravi_agent.launcher.model.agents import Agent

# SGR (ECMA-48): colours that can be read on dark and on light; red is for failures.
COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)


def coloured(text: str, number: int) -> str:
    return f"\x1b[{number}m{text}\x1b[0m"


class Prefix:
    """The task's name and, where asked for, the time, each agent in a colour of its own."""

    def __init__(
        self, *, has_name: bool = True, has_time: bool = False, has_colour: bool = False
    ) -> None:
        self._has_name = has_name
        self._has_time = has_time
        self.has_colour = has_colour

    def line(self, agent: Agent, text: str, *, is_coloured: bool = False) -> str:
        """A line of output as people see it; is_coloured: it goes to a terminal."""
        before = ""
        if self._has_time:
            before += datetime.now().astimezone().isoformat(timespec="milliseconds") + " "
        if self._has_name:
            name = agent.task.id
            if self.has_colour and is_coloured:
                name = coloured(name, COLOURS[agent.task.index % len(COLOURS)])
            before += f"{name} | "
        return before + text
