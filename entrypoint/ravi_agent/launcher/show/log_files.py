"""`--log-dir`: what each agent has written, in a file of its own."""

import contextlib
import errno
import os
import stat
from typing import TextIO

from ravi_agent.errors import UsageError
from ravi_agent.launcher.model.agents import Agent
from ravi_agent.launcher.show.streams import write_now


class LogFiles:
    """`DIR/<task>.log`, standard output and error together; a later start goes on behind.

    The directory is made for its owner alone: agents print codes and addresses.
    """

    def __init__(self, directory: str) -> None:
        """Raises UsageError where files cannot be made, or somebody else decides what they are."""
        self._directory = os.path.abspath(directory)
        self._files: dict[str, TextIO] = {}
        self._is_broken = False
        try:
            os.makedirs(directory, mode=0o700, exist_ok=True)
            why = _why_not_trusted(self._directory)
        except OSError as exc:
            raise UsageError(f"--log-dir {directory}", str(exc.strerror), "--log-dir DIR") from exc
        if why:
            fix = "--log-dir DIR, one that only you can write"
            raise UsageError(f"--log-dir {directory}", why, fix)
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
            self._files[task] = open(  # noqa: SIM115
                path, "a", encoding="utf-8", buffering=1, opener=_open_own
            )
        return self._files[task]

    def note(self, text: str) -> None:
        """Notes belong to no agent."""


def _why_not_trusted(directory: str) -> str | None:
    """Why another user could decide where files in it are written; None where nobody can.

    Raises OSError.
    """
    path = directory
    while path != "/":
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode) and _is_foreign(status):
            return f"{path} is a symbolic link of uid {status.st_uid}"
        path = os.path.dirname(path)
    status = os.stat(directory)
    if _is_foreign(status):
        return f"it belongs to uid {status.st_uid}"
    if status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
        return "everybody can write it"
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.endswith(".log") and not _is_own_file(entry.stat(follow_symlinks=False)):
                return f"{entry.name} in it is a link, or not a file of your own"
    return None


def _open_own(path: str, flags: int) -> int:
    """Open a file to write to, unless it is a link or somebody else's. Raises OSError."""
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY, 0o600)
    if not _is_own_file(os.fstat(descriptor)):
        os.close(descriptor)
        raise PermissionError(errno.EPERM, f"{path} is not a file of your own")
    return descriptor


def _is_own_file(status: os.stat_result) -> bool:
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1 and not _is_foreign(status)


def _is_foreign(status: os.stat_result) -> bool:
    return status.st_uid not in {0, os.geteuid()}
