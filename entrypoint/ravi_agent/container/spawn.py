"""Start the agent: its process group, its terminal, its user, its signals, its program."""

import errno
import os

from ravi_agent import contract
from ravi_agent.container import prctl
from ravi_agent.container.bug import say_bug
from ravi_agent.container.descriptors import close_others
from ravi_agent.container.options import Options
from ravi_agent.log import Log

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Iterable
    from typing import NoReturn
else:
    import _signal as signal  # as in stop.py


class Spawner:
    """Starts the agent, and its hooks in the same way.

    ignored: signals that they start with ignored; all others have their default. Expects all
    signals to be blocked.
    """

    def __init__(
        self, options: Options, environment: dict[str, str], log: Log, ignored: "Iterable[int]" = ()
    ) -> None:
        self._options = options
        self._environment = environment
        self._log = log
        self._ignored = ignored

    def start(self, command: list[str], *, gate: tuple[int, int] | None = None) -> int:
        """The pid, which is the process group too.

        gate: a pipe; the child does nothing before the other end of it is closed, and leaves where
        something is written to it.
        Raises OSError where there can be no process. Where the program cannot be run, the child
        says so and exits with 126 or 127.
        """
        parent_group = os.getpgrp()
        pid = os.fork()
        if pid:
            try:
                os.setpgid(pid, pid)  # both sides: whichever is first, no signal misses the group
            except OSError:
                return pid  # it has done so itself, and runs already
            return pid
        try:
            if gate and not _is_opened(*gate):
                os._exit(contract.EXIT_BUG)
            self._become(command, parent_group)
        except BaseException as exc:  # noqa: BLE001 - a child never goes on with its parent's work
            say_bug(self._log.program, exc)
        os._exit(contract.EXIT_BUG)

    def _become(self, command: list[str], parent_group: int) -> "NoReturn":
        # Here, so that PID 1 does not hold them as long as it runs.
        from ravi_agent.container import exec_error, ids

        user = self._options.user
        try:
            os.setpgid(0, 0)
            give_terminal(os.getpgrp(), parent_group)
            if self._options.is_confined:
                prctl.empty_bounding_set()  # as long as this is root
            if user:
                ids.become(*user)
            if self._options.is_confined and not prctl.forbid_new_privileges():
                self._log.warning("setuid programs stay possible", "start with no-new-privileges")
        except OSError as exc:
            uid, gid = user[:2] if user else (os.getuid(), os.getgid())
            why, fix = ids.explain_refusal(exc, uid, gid)
            self._log.error(f"cannot become uid {uid}: {why}", fix)
            os._exit(contract.EXIT_SETTINGS)
        if self._options.parent is not None:
            # Killed where this process is killed; the change of ids would have forgotten it.
            prctl.signal_at_parents_end(signal.SIGKILL)
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            # Python ignores SIGPIPE and SIGXFSZ.
            signal.signal(number, signal.SIG_IGN if number in self._ignored else signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        try:
            execute(command, self._environment)
        except exec_error.ExecError as exc:
            signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # nobody may be there to read why
            os._exit(exc.leave(command[0], self._log))


def _is_opened(reader: int, writer: int) -> bool:
    os.close(writer)
    is_opened = os.read(reader, 1) == b""
    close_others()
    return is_opened


def execute(command: list[str], environment: dict[str, str]) -> "NoReturn":
    """execvp(3) with an environment of its own; os.execvpe takes 2 ms more to import.

    Raises ExecError.
    """
    from ravi_agent.container import exec_error

    program = command[0]
    if not program:  # Python refuses it before the kernel could
        raise exec_error.explain(FileNotFoundError(errno.ENOENT, ""), "", command, environment)
    if "/" in program:
        candidates = [program]
    else:
        path = environment.get("PATH", contract.DEFAULT_PATH)
        candidates = [f"{folder or '.'}/{program}" for folder in path.split(":")]
    refusal: tuple[OSError, str] | None = None
    for candidate in candidates:
        try:
            os.execve(candidate, command, environment)
        except (FileNotFoundError, NotADirectoryError) as exc:
            # Of what is there something else is not: an interpreter, or what a link leads to. The
            # search goes on in any case.
            if refusal is None and os.path.lexists(candidate):
                refusal = exc, candidate
        except PermissionError as exc:
            refusal = exc, candidate  # the search goes on, but it is not "not found" any more
        except OSError as exc:
            if exc.errno == errno.ENOEXEC:
                _execute_script(candidate, command, environment)
            raise exec_error.explain(exc, candidate, command, environment) from exc
    missing = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    cause, path = refusal or (missing, program)
    raise exec_error.explain(cause, path, command, environment) from cause


def _execute_script(path: str, command: list[str], environment: dict[str, str]) -> None:
    """A script without "#!" is for the shell (POSIX, execvp); returns where it is none."""
    try:
        with open(path, "rb", buffering=0) as file:
            if file.read(4) == b"\x7fELF":
                return
        os.execve("/bin/sh", ["/bin/sh", path, *command[1:]], environment)
    except OSError:
        return  # no such shell


def give_terminal(group: int, giver: int) -> None:
    """Make a group the terminal's foreground one, if the giver's group is that now.

    SIGTTOU is blocked, so the kernel lets a background group do it too (tty_ioctl(4)).
    """
    try:
        if os.isatty(0) and os.tcgetpgrp(0) == giver:
            os.tcsetpgrp(0, group)
    except OSError:
        return  # a terminal, but not our controlling one
