"""`--log-dir`: what each agent has written, in a file of its own."""

import os
from typing import TextIO

from ravi_agent.errors import UsageError
from ravi_agent.launcher.agents import Agent


class LogFiles:
    """`DIR/<task>.log`, standard output and error together; a later start goes on behind.

    The directory is made for its owner alone: agents print codes and addresses.
    """

    def __init__(self, directory: str) -> None:
        """Raises UsageError where files cannot be made."""
        self._directory = directory
        self._files: dict[str, TextIO] = {}
        try:
            os.makedirs(directory, mode=0o700, exist_ok=True)
        except OSError as exc:
            raise UsageError(f"--log-dir {directory}", str(exc.strerror), "--log-dir DIR") from None
        if not os.access(directory, os.W_OK | os.X_OK):
            raise UsageError(f"--log-dir {directory}", "it cannot be written", "--log-dir DIR")

    def changed(self, agent: Agent) -> None:
        if agent.is_final and (file := self._files.pop(agent.task.id, None)):
            file.close()

    def output(self, agent: Agent, line: str, *, is_error: bool) -> None:
        del is_error
        file = self._files.get(agent.task.id)
        if file is None:
            path = os.path.join(self._directory, f"{agent.task.id}.log")
            # Line by line: what an agent has said is there at once.
            file = open(path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115 - see `changed`
            self._files[agent.task.id] = file
        file.write(f"{line}\n")

    def note(self, text: str) -> None:
        """Notes belong to no agent."""
