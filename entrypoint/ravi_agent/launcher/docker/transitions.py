"""What is told of an agent on its way from its start to its end, and the state it is in then."""

import sched
from collections.abc import Callable, Mapping

from ravi_agent.handover import parse_ready_line
from ravi_agent.identity import Identity
from ravi_agent.launcher.docker.endings import Endings
from ravi_agent.launcher.docker.errands import Errands
from ravi_agent.launcher.docker.progress import READY, STARTED, Progress
from ravi_agent.launcher.model.agents import Agent, State
from ravi_agent.launcher.model.events import (
    AgentEvent,
    Asked,
    EntrypointFailed,
    OutOfMemory,
    Paused,
    Ready,
    Restarted,
    Signalled,
    Started,
    TakenOver,
)
from ravi_agent.launcher.model.exit_codes import is_account_refused
from ravi_agent.launcher.model.observer import Reporter

# The entrypoint's own grace is 8 s; after this it is the engine's turn.
STOP_WAIT_S = 10.0


class Transitions:
    """Applies to an agent what is told of it before its end; in the fleet's thread."""

    def __init__(
        self,
        endings: Endings,
        errands: Errands,
        timers: sched.scheduler,
        reporter: Reporter,
        progress: Progress,
        *,
        known: Mapping[str, Identity],
        timeout_s: int | None,
        is_stopping: Callable[[], bool],
    ) -> None:
        """known: identities by name, as the service has them. timeout_s: for each agent."""
        self._endings = endings
        self._errands = errands
        self._timers = timers
        self._reporter = reporter
        self._progress = progress
        self._known = known
        self._timeout_s = timeout_s
        self._is_stopping = is_stopping

    def apply(self, agent: Agent, event: AgentEvent) -> None:
        match event:
            case Asked(at=at):
                agent.asked_at = at
                self._change(agent, State.STARTING)
            case TakenOver(container=container, age_s=age_s):
                self._has_started(agent, container, age_s)
            case Started(container=container):
                self._has_started(agent, container, 0.0)
            case Ready(line=line, at=at):
                self._become_ready(agent, line, at)
            case EntrypointFailed(error=error):
                if not agent.is_timed_out:
                    agent.error = error
                    agent.is_account_refused = is_account_refused(error)
            case OutOfMemory() | Signalled() | Restarted() | Paused():
                # Anybody may have given another container the labels of this one.
                if event.container == agent.container and not agent.is_final:
                    self._apply_to_container(agent, event)

    def _apply_to_container(
        self, agent: Agent, event: OutOfMemory | Signalled | Restarted | Paused
    ) -> None:
        back = State.RUNNING if agent.identity else State.PROVISIONING
        match event:
            case OutOfMemory():
                agent.is_out_of_memory = True
            case Signalled():
                agent.is_signalled = not (self._is_stopping() or agent.is_timed_out)
            case Restarted():
                if self._endings.restarted(agent):
                    self._change(agent, back)
            case Paused(is_paused=is_paused):
                if agent.is_up:
                    self._change(agent, State.PAUSED if is_paused else back)

    def _has_started(self, agent: Agent, container: str, age_s: float) -> None:
        agent.container = container
        self._progress.mark(agent.task.index, STARTED)
        self._change(agent, State.PROVISIONING)
        if self._is_stopping() or agent.is_unwanted:  # its start was under way
            self._errands.signal(agent, "SIGTERM")
        elif self._timeout_s is not None:
            left_s = self._timeout_s - age_s
            self._timers.enter(left_s, 0, self._time_out, (agent, container))
        self._endings.check(agent)

    def _time_out(self, agent: Agent, container: str) -> None:
        if agent.container != container or not agent.is_up or self._is_stopping():
            return
        signal = "SIGKILL" if agent.is_timed_out else "SIGTERM"
        agent.is_timed_out = True
        agent.error = f"still running after --timeout {self._timeout_s}s"
        self._errands.signal(agent, signal)
        self._timers.enter(STOP_WAIT_S, 0, self._time_out, (agent, container))

    def _become_ready(self, agent: Agent, line: bytes, at: float) -> None:
        said = parse_ready_line(line)
        # Another name's would be a line of the agent's own, in a log that has been rotated.
        if agent.identity or not said or said.name != agent.task.identity_name:
            return
        agent.identity = self._known.get(said.name, said)
        self._progress.mark(agent.task.index, READY)
        if agent.asked_at:
            agent.ready_s = at - agent.asked_at
        if not agent.is_final:
            self._change(agent, State.RUNNING)

    def _change(self, agent: Agent, state: State) -> None:
        agent.state = state
        self._reporter.changed(agent)
