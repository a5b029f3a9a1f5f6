"""Start the agent: its process group, its terminal, its user, its signals, its program."""

import errno
import os
import signal

from ravi_agent import contract
from ravi_agent.container.options import AgentIds
from ravi_agent.log import Log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def spawn(command: list[str], environment: dict[str, str], ids: AgentIds | None, log: Log) -> int:
    """The agent's pid, which is its process group too; expects all signals to be blocked.

    Where the program cannot be run, the child says so and leaves with 126 or 127.
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
        os.setpgid(0, 0)
        give_terminal(os.getpgrp(), parent_group)
        if ids:
            uid, gid, groups = ids
            os.setgroups(groups)
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_DFL)  # Python ignores SIGPIPE and SIGXFSZ
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        execute(command, environment)
    except OSError as exc:
        os._exit(_explain(command[0], exc, log))


def execute(command: list[str], environment: dict[str, str]) -> "NoReturn":
    """execvp(3) with an environment of its own; os.execvpe takes 2 ms more to import."""
    program = command[0]
    if "/" in program:
        candidates = [program]
    else:
        path = environment.get("PATH", "/usr/local/bin:/usr/bin:/bin")
        candidates = [f"{folder or '.'}/{program}" for folder in path.split(":")]
    refusal: OSError | None = None
    for candidate in candidates:
        try:
            os.execve(candidate, command, environment)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except PermissionError as exc:
            refusal = exc  # the search goes on, but it is not "not found" any more
        except OSError as exc:
            if exc.errno != errno.ENOEXEC:
                raise
            # A script without "#!" is for the shell (POSIX, execvp).
            os.execve("/bin/sh", ["/bin/sh", candidate, *command[1:]], environment)
    raise refusal or FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))


def give_terminal(group: int, giver: int) -> None:
    """Make a group the terminal's foreground one, if the giver's group is that now.

    SIGTTOU is blocked, so the kernel lets a background group do it too (tty_ioctl(4)).
    """
    try:
        if os.isatty(0) and os.tcgetpgrp(0) == giver:
            os.tcsetpgrp(0, group)
    except OSError:
        return  # a terminal, but not our controlling one


def _explain(program: str, exc: OSError, log: Log) -> int:
    is_missing = isinstance(exc, FileNotFoundError | NotADirectoryError)
    fix = "check the spelling, PATH and the image" if is_missing else f"chmod +x {program}"
    log.error(f"cannot run {program!r}: {exc.strerror}", fix)
    return contract.EXIT_NOT_FOUND if is_missing else contract.EXIT_NOT_EXECUTABLE
