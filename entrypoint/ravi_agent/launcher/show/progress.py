"""What people see of a run on a pipe, in a log or on a plain terminal: steady lines.

Steps go to standard error, agents' output where it is wanted.
"""

from typing import TextIO

from ravi_agent.launcher.model.agents import Agent, State
from ravi_agent.launcher.model.lines import last_state
from ravi_agent.launcher.show.prefix import Prefix


class PlainProgress:
    """One line a step: `0007 running: task-…-0007, …@…, +1555…, 1.2 s`.

    err: where steps go. agents_out: where agents' output goes, None for nowhere.
    """

    def __init__(
        self, err: TextIO, agents_out: TextIO | None, prefix: Prefix, *, is_quiet: bool = False
    ) -> None:
        self._err = err
        self._agents_out = agents_out
        self._prefix = prefix
        self._is_quiet = is_quiet

    def changed(self, agent: Agent) -> None:
        if not self._is_quiet and agent.state not in {State.STARTING, State.PROVISIONING}:
            self._err.write(f"{agent.task.id} {describe(agent)}\n")

    def output(self, agent: Agent, line: str, *, is_error: bool) -> None:
        if self._agents_out:
            out = self._err if is_error else self._agents_out
            out.write(f"{self._prefix.line(agent, last_state(line))}\n")

    def note(self, text: str) -> None:
        self._err.write(f"{text}\n")

    def flush(self) -> None:
        self._err.flush()
        if self._agents_out:
            self._agents_out.flush()


def describe(agent: Agent) -> str:
    """A state in a few words."""
    identity = agent.identity
    if agent.state == State.RUNNING and identity:
        phone = identity.phone or "no phone"
        after = "" if agent.ready_s is None else f", {agent.ready_s:.1f} s"
        return f"running: {identity.name}, {identity.email}, {phone}{after}"
    if agent.exit_code is not None:
        return f"{agent.state} {agent.exit_code}" + (f": {agent.error}" if agent.error else "")
    return f"{agent.state}: {agent.error}" if agent.error else str(agent.state)
