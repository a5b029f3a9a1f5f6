"""The second half of PID 1: run the agent, pass on signals, reap, drain, leave with its code.

Knows nothing of identities and holds no key: boot has thrown its memory away to become this.
All signals stay blocked and are taken one at a time, so there is no handler, no race with the
agent's start, and no wake-up while nothing happens.
"""

import errno
import os
import signal
import sys

from ravi_agent import contract
from ravi_agent.log import Log
from ravi_agent.pid1.environ import initial_environ
from ravi_agent.pid1.stop import STOP_SIGNALS, block_signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

PROGRAM = "ravi-entrypoint"
PR_SET_CHILD_SUBREAPER = 36  # <linux/prctl.h>
# After SIGKILL a process goes at once, but for one stuck in the kernel, which nothing can end.
KILL_WAIT_S = 1.0
# Begins the grace: what `docker stop`, Kubernetes and Ctrl-C in `docker compose` send.
GRACE_SIGNAL = signal.SIGTERM


class Options:
    """What boot passes on: `key=value` words before `--`, then the command."""

    def __init__(self, argv: list[str]) -> None:
        end = argv.index("--")
        values = dict(word.split("=", 1) for word in argv[:end])
        self.command = argv[end + 1 :]
        self.grace_s = float(values["grace"])
        level, _, form = values["log"].partition(":")
        self.log = Log(PROGRAM, level=level, is_json=form == "json")
        self.user: tuple[int, int, list[int]] | None = None
        if "user" in values:
            uid, gid, groups = values["user"].split(":")
            self.user = int(uid), int(gid), [int(group) for group in groups.split(",")]


def main(argv: list[str]) -> "NoReturn":
    """Run the agent and leave with its code, or 128+n, 126, 127."""
    block_signals()
    options = Options(argv)
    pending = signal.sigpending()
    for number in STOP_SIGNALS:  # came while boot was at it: nothing runs yet, so nothing will
        if number in pending:
            os._exit(contract.EXIT_SIGNAL_BASE + number)
    if os.getpid() != 1:
        become_subreaper(options.log)
    agent = spawn(options)
    code = supervise(agent, options)
    os._exit(code)


def supervise(agent: int, options: Options) -> int:
    """Forward and reap until the agent and all its descendants are gone; the agent's code."""
    everything = signal.valid_signals()
    code: int | None = None
    deadline: float | None = None
    is_killed = False
    while True:
        if code is not None and not has_children():
            return code
        left_s = None if deadline is None else max(0.0, deadline - now())
        info = (
            signal.sigwaitinfo(everything)
            if left_s is None
            else signal.sigtimedwait(everything, left_s)
        )
        if info is None:
            if is_killed:  # stuck in the kernel: leaving lets the kernel end it
                return code if code is not None else contract.EXIT_SIGNAL_BASE + signal.SIGKILL
            options.log.warning(f"not gone after {options.grace_s:g} s: sending SIGKILL")
            signal_all(signal.SIGKILL)
            deadline, is_killed = now() + KILL_WAIT_S, True
            continue
        if info.si_signo != signal.SIGCHLD:
            forward(info.si_signo, agent, is_reaped=code is not None)
            if info.si_signo == GRACE_SIGNAL and deadline is None:
                deadline = now() + options.grace_s
            continue
        ended = reap(agent)
        if ended is not None:
            code = ended
            if has_children():
                # The agent's servers and browsers: asked to go, given time, then killed.
                signal_all(signal.SIGTERM)
                signal_all(signal.SIGCONT)
                if deadline is None:
                    deadline = now() + options.grace_s
        elif is_killed:
            signal_all(signal.SIGKILL)  # one that was started while the others were killed


def spawn(options: Options) -> int:
    """Start the agent in a process group of its own; the child leaves with 126 or 127 itself."""
    environment = initial_environ()
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
        take_terminal(parent_group)
        if options.user:
            uid, gid, groups = options.user
            os.setgroups(groups)
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_DFL)  # Python ignores SIGPIPE and SIGXFSZ
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        execute(options.command, environment)
    except OSError as exc:
        os._exit(_explain(options.command[0], exc, options.log))


def execute(command: list[str], environment: dict[str, str]) -> "NoReturn":
    """execvp(3) with an environment of its own; os.execvpe does it 2 ms slower."""
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


def _explain(program: str, exc: OSError, log: Log) -> int:
    is_missing = isinstance(exc, FileNotFoundError | NotADirectoryError)
    fix = "check the spelling, PATH and the image" if is_missing else f"chmod +x {program}"
    log.error(f"cannot run {program!r}: {exc.strerror}", fix)
    return contract.EXIT_NOT_FOUND if is_missing else contract.EXIT_NOT_EXECUTABLE


def take_terminal(parent_group: int) -> None:
    """Make the agent's group the foreground one, if it is ours to give.

    SIGTTOU is blocked here, so the kernel lets a background group do it (tty_ioctl(4)).
    """
    try:
        if os.isatty(0) and os.tcgetpgrp(0) == parent_group:
            os.tcsetpgrp(0, os.getpgrp())
    except OSError:
        return  # a terminal, but not our controlling one


def forward(number: int, agent: int, *, is_reaped: bool) -> None:
    """Pass a signal on to the agent's process group, or to the agent where that is gone."""
    for send in (os.killpg, os.kill):
        try:
            send(agent, number)
        except ProcessLookupError:
            if is_reaped:  # its number could be somebody else's by now
                return
            continue
        except PermissionError:
            return  # all of it became another user, whom we may not signal
        return


def reap(agent: int) -> int | None:
    """Collect every child that has ended: signals coalesce, so one SIGCHLD may mean many.

    Returns the agent's exit code if it was among them.
    """
    code = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if pid == 0:
            return code
        if pid == agent:
            code = os.waitstatus_to_exitcode(status)
            if code < 0:
                code = contract.EXIT_SIGNAL_BASE - code


def has_children() -> bool:
    """Whether any descendant is left; those that lost their parent are our children."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def signal_all(number: int) -> None:
    """Signal every descendant, and nobody else: `docker exec` sessions are not the agent's."""
    for pid in descendants():
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            continue


def descendants() -> list[int]:
    """Every process below this one, from one reading of /proc; parents before children."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
            except OSError:
                continue  # gone meanwhile
            if fields[0] != b"Z":
                children.setdefault(int(fields[1]), []).append(int(entry))
    found: list[int] = []
    below = [os.getpid()]
    while below:
        below = [child for parent in below for child in children.get(parent, ())]
        found += below
    return found


def become_subreaper(log: Log) -> None:
    """Adopt orphans of the agent although this is not PID 1 (prctl(2), Linux 3.4)."""
    import ctypes  # PID 1 needs it not

    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        log.warning("orphans are not reaped: no subreaper", "run as PID 1")


def now() -> float:
    import time  # built in, and needed only once somebody stops us

    return time.monotonic()


if __name__ == "__main__":
    main(sys.argv[1:])
