"""`--log-dir`: what each agent has written, in a file of its own."""

import contextlib
import os
from typing import TextIO

from ravi_agent.errors import UsageError
from ravi_agent.launcher.model.agents import Agent
from ravi_agent.launcher.show.streams import write_now


class LogFiles:
    """`DIR/<task>.log`, standard output and error together; a later start goes on behind.

    The directory is made for its owner alone: agents print codes and addresses.
    """

    def __init__(self, directory: str) -> None:
        """Raises UsageError where files cannot be made."""
        self._directory = directory
        self._files: dict[str, TextIO] = {}
        self._is_broken = False
        try:
            os.makedirs(directory, mode=0o700, exist_ok=True)
        except OSError as exc:
            raise UsageError(f"--log-dir {directory}", str(exc.strerror), "--log-dir DIR") from exc
        if not os.access(directory, os.W_OK | os.X_OK):
            raise UsageError(f"--log-dir {directory}", "it cannot be written", "--log-dir DIR")

    def changed(self, agent: Agent) -> None:
        if agent.is_final and (file := self._files.pop(agent.task.id, None)):
            try:
                file.close()
            except OSError as exc:  # what was still in memory found the disk full
                self._break(exc)

    def output(self, agent: Agent, line: str, *, is_error: bool) -> None:
        del is_error
        if self._is_broken:
            return
        try:
            self._file(agent.task.id).write(f"{line}\n")
        except OSError as exc:
            self._break(exc)

    def flush(self) -> None:
        """Each line is in its file already."""

    def _break(self, exc: OSError) -> None:
        """Write no more, and say so once: a full disk ends no agent."""
        self._is_broken = True
        for file in self._files.values():
            with contextlib.suppress(OSError):  # the same again
                file.close()
        self._files.clear()
        write_now(
            f"ravi-launch: warning: --log-dir {self._directory}: {exc.strerror};"
            " no more is written there\n"
        )

    def _file(self, task: str) -> TextIO:
        if task not in self._files:
            path = os.path.join(self._directory, f"{task}.log")
            # Line by line: what an agent has said is there at once.
            self._files[task] = open(path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115
        return self._files[task]

    def note(self, text: str) -> None:
        """Notes belong to no agent."""
