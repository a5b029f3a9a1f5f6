"""Carry out a plan: start the agents, hand over, listen, and know what became of each."""

import queue
import sched
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from ravi_agent import contract
from ravi_agent.errors import EngineError
from ravi_agent.handover import parse_ready_line
from ravi_agent.launcher.docker.engine import UNKNOWN_CODE, DockerEngine
from ravi_agent.launcher.docker.events import Watch
from ravi_agent.launcher.docker.handovers import Handovers
from ravi_agent.launcher.docker.networks import Networks
from ravi_agent.launcher.docker.output_mux import OutputMux
from ravi_agent.launcher.docker.starters import Starters
from ravi_agent.launcher.model.agents import (
    Agent,
    AgentEvent,
    Asked,
    Broken,
    Died,
    EngineBack,
    EngineLeft,
    Event,
    OutOfMemory,
    Output,
    OutputOver,
    Paused,
    Refused,
    Started,
    State,
    TakenOver,
)
from ravi_agent.launcher.model.container_status import ContainerStatus
from ravi_agent.launcher.model.observer import Observer
from ravi_agent.launcher.planning.plan import Plan

# The entrypoint's own grace is 8 s; after this it is the engine's turn.
STOP_WAIT_S = 10.0
_SIGNALLERS = 8  # threads
_RETRY_S, _RETRY_LIMIT_S = 1.0, 30.0  # doubled with each start
_READY_PREFIX = contract.READY_PREFIX.encode()
_ERROR_PREFIX = "ravi-entrypoint: error: "
_WITH_THE_ENGINE = "the engine stopped, and its container with it"
_ENGINE_STOP_S = 30.0  # twice what dockerd gives its containers (dockerd, --shutdown-timeout)
_KILLED = (contract.EXIT_SIGNAL_BASE + 9, contract.EXIT_SIGNAL_BASE + 15)


class Fleet:
    """One run in the foreground.

    All state changes in the thread that calls `run`; starters, the output reader and the event
    watch only put events on its queue. Threads: `concurrency` starters, a few that send signals,
    and two more, whatever the number of agents.
    """

    def __init__(
        self,
        plan: Plan,
        engine: DockerEngine,
        networks: Networks,
        handovers: Handovers,
        observer: Observer,
        *,
        there: Mapping[int, ContainerStatus] | None = None,
    ) -> None:
        """there: containers of this run that an earlier launcher has started, by index."""
        self.plan = plan
        self.agents = [Agent(task=task) for task in plan.tasks]
        self._engine = engine
        self._there = there or {}
        self._observer = observer
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._timers = sched.scheduler()
        self._mux = OutputMux(self._events.put)
        self._starters = Starters(plan, engine, networks, handovers, self._mux, self._events.put)
        self._signallers = ThreadPoolExecutor(_SIGNALLERS, thread_name_prefix="signal")
        self._is_stopping = False
        self._open = len(self.agents)
        self._failed = 0
        self._lost = 0  # agents that ended with the engine, or while it was away

    def run(self, *, until_ready: bool = False) -> None:
        """Until every agent has ended, or runs. Whatever comes between stops them all first."""
        watch = Watch(self._engine, self.plan.run, self._events.put)
        try:
            for task in self.plan.tasks:
                if existing := self._there.get(task.index):
                    self._starters.take_over(task, existing)
                else:
                    self._starters.start(task)
            while self._open and not self._has_failed_too_often():
                if until_ready and self._is_ready():
                    break
                self._step()
            if self._has_failed_too_often():
                self._stop(f"stopped: {self._failed} others failed")
        except BaseException:  # Ctrl-C, or a bug of ours: nothing is left half started
            self._stop(None)
            raise
        finally:
            self._starters.stop()
            self._signallers.shutdown()
            watch.close()
            self._mux.close()

    def _is_ready(self) -> bool:
        return all(agent.is_settled for agent in self.agents)

    def _has_failed_too_often(self) -> bool:
        limit = self.plan.flow.max_failures
        return limit is not None and self._failed > limit and self._open > 0

    def _step(self) -> None:
        """Run the timers that are due; then wait for one event, or for the next timer."""
        wait_s = self._timers.run(blocking=False)
        try:
            self._handle(self._events.get(timeout=wait_s))
        except queue.Empty:
            return  # the next timer is due

    def _stop(self, why: str | None) -> None:
        """End everything that was started: TERM, time to go, KILL."""
        self._is_stopping = True
        self._timers = sched.scheduler()
        self._starters.stop()  # those under way finish: their containers show up
        while not self._events.empty():
            self._handle(self._events.get())
        for agent in self.agents:
            if not agent.is_final:
                agent.error = agent.error or why
                if agent.container is None:
                    self._end(agent, State.STOPPED)
        self._signal_all("SIGTERM")
        self._timers.enter(STOP_WAIT_S, 0, self._kill_all)
        while self._open:
            self._step()

    def _kill_all(self) -> None:
        self._signal_all("SIGKILL")
        self._timers.enter(STOP_WAIT_S, 0, self._kill_all)

    def _signal_all(self, signal: str) -> None:
        for agent in self.agents:
            if agent.is_up:
                self._signal(agent, signal)

    def _signal(self, agent: Agent, signal: str) -> None:
        container = agent.container or ""

        def send() -> None:
            try:
                self._engine.kill(container, signal)
            except EngineError as exc:  # it ends with the engine, or is signalled again
                self._observer.note(str(exc))

        self._signallers.submit(send)

    def _handle(self, event: Event) -> None:
        match event:
            case EngineLeft():
                self._observer.note("the engine went away; waiting for it to come back")
                self._blame_engine()
            case EngineBack(exit_codes=exit_codes):
                self._reconcile(exit_codes)
            case Broken(error=error):
                raise error
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
            case Refused(error=error):
                agent.error = error
                self._end(agent, State.FAILED)
            case Output():
                self._hear(agent, event)
            case OutputOver():
                agent.is_output_over = True
                self._end_if_over(agent)
            case OutOfMemory():
                agent.is_out_of_memory = True
            case Paused(is_paused=is_paused):
                if agent.is_up:
                    back = State.RUNNING if agent.identity else State.PROVISIONING
                    self._change(agent, State.PAUSED if is_paused else back)
            case Died(container=container, exit_code=exit_code):
                agent.deaths[container] = exit_code
                self._end_if_over(agent)

    def _has_started(self, agent: Agent, container: str, age_s: float) -> None:
        agent.container = container
        self._change(agent, State.PROVISIONING)
        if self.plan.flow.timeout_s is not None:
            left_s = self.plan.flow.timeout_s - age_s
            self._timers.enter(left_s, 0, self._time_out, (agent, container))
        self._end_if_over(agent)

    def _time_out(self, agent: Agent, container: str) -> None:
        if agent.container != container or not agent.is_up:
            return
        signal = "SIGKILL" if agent.is_timed_out else "SIGTERM"
        agent.is_timed_out = True
        agent.error = f"still running after --timeout {self.plan.flow.timeout_s}s"
        self._signal(agent, signal)
        self._timers.enter(STOP_WAIT_S, 0, self._time_out, (agent, container))

    def _hear(self, agent: Agent, event: Output) -> None:
        if event.is_error and event.line.startswith(_READY_PREFIX):
            if agent.identity:
                return  # heard before, or an agent that plays the entrypoint
            # Only the entrypoint can have written this: the agent has not started yet.
            agent.identity = parse_ready_line(event.line)
            if agent.identity:
                if agent.asked_at:
                    agent.ready_s = event.at - agent.asked_at
                self._change(agent, State.RUNNING)
                return
        line = event.line.decode(errors="replace")
        if event.is_error and line.startswith(_ERROR_PREFIX) and not agent.is_timed_out:
            agent.error = line.removeprefix(_ERROR_PREFIX)
        agent.lines.append(line)
        self._observer.output(agent, line, is_error=event.is_error)

    def _blame_engine(self) -> None:
        """An engine that is stopped first stops its containers, and says so while it still can."""
        since = time.monotonic() - _ENGINE_STOP_S
        for agent in self.agents:
            is_recent = agent.is_final and agent.ended_at > since
            if is_recent and agent.exit_code in _KILLED and not agent.error:
                self._lost += 1
                agent.error = _WITH_THE_ENGINE
                self._observer.changed(agent)

    def _reconcile(self, exit_codes: Mapping[str, int | None]) -> None:
        """What the engine's absence has done to the agents that had been started."""
        for agent in [agent for agent in self.agents if agent.is_up]:
            container = str(agent.container)
            code = exit_codes.get(container, -1)
            if code is None:
                if agent.is_output_over:
                    agent.is_output_over = False
                    self._starters.hear_again(agent.task.index, container)
                continue
            if code == -1:
                agent.error = "its container was removed while the engine was away"
                code = _KILLED[0]
            elif code in {*_KILLED, UNKNOWN_CODE}:
                agent.error = _WITH_THE_ENGINE
            self._lost += 1
            agent.is_output_over = True
            self._handle_agent(agent, Died(index=0, container=container, exit_code=code))
        self._observer.note(f"the engine is back; {self._lost} agents ended while it was away")
        self._lost = 0

    def _end_if_over(self, agent: Agent) -> None:
        """An agent has ended once its container has, and all it wrote has been read."""
        code = agent.deaths.get(agent.container or "")
        if agent.is_final or code is None:
            return
        agent.exit_code = code
        if not agent.is_output_over:
            return
        if code and agent.is_out_of_memory:
            agent.error = "killed for want of memory"
        elif code == _KILLED[0] and not agent.error and not self._is_stopping:
            agent.error = self._why_killed(str(agent.container))
        self._end(agent, State.STOPPED if self._is_stopping else State.EXITED)

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
        self._observer.changed(agent)

    def _retry(self, agent: Agent) -> None:
        delay_s = min(_RETRY_LIMIT_S, _RETRY_S * 2 ** (agent.attempt - 1))
        self._observer.note(
            f"{agent.task.id} failed: {agent.cause}; start {agent.attempt + 1} of"
            f" {self.plan.flow.retries + 1} in {delay_s:.0f} s"
        )
        replaced = agent.container or ""
        agent.begin_again()
        start = partial(self._starters.start, agent.task, replaced=replaced)
        self._timers.enter(delay_s, 0, start)
        self._observer.changed(agent)

    def _change(self, agent: Agent, state: State) -> None:
        agent.state = state
        self._observer.changed(agent)
