"""Carry out a plan: start the agents, hand over, listen, and know what became of each."""

import queue
import sched
import time
from collections.abc import Callable, Mapping
from functools import partial

from ravi_agent.errors import EngineError
from ravi_agent.handover import parse_ready_line
from ravi_agent.identity import Identity
from ravi_agent.launcher.docker.absence import KILLED, Absence
from ravi_agent.launcher.docker.engine import DockerEngine
from ravi_agent.launcher.docker.events import Watch
from ravi_agent.launcher.docker.handovers import Handovers
from ravi_agent.launcher.docker.networks import Networks
from ravi_agent.launcher.docker.output_mux import OutputMux
from ravi_agent.launcher.docker.signals import Signals
from ravi_agent.launcher.docker.starters import Starters
from ravi_agent.launcher.model.agents import (
    Agent,
    AgentEvent,
    Asked,
    Broken,
    Died,
    EngineBack,
    EngineLeft,
    EntrypointFailed,
    Event,
    Interrupted,
    OutOfMemory,
    OutputOver,
    Paused,
    Ready,
    Refused,
    Started,
    State,
    TakenOver,
    still_running,
)
from ravi_agent.launcher.model.container_status import ContainerStatus
from ravi_agent.launcher.model.exit_codes import is_account_refused, meaning_of
from ravi_agent.launcher.model.observer import Reporter
from ravi_agent.launcher.planning.plan import Plan

# The entrypoint's own grace is 8 s; after this it is the engine's turn.
STOP_WAIT_S = 10.0
# While the run is being stopped, how long the rest of a dead agent's output is waited for.
_OUTPUT_WAIT_S = 2.0
_RETRY_S, _RETRY_LIMIT_S = 1.0, 30.0  # doubled with each start


class Fleet:
    """One run in the foreground.

    All state changes in the thread that calls `run`; starters, the output reader, the event watch
    and signal handlers only put events on its queue. Agents' output never does: it goes from its
    reader to `reporter`. Threads: `concurrency` starters, a few that send signals, and two more,
    whatever the number of agents.
    """

    def __init__(
        self,
        plan: Plan,
        engine: DockerEngine,
        networks: Networks,
        handovers: Handovers,
        reporter: Reporter,
        *,
        there: Mapping[int, ContainerStatus] | None = None,
        known: Mapping[str, Identity] | None = None,
    ) -> None:
        """there: containers of an earlier launcher, by index. known: identities, by name."""
        self.plan = plan
        self.agents = [Agent(task=task) for task in plan.tasks]
        self._engine = engine
        self._there = there or {}
        self._known = known if known is not None else {}
        self._reporter = reporter
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._timers = sched.scheduler()
        self._mux = OutputMux(self._events.put, self._show)
        self._starters = Starters(plan, engine, networks, handovers, self._mux, self._events.put)
        self._signals = Signals(engine, reporter.note)
        self._is_stopping = False
        self._open = len(self.agents)
        self._failed = 0
        self._refusal: str | None = None  # of the account: no other agent can do better
        self._absence = Absence(self.agents, reporter)

    def run(self, *, until_ready: bool = False) -> None:
        """Until every agent has ended, or runs. Whatever comes between stops them all first."""
        watch = Watch(self._engine, self.plan.run, self._events.put, count=len(self.agents))
        try:
            for task in self.plan.tasks:
                if existing := self._there.get(task.index):
                    self._starters.take_over(task, existing)
                else:
                    self._starters.start(task)
            self._run_until_over(until_ready=until_ready)
        except BaseException:  # a bug: nothing is left half started
            self._stop(None)
            self._run_until_over(until_ready=False)
            raise
        finally:
            self._starters.close()
            self._signals.close()
            watch.close()
            self._mux.close()

    def interrupt(self, is_forced: bool) -> None:
        """Have the run stopped; from a signal handler, or any thread."""
        self._events.put(Interrupted(is_forced=is_forced))

    def left(self) -> str:
        """The agents that have been started and have not ended, in words."""
        return still_running(self.agents, self.plan.run)

    def _run_until_over(self, *, until_ready: bool) -> None:
        while self._open:
            if until_ready and not self._is_stopping and all(one.is_settled for one in self.agents):
                return
            self._step()
            if self._refusal and not self._is_stopping:
                self._stop(f"stopped: {self._refusal}")
            limit = self.plan.flow.max_failures
            if limit is not None and self._failed > limit and not self._is_stopping:
                self._stop(f"stopped: {self._failed} others failed")

    def _step(self) -> None:
        """Run the timers that are due; then wait for one event or timer."""
        wait_s = self._timers.run(blocking=False)
        if not self._open:
            return
        try:
            self._handle(self._events.get(timeout=wait_s))
        except queue.Empty:
            return  # the next timer is due

    def _stop(self, why: str | None) -> None:
        """Begin to end everything: TERM now, KILL once the time to go is over."""
        self._is_stopping = True
        self._timers = sched.scheduler()
        self._mux.hurry()
        under_way = self._starters.stop()
        while not self._events.empty():
            self._handle(self._events.get())
        for agent in self.agents:
            if not agent.is_final:
                agent.error = agent.error or why
                if agent.container is None and agent.task.index not in under_way:
                    self._end(agent, State.STOPPED)
                self._end_if_over(agent)
        self._signals.send_all(self.agents, "SIGTERM")
        self._timers.enter(STOP_WAIT_S, 0, self._kill_all)

    def _kill_all(self) -> None:
        self._signals.send_all(self.agents, "SIGKILL")
        self._timers.enter(STOP_WAIT_S, 0, self._kill_all)

    def _show(self, index: int, data: bytes, *, is_error: bool, shown: Callable[[], None]) -> None:
        self._reporter.output(self.agents[index], data, is_error=is_error, shown=shown)

    def _handle(self, event: Event) -> None:
        match event:
            case EngineLeft():
                self._absence.begin()
            case EngineBack(exit_codes=exit_codes):
                again = self._starters.hear_again
                self._absence.end(exit_codes, hear_again=again, died=self._died)
            case Broken(error=error):
                raise error
            case Interrupted(is_forced=is_forced):
                if not self._is_stopping:
                    self._stop(None)
                if is_forced:
                    self._signals.send_all(self.agents, "SIGKILL")
            case _:
                self._handle_agent(self.agents[event.index], event)

    def _handle_agent(self, agent: Agent, event: AgentEvent) -> None:
        match event:
            case Asked(at=at):
                agent.asked_at = at
                self._change(agent, State.STARTING)
            case TakenOver(container=container, age_s=age_s):
                self._has_started(agent, container, age_s)
            case Started(container=container):
                self._has_started(agent, container, 0.0)
            case Refused(error=error, ends_run=ends_run):
                agent.error, agent.is_account_refused = agent.error or error, ends_run
                self._end(agent, State.STOPPED if self._is_stopping else State.FAILED)
            case Ready(line=line, at=at):
                self._become_ready(agent, line, at)
            case EntrypointFailed(error=error):
                if not agent.is_timed_out:
                    agent.error = error
                    agent.is_account_refused = is_account_refused(error)
            case OutputOver(last_lines=lines):
                agent.is_output_over = True
                agent.lines.extend(lines)
                self._end_if_over(agent)
            case OutOfMemory():
                agent.is_out_of_memory = True
            case Paused(is_paused=is_paused):
                if agent.is_up:
                    back = State.RUNNING if agent.identity else State.PROVISIONING
                    self._change(agent, State.PAUSED if is_paused else back)
            case Died(container=container, exit_code=exit_code):
                self._died(agent, container, exit_code)

    def _has_started(self, agent: Agent, container: str, age_s: float) -> None:
        agent.container = container
        self._change(agent, State.PROVISIONING)
        if self._is_stopping:  # its start was under way
            self._signals.send(agent, "SIGTERM")
        elif self.plan.flow.timeout_s is not None:
            left_s = self.plan.flow.timeout_s - age_s
            self._timers.enter(left_s, 0, self._time_out, (agent, container))
        self._end_if_over(agent)

    def _time_out(self, agent: Agent, container: str) -> None:
        if agent.container != container or not agent.is_up:
            return
        signal = "SIGKILL" if agent.is_timed_out else "SIGTERM"
        agent.is_timed_out = True
        agent.error = f"still running after --timeout {self.plan.flow.timeout_s}s"
        self._signals.send(agent, signal)
        self._timers.enter(STOP_WAIT_S, 0, self._time_out, (agent, container))

    def _become_ready(self, agent: Agent, line: bytes, at: float) -> None:
        said = parse_ready_line(line)
        # Another name's would be a line of the agent's own, in a log that has been rotated.
        if agent.identity or not said or said.name != agent.task.identity_name:
            return
        agent.identity = self._known.get(said.name, said)
        if agent.asked_at:
            agent.ready_s = at - agent.asked_at
        self._change(agent, State.RUNNING)

    def _died(self, agent: Agent, container: str, exit_code: int) -> None:
        agent.deaths[container] = exit_code
        self._end_if_over(agent)

    def _end_if_over(self, agent: Agent) -> None:
        """An agent has ended once its container has, and all it wrote has been read."""
        code = agent.deaths.get(agent.container or "")
        if agent.is_final or code is None:
            return
        agent.exit_code = code
        if not agent.is_output_over:
            if self._is_stopping:
                self._timers.enter(_OUTPUT_WAIT_S, 0, self._end_without_output, (agent,))
            return
        if code and agent.is_out_of_memory:
            agent.error = "killed for want of memory"
        elif code == KILLED and not agent.error and not self._is_stopping:
            agent.error = self._why_killed(str(agent.container))
        elif not agent.error:
            agent.error = meaning_of(code, has_started=agent.identity is not None)
        self._end(agent, State.STOPPED if self._is_stopping else State.EXITED)

    def _end_without_output(self, agent: Agent) -> None:
        agent.is_output_over = True
        self._end_if_over(agent)

    def _why_killed(self, container: str) -> str | None:
        try:
            return self._engine.why_killed(container)
        except EngineError:
            return None  # an engine that has just gone: the watch says so

    def _end(self, agent: Agent, state: State) -> None:
        self._starters.free_place()
        agent.state = state
        agent.ended_at = time.monotonic()
        if agent.is_success or self._is_stopping:
            self._open -= 1
        elif agent.attempt <= self.plan.flow.retries and agent.is_worth_retrying:
            self._retry(agent)
            return
        else:
            self._open -= 1
            self._failed += 1
            if agent.is_account_refused:
                self._refusal = agent.error
        self._reporter.changed(agent)

    def _retry(self, agent: Agent) -> None:
        delay_s = min(_RETRY_LIMIT_S, _RETRY_S * 2 ** (agent.attempt - 1))
        start = f"start {agent.attempt + 1} of {self.plan.flow.retries + 1} in {delay_s:.0f} s"
        self._reporter.note(f"{agent.task.id} failed: {agent.cause}; {start}")
        again = partial(self._starters.start, agent.task, replaced=agent.container or "")
        agent.begin_again()
        self._timers.enter(delay_s, 0, again)
        self._reporter.changed(agent)

    def _change(self, agent: Agent, state: State) -> None:
        agent.state = state
        self._reporter.changed(agent)
