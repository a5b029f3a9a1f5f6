"""The second half of PID 1: run the agent, pass on signals, reap, drain, leave with its code.

Knows nothing of identities and holds no key: boot has thrown its memory away to become this.
All signals stay blocked and are taken one at a time, so there is no handler, no race with the
agent's start, and no wake-up while nothing happens. Whatever it needs is loaded before the agent
starts: an agent may replace Python, and this package with it.
"""

import os
import signal
import sys

from ravi_agent import contract
from ravi_agent.container import prctl
from ravi_agent.container.bug import say_bug
from ravi_agent.container.descendants import Reach, descendants, has_children
from ravi_agent.container.descriptors import close_others, open_standard
from ravi_agent.container.environ import initial_environ
from ravi_agent.container.exec_error import ExecError
from ravi_agent.container.options import (
    SCOPE_AGENT,
    SCOPE_GROUP,
    Options,
    to_release_words,
)
from ravi_agent.container.phases import run_phase
from ravi_agent.container.spawn import give_terminal, spawn
from ravi_agent.container.status import write_status
from ravi_agent.container.stop import block_signals, ignored_signals, stop_signals
from ravi_agent.container.verdict import say_how_it_ended
from ravi_agent.log import Log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

PROGRAM = "ravi-entrypoint"
# After SIGKILL a process goes at once, but for one stuck in the kernel, which nothing can end.
KILL_WAIT_S = 1.0
# Begin the grace, whoever sends them: `docker stop`, Kubernetes, compose; systemd's containers.
_ALWAYS_STOPS = (signal.SIGTERM, signal.SIGRTMIN + 3)
# Begin it where the engine or an init sends them, as an image's STOPSIGNAL. From anybody else they
# interrupt what an agent does, and it may well go on; HUP asks for new settings even from engines.
_ENGINE_STOPS = (signal.SIGINT, signal.SIGQUIT)
_SI_USER = 0  # <asm-generic/siginfo.h>: by kill(2), not from a terminal
# What the kernel says of a sender outside of this pid namespace; 1 is an init that passes it on.
_ENGINES = (0, 1)


def main(argv: list[str]) -> "NoReturn":
    """Run the agent and leave with its code, or 128+n, 126, 127."""
    block_signals()
    try:
        code = _supervise(argv)
    except BaseException as exc:  # noqa: BLE001 - the one place where every failure becomes a code
        code = _fail(exc)
    os._exit(code)


def _supervise(argv: list[str]) -> int:
    open_standard()
    close_others()
    options = Options.from_words(argv)
    log = Log(PROGRAM, level=options.log_level, is_json=options.log_format == "json")
    pending = signal.sigpending()
    ignored = ignored_signals()
    for number in stop_signals(options.signal_map) - ignored:
        if number in pending:  # came while boot was at it: nothing runs yet, so nothing will
            return contract.EXIT_SIGNAL_BASE + number
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, it would lose the agent's code
    environment = initial_environ()
    if os.getpid() != 1 and not prctl.become_subreaper():
        log.warning("orphans are not reaped: no subreaper", "run as PID 1")
    if os.getpid() == 1 and options.user is None:
        # An agent of the same user could stop PID 1 by ptrace(2). Whatever else could be taken from
        # agents (the bounding set, setuid programs) is for the engine: an image may have a sudo.
        prctl.forbid_tracing()
    try:
        agent = spawn(options.command, environment, options.user, log, ignored=ignored)
    except ExecError as exc:
        return exc.leave(options.command[0], log)
    try:
        os.chdir("/")  # so that what is mounted at the agent's directory can be unmounted
    except OSError as exc:
        log.debug(f"stays in its directory: {exc.strerror}")
    uuid = environment.get("RAVI_IDENTITY_UUID")
    _write_status(options, phase="running", uuid=uuid, agent_pid=agent)
    code = Supervisor(agent, options, log, ignored).run()
    _write_status(options, phase="ended", uuid=uuid, exit_code=code)
    code = options.exit_remap.get(code, code)
    if options.on_exit:
        run_phase("release", to_release_words(code, options.on_exit), environment, log)
    return code


def _write_status(
    options: Options,
    *,
    phase: str,
    uuid: str | None,
    agent_pid: int | None = None,
    exit_code: int | None = None,
) -> None:
    """Write it as the agent's user where the agent may have put a link into the way."""
    user = options.user if options.status_path != contract.STATUS_PATH else None
    if user:
        os.setegid(user[1])
        os.seteuid(user[0])
    try:
        write_status(
            options.status_path, phase=phase, uuid=uuid, agent_pid=agent_pid, exit_code=exit_code
        )
    finally:
        if user:
            os.seteuid(0)
            os.setegid(0)


class Supervisor:
    """One agent and all that it starts, until nothing of it is left."""

    def __init__(self, agent: int, options: Options, log: Log, ignored: set[int]) -> None:
        self._agent = agent
        self._options = options
        self._log = log
        self._reach = Reach(options.user[0] if options.user else None)
        self._stops = stop_signals(options.signal_map) - ignored
        self._status: int | None = None  # as waitpid gives it, once the agent has ended
        self._deadline: float | None = None
        self._stopped_by: int | None = None
        self._is_suspended = False
        self._is_killing = False

    def run(self) -> int:
        """Forward and reap until the agent and its descendants are gone; the agent's code."""
        everything = signal.valid_signals()
        while self._status is None or has_children():
            if self._deadline is None:
                info = signal.sigwaitinfo(everything)
            else:
                left_s = max(0.0, self._deadline - _now())
                awaited = signal.sigtimedwait(everything, left_s)
                if awaited is None:
                    if self._is_killing:
                        break  # stuck in the kernel: leaving lets the kernel end it
                    self._kill()
                    continue
                info = awaited
            if info.si_signo == signal.SIGCHLD:
                self._reap()
            else:
                is_engine = info.si_code == _SI_USER and info.si_pid in _ENGINES
                self._forward(info.si_signo, is_engine=is_engine)
        return say_how_it_ended(
            self._log, self._status, stopped_by=self._stopped_by, is_killed=self._is_killing
        )

    def _forward(self, number: int, *, is_engine: bool) -> None:
        """Pass a signal on to whom the scope says."""
        wanted = self._options.signal_map.get(number, number)
        if not wanted:
            return
        if number == signal.SIGCONT:
            give_terminal(self._agent, os.getpgrp())  # a shell's `fg` gave it to us
        is_stop = number in self._stops
        if is_stop:
            self._stopped_by = number
            if self._begins_grace(number, wanted, is_engine=is_engine):
                self._begin_grace()
        scope = self._options.signal_scope
        if self._status is not None:  # reaped: its number could be somebody else's by now
            if is_stop:
                self._reach.signal_descendants(wanted)
            elif scope == SCOPE_GROUP:
                self._reach.signal(os.killpg, self._agent, wanted)
            return
        # Ctrl-Z has stopped the whole group, so `fg` continues all of it.
        is_for_all = (
            scope == SCOPE_GROUP
            or (is_stop and scope != SCOPE_AGENT)
            or (self._is_suspended and wanted == signal.SIGCONT)
        )
        if not (is_for_all and self._reach.signal(os.killpg, self._agent, wanted)):
            self._reach.signal(os.kill, self._agent, wanted)

    def _begins_grace(self, number: int, wanted: int, *, is_engine: bool) -> bool:
        signal_map = self._options.signal_map
        stops = {*_ALWAYS_STOPS, *(signal_map.get(stop, stop) for stop in _ALWAYS_STOPS)}
        return number in stops or wanted in stops or (is_engine and number in _ENGINE_STOPS)

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
            # One that was started while the others died.
            self._reach.signal_descendants(signal.SIGKILL)

    def _drain(self) -> None:
        """The agent's servers and browsers: asked to go, given time, then killed."""
        if has_children():
            self._reach.signal_descendants(signal.SIGTERM)
            self._reach.signal_descendants(signal.SIGCONT)  # a stopped one would not hear the first
            self._begin_grace()

    def _stop_too(self) -> None:
        """Ctrl-Z stopped the agent: let the shell above us have its terminal and its job."""
        if os.getpid() != 1:  # PID 1 cannot be stopped, and no shell is above it
            self._is_suspended = True
            os.kill(os.getpid(), signal.SIGSTOP)

    def _begin_grace(self) -> None:
        if self._deadline is None:
            self._deadline = _now() + self._options.grace_s

    def _kill(self) -> None:
        self._deadline, self._is_killing = _now() + KILL_WAIT_S, True
        self._reach.signal_descendants(signal.SIGKILL)
        self._log.warning(f"not gone after {self._options.grace_s:g} s: SIGKILL")


def _fail(exc: BaseException) -> int:
    """Say why there is nobody any more to supervise, and leave nothing running unseen."""
    if os.getpid() != 1:  # the kernel ends what is left of PID 1's
        for pid in descendants():
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
    if isinstance(exc, OSError | MemoryError):
        why = exc.strerror if isinstance(exc, OSError) else "no memory is left"
        Log(PROGRAM).error(f"the agent cannot be supervised: {why}", "look at the host's limits")
        return contract.EXIT_BUG
    say_bug(PROGRAM, exc)
    return contract.EXIT_BUG


def _now() -> float:
    import time  # built in, and needed only once somebody stops us

    return time.monotonic()


if __name__ == "__main__":
    main(sys.argv[1:])
