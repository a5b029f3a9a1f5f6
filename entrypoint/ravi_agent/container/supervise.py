"""The second half of PID 1: run the agent, pass on signals, reap, drain, leave with its code.

Knows nothing of identities and holds no key: boot has thrown its memory away to become this.
All signals stay blocked and are taken one at a time, so there is no handler, no race with the
agent's start, and no wake-up while nothing happens.
"""

import os
import signal
import sys

from ravi_agent import contract
from ravi_agent.container.descendants import has_children, signal_descendants
from ravi_agent.container.environ import initial_environ
from ravi_agent.container.options import SCOPE_AGENT, Options, to_release_words
from ravi_agent.container.phases import exec_phase
from ravi_agent.container.spawn import give_terminal, spawn
from ravi_agent.container.status import write_status
from ravi_agent.container.stop import STOP_SIGNALS, block_signals
from ravi_agent.log import Log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

PROGRAM = "ravi-entrypoint"
PR_SET_CHILD_SUBREAPER = 36  # <linux/prctl.h>
# After SIGKILL a process goes at once, but for one stuck in the kernel, which nothing can end.
KILL_WAIT_S = 1.0
# Begins the grace: what `docker stop`, Kubernetes and `docker compose` send. An agent may well
# go on after SIGINT: that is how a user interrupts what it does.
GRACE_SIGNAL = signal.SIGTERM


def main(argv: list[str]) -> "NoReturn":
    """Run the agent and leave with its code, or 128+n, 126, 127."""
    block_signals()
    # Whoever waits for the end of a pipe that somebody left open would wait for us.
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    options = Options.from_words(argv)
    log = Log(PROGRAM, level=options.log_level, is_json=options.log_format == "json")
    pending = signal.sigpending()
    for number in STOP_SIGNALS:  # came while boot was at it: nothing runs yet, so nothing will
        if number in pending:
            os._exit(contract.EXIT_SIGNAL_BASE + number)
    if os.getpid() != 1:
        become_subreaper(log)
    environment = initial_environ()
    agent = spawn(options.command, environment, options.user, log)
    os.chdir("/")  # so that what is mounted at the agent's directory can be unmounted
    uuid = environment.get("RAVI_IDENTITY_UUID")
    write_status(options.status_path, phase="running", uuid=uuid, agent_pid=agent)
    code = Supervisor(agent, options, log).run()
    write_status(options.status_path, phase="ended", uuid=uuid, exit_code=code)
    code = options.exit_remap.get(code, code)
    if options.on_exit:
        exec_phase("release", to_release_words(code, options.on_exit), environment)
    os._exit(code)


class Supervisor:
    """One agent and all that it starts, until nothing of it is left."""

    def __init__(self, agent: int, options: Options, log: Log) -> None:
        self._agent = agent
        self._options = options
        self._log = log
        self._status: int | None = None  # as waitpid gives it, once the agent has ended
        self._deadline: float | None = None
        self._stopped_by: int | None = None
        self._is_killing = False

    def run(self) -> int:
        """Forward and reap until the agent and its descendants are gone; the agent's code."""
        everything = signal.valid_signals()
        while self._status is None or has_children():
            if self._deadline is None:
                number = signal.sigwait(everything)
            else:
                info = signal.sigtimedwait(everything, max(0.0, self._deadline - _now()))
                if info is None:
                    if self._is_killing:
                        break  # stuck in the kernel: leaving lets the kernel end it
                    self._kill()
                    continue
                number = info.si_signo
            if number == signal.SIGCHLD:
                self._reap()
            else:
                self._forward(number)
        return self._code()

    def _forward(self, number: int) -> None:
        """Pass a signal on to the agent's process group, or to the agent where that is gone."""
        wanted = self._options.signal_map.get(number, number)
        if not wanted:
            return
        if number == signal.SIGCONT:
            give_terminal(self._agent, os.getpgrp())  # a shell's `fg` gave it to us
        if number == GRACE_SIGNAL:
            self._begin_grace()
        if number in STOP_SIGNALS:
            self._stopped_by = number
        sends = (os.killpg, os.kill) if self._options.signal_scope != SCOPE_AGENT else (os.kill,)
        for send in sends:
            if self._status is not None and send is os.kill:
                return  # reaped: its number could be somebody else's by now
            try:
                send(self._agent, wanted)
            except ProcessLookupError:
                continue
            except PermissionError:
                return  # all of it became another user, whom we may not signal
            return

    def _reap(self) -> None:
        """Collect every child that has ended: signals coalesce, so one SIGCHLD may mean many."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if pid != self._agent:
                continue
            if os.WIFSTOPPED(status):
                self._stop_too()
            else:
                self._status = status
                self._drain()
        if self._is_killing:
            signal_descendants(signal.SIGKILL)  # one that was started while the others died

    def _drain(self) -> None:
        """The agent's servers and browsers: asked to go, given time, then killed."""
        if has_children():
            signal_descendants(signal.SIGTERM)
            signal_descendants(signal.SIGCONT)  # a stopped process would not hear the first
            self._begin_grace()

    def _stop_too(self) -> None:
        """Ctrl-Z stopped the agent: let the shell above us have its terminal and its job."""
        if os.getpid() != 1:  # PID 1 cannot be stopped, and no shell is above it
            os.kill(os.getpid(), signal.SIGSTOP)

    def _begin_grace(self) -> None:
        if self._deadline is None:
            self._deadline = _now() + self._options.grace_s

    def _kill(self) -> None:
        self._log.warning(f"not gone after {self._options.grace_s:g} s: SIGKILL")
        self._deadline, self._is_killing = _now() + KILL_WAIT_S, True
        signal_descendants(signal.SIGKILL)

    def _code(self) -> int:
        """The agent's code, said in words; 137 if it never went."""
        if self._status is None:
            return contract.EXIT_SIGNAL_BASE + signal.SIGKILL
        code = os.waitstatus_to_exitcode(self._status)
        log = self._log
        after = f" after {_signal_name(self._stopped_by)}" if self._stopped_by else ""
        if code == 0:
            log.debug(f"the agent ended with 0{after}")
        elif code > 0:
            log.info(f"the agent ended with {code}{after}")
        elif after and (-code in STOP_SIGNALS or self._is_killing):
            log.info(f"the agent was stopped on request: {_signal_name(-code)}{after}")
        elif -code == signal.SIGKILL and memory_kills():
            log.warning("the agent was killed for want of memory", "docker run --memory …")
        else:
            log.warning(f"the agent was ended by {_signal_name(-code)}{after}")
        return code if code >= 0 else contract.EXIT_SIGNAL_BASE - code


def memory_kills() -> int:
    """How often the kernel has killed in this container for want of memory (cgroup v2, v1)."""
    for path in (
        "/sys/fs/cgroup/memory.events",
        "/sys/fs/cgroup/memory/memory.oom_control",
    ):
        try:
            with open(path, encoding="ascii") as file:
                counts = dict(line.split() for line in file)
        except OSError:
            continue
        return int(counts.get("oom_kill", 0))
    return 0


def become_subreaper(log: Log) -> None:
    """Adopt orphans of the agent although this is not PID 1 (prctl(2), Linux 3.4)."""
    import ctypes  # PID 1 needs it not

    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        log.warning("orphans are not reaped: no subreaper", "run as PID 1")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time one
        return f"signal {number}"


def _now() -> float:
    import time  # built in, and needed only once somebody stops us

    return time.monotonic()


if __name__ == "__main__":
    main(sys.argv[1:])
