"""`--log-dir`: what each agent has written, in a file of its own."""

import contextlib
import json
import os
from typing import TextIO

from ravi_agent.errors import UsageError
from ravi_agent.launcher.model.agents import Agent, State
from ravi_agent.launcher.show.own_files import open_own, why_not_trusted
from ravi_agent.launcher.show.streams import write_now

# Bytes of output that may be told in another order: more than is under way, and far less than what
# an engine drops of a long log at a time (`container_settings`).
_AT_ONCE = 1 << 20


class LogFiles:
    """`DIR/<task>.log`, standard output and error together; a later start goes on behind.

    The directory is made for its owner alone: agents print codes and addresses. Until an agent has
    ended `DIR/.<task>.json` says where its container's output begins in the file: a launcher that
    resumes the run is told all of it again, and writes it in the same place.
    """

    def __init__(self, directory: str) -> None:
        """Raises UsageError where files cannot be made, or somebody else decides what they are."""
        self._directory = os.path.abspath(directory)
        self._files: dict[str, TextIO] = {}
        self._begun: dict[str, int] = {}  # where what is being written begins, in bytes
        self._containers: dict[str, str] = {}
        self._again: dict[str, int] = {}  # where what is told again was written before
        self._is_broken = False
        try:
            os.makedirs(directory, mode=0o700, exist_ok=True)
            why = why_not_trusted(self._directory)
        except OSError as exc:
            raise UsageError(f"--log-dir {directory}", str(exc.strerror), "--log-dir DIR") from exc
        if why:
            fix = "--log-dir DIR, one that only you can write"
            raise UsageError(f"--log-dir {directory}", why, fix)
        if not os.access(directory, os.W_OK | os.X_OK):
            raise UsageError(f"--log-dir {directory}", "it cannot be written", "--log-dir DIR")

    def changed(self, agent: Agent) -> None:
        if self._is_broken:
            return
        task, container = agent.task.id, agent.container
        try:
            if agent.is_final:
                self._end(task)
            elif agent.state == State.WAITING:  # to be started again
                self._begun[task] = _size(self._path(f"{task}.log"))
            elif container and self._containers.get(task) != container:
                self._containers[task] = container
                self._begin(agent, container)
        except OSError as exc:  # what was still in memory found the disk full
            self._break(exc)

    def output(self, agent: Agent, line: str, *, is_error: bool) -> None:
        del is_error
        if self._is_broken:
            return
        try:
            self._file(agent.task.id, line).write(f"{line}\n")
        except OSError as exc:
            self._break(exc)

    def flush(self) -> None:
        """Each line is in its file already."""

    def note(self, text: str) -> None:
        """Notes belong to no agent."""

    def _end(self, task: str) -> None:
        self._begun.pop(task, None)
        if file := self._files.pop(task, None):
            file.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path(f".{task}.json"))

    def _begin(self, agent: Agent, container: str) -> None:
        """Know where a container's output begins: an earlier launcher has noted it, or this one."""
        task = agent.task.id
        mark = self._path(f".{task}.json")
        before = {}
        with (
            contextlib.suppress(OSError, ValueError),
            open(mark, encoding="utf-8", opener=open_own) as file,
        ):
            before = dict(json.load(file))
        is_taken_over = not agent.asked_at
        if before.get("container") == container or is_taken_over:
            self._again[task] = int(before.get("at", 0))
            return
        # Its first lines may be here already: they come from another thread.
        at = self._begun.get(task, _size(self._path(f"{task}.log")))
        with open(f"{mark}.new", "w", encoding="utf-8", opener=open_own) as file:
            json.dump({"container": container, "at": at}, file)
        os.replace(f"{mark}.new", mark)

    def _file(self, task: str, first: str) -> TextIO:
        if task not in self._files:
            path = self._path(f"{task}.log")
            if task in self._again:
                _cut(path, self._again.pop(task), first)
            self._begun.setdefault(task, _size(path))
            # Line by line: what an agent has said is there at once.
            self._files[task] = open(  # noqa: SIM115
                path, "a", encoding="utf-8", buffering=1, opener=open_own
            )
        return self._files[task]

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

    def _path(self, name: str) -> str:
        return os.path.join(self._directory, name)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def _cut(path: str, start: int, first: str) -> None:
    """Take from a file what is written again: all from `start` on.

    An engine that has kept only the end of a long log tells from the first line with these words.
    Near the start it is the same: what came of the two streams at once is told in any order.
    """
    wanted = first.encode() + b"\n"
    try:
        with open(path, "r+b", opener=open_own) as file:
            file.seek(start)
            position = start
            for line in file:
                if line == wanted:
                    file.truncate(start if position - start < _AT_ONCE else position)
                    return
                position += len(line)
    except FileNotFoundError:
        return
