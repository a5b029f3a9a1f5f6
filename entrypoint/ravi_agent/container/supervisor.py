"""One agent under supervision: who gets a signal, what is reaped, when it is killed."""

import os

from ravi_agent.container import prctl
from ravi_agent.container.descendants import Reach, has_children
from ravi_agent.container.options import SCOPE_AGENT, SCOPE_GROUP, Options
from ravi_agent.container.spawn import Spawner, give_terminal
from ravi_agent.container.stop import stop_signals
from ravi_agent.container.verdict import say_how_it_ended
from ravi_agent.contract import EXIT_TIMED_OUT
from ravi_agent.log import Log

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # as in stop.py

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


class Supervisor:
    """One agent and all that it starts, until nothing of it is left.

    is_hook: it is the start hook instead, and what that leaves behind is left to the agent.
    stopped_by: the last stop signal that came.
    """

    def __init__(
        self,
        agent: int,
        options: Options,
        log: Log,
        ignored: set[int],
        spawner: Spawner,
        *,
        is_hook: bool = False,
    ) -> None:
        self.stopped_by: int | None = None
        self._agent = agent
        self._options = options
        self._log = log
        self._spawner = spawner
        self._is_hook = is_hook
        self._reach = Reach(options.user[0] if options.user else None)
        self._stops = stop_signals(options.signal_map) - ignored
        self._status: int | None = None  # as waitpid gives it, once the agent has ended
        self._deadline: float | None = None
        self._timeout_s = None if is_hook else options.timeout_s
        self._is_timed_out = False
        self._stop_hook = None if is_hook else options.stop_hook
        self._stop_hook_pid: int | None = None  # while it runs
        self._held: int | None = None  # what the agent gets once it has ended
        self._is_parent_watched = options.parent is not None
        self._is_suspended = False
        self._is_killing = False

    def run(self) -> int:
        """Forward and reap until the agent and its descendants are gone; the agent's code."""
        if self._is_parent_watched:
            # Comes with every thread of the parent's that ends: _reap looks whether it is gone.
            if not prctl.signal_at_parents_end(signal.SIGCHLD):
                self._log.warning("the end of the parent goes unnoticed", "stop the agent by hand")
            self._look_for_parent()
        everything = signal.valid_signals()
        self._reap()  # an agent that was started early may have ended already
        ends_at = None if self._timeout_s is None else _now() + self._timeout_s
        while self._status is None or (has_children() and not self._is_hook):
            until = ends_at if self._deadline is None else self._deadline
            if until is None:
                info = signal.sigwaitinfo(everything)
            else:
                awaited = signal.sigtimedwait(everything, max(0.0, until - _now()))
                if awaited is None:
                    if self._deadline is None:
                        self._time_out()
                        continue
                    if self._is_killing:
                        break  # stuck in the kernel: leaving lets the kernel end it
                    self._kill()
                    continue
                info = awaited
            if info.si_signo == signal.SIGCHLD:
                self._look_for_parent()
                self._reap()
            else:
                is_engine = info.si_code == _SI_USER and info.si_pid in _ENGINES
                self._forward(info.si_signo, is_engine=is_engine)
        code = say_how_it_ended(
            self._log,
            self._status,
            stopped_by=self.stopped_by,
            is_killed=self._is_killing,
            who="the start hook" if self._is_hook else "the agent",
        )
        return EXIT_TIMED_OUT if self._is_timed_out else code

    def _forward(self, number: int, *, is_engine: bool) -> None:
        """Pass a signal on to whom the scope says."""
        wanted = self._options.signal_map.get(number, number)
        if not wanted:
            return
        if number == signal.SIGCONT:
            give_terminal(self._agent, os.getpgrp())  # a shell's `fg` gave it to us
        is_stop = number in self._stops
        if is_stop:
            self.stopped_by = number
            if self._begins_grace(number, wanted, is_engine=is_engine):
                self._begin_grace()
                if self._begin_stop_hook(wanted):
                    return
        self._send(wanted, is_stop=is_stop)

    def _send(self, wanted: int, *, is_stop: bool) -> None:
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

    def _begin_stop_hook(self, wanted: int) -> bool:
        """Whether the agent has to wait for its signal until the stop hook has ended."""
        hook, self._stop_hook = self._stop_hook, None  # once
        if not hook or self._status is not None:
            return False
        try:
            self._stop_hook_pid = self._spawner.start([hook])
        except OSError as exc:
            self._log.warning(f"RAVI_STOP_HOOK={hook!r}: {exc.strerror}", "raise --pids-limit")
            return False
        self._held = wanted
        return True

    def _time_out(self) -> None:
        """RAVI_TIMEOUT is over: stop the agent as an engine would."""
        self._is_timed_out = True
        self._log.warning(f"still running after {self._timeout_s:g} s", "raise RAVI_TIMEOUT")
        self._begin_grace()
        self._forward(signal.SIGTERM, is_engine=False)

    def _look_for_parent(self) -> None:
        if self._is_parent_watched and os.getppid() != self._options.parent:
            self._is_parent_watched = False
            self._begin_grace()  # whatever RAVI_SIGNAL_MAP makes of the signal
            self._forward(signal.SIGTERM, is_engine=False)
            self._log.info("whoever started this has ended: stopping the agent")

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
            if pid == self._stop_hook_pid and not os.WIFSTOPPED(status):
                self._stop_hook_pid = None
                if self._held is not None:
                    self._send(self._held, is_stop=True)
                    self._held = None
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
        if has_children() and not self._is_hook:
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


def _now() -> float:
    import time  # built in, and needed only once somebody stops us

    return time.monotonic()
