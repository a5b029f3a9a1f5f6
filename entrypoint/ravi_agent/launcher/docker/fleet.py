"""Carry out a plan: start the agents, hand over, listen, and know what became of each."""

import queue
import sched
from collections.abc import Callable, Mapping
from functools import partial

from ravi_agent.identity import Identity
from ravi_agent.launcher.docker.absence import Absence
from ravi_agent.launcher.docker.driver import Driver, UnseatedError
from ravi_agent.launcher.docker.earlier import Earlier
from ravi_agent.launcher.docker.endings import Endings
from ravi_agent.launcher.docker.engine import DockerEngine
from ravi_agent.launcher.docker.errands import Errands
from ravi_agent.launcher.docker.events import Watch
from ravi_agent.launcher.docker.handovers import Handovers
from ravi_agent.launcher.docker.networks import Networks
from ravi_agent.launcher.docker.notes import DRIVER, STOP
from ravi_agent.launcher.docker.output_mux import OutputMux
from ravi_agent.launcher.docker.progress import AGAIN, Progress
from ravi_agent.launcher.docker.rounds import Rounds
from ravi_agent.launcher.docker.starters import Starters
from ravi_agent.launcher.docker.transitions import STOP_WAIT_S, Transitions
from ravi_agent.launcher.model.agents import Agent, State
from ravi_agent.launcher.model.events import (
    AgentEvent,
    Broken,
    Died,
    EngineBack,
    EngineLeft,
    Event,
    Interrupted,
    Noted,
    OutputCut,
    OutputOver,
    Refused,
    StopAsked,
    Unseated,
)
from ravi_agent.launcher.model.observer import Reporter
from ravi_agent.launcher.planning.plan import Plan

_RETRY_S, _RETRY_LIMIT_S = 1.0, 30.0  # doubled with each start
_GONE = "its container was removed, and nobody knows its end"
_STOPPED = "stopped by ravi-launch stop"


class Fleet:
    """One run in the foreground.

    All state changes in the thread that calls `run`; starters, the output reader, the event watch
    and signal handlers only put events on its queue. Agents' output never does: it goes from its
    reader to `reporter`. Threads: `concurrency` starters, a few for errands, and two more, whatever
    the number of agents.
    """

    def __init__(
        self,
        plan: Plan,
        engine: DockerEngine,
        networks: Networks,
        handovers: Handovers,
        reporter: Reporter,
        *,
        progress: Progress,
        earlier: Earlier,
        driver: Driver | None = None,
        known: Mapping[str, Identity] | None = None,
    ) -> None:
        """earlier: what an earlier launcher has left. known: identities, by name."""
        self.plan = plan
        self.agents = [Agent(task=task) for task in plan.tasks]
        self._engine = engine
        self._earlier = earlier
        self._progress = progress
        self._reporter = reporter
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._timers = sched.scheduler()
        self._mux = OutputMux(self._events.put, self._show)
        self._starters = Starters(
            plan, engine, networks, handovers, self._mux, self._events.put, progress
        )
        self._errands = Errands(engine, self._mux, self._events.put, reporter.note)
        self._endings = Endings(engine, self._errands, self._timers, self._end)
        self._transitions = Transitions(
            self._endings,
            self._errands,
            self._timers,
            reporter,
            progress,
            known=known if known is not None else {},
            timeout_s=plan.flow.timeout_s,
            is_stopping=lambda: self._is_stopping,
        )
        self._rounds = Rounds(
            self._errands, self._timers, progress, plan.run, self.agents, driver=driver
        )
        self._is_stopping = False
        self._open = len(self.agents)
        self._settled = 0  # so many from the first on have been seen settled
        self._failed = 0
        self._refusal: str | None = None  # of the account: no other agent can do better
        self._absence = Absence(self.agents, reporter)

    def run(self, *, until_ready: bool = False) -> None:
        """Until every agent has ended, or runs. Whatever comes between stops them all first.

        Raises UnseatedError where the run is not this launcher's any more.
        """
        watch = Watch(self._engine, self.plan.run, self._events.put, count=len(self.agents))
        try:
            self._begin()
            self._rounds.begin()
            self._run_until_over(until_ready=until_ready)
        except UnseatedError:
            self._progress.drop()
            raise
        except BaseException:  # a bug: nothing is left half started
            self._stop(None, STOP_WAIT_S)
            self._run_until_over(until_ready=False)
            raise
        finally:
            self._starters.close()
            self._errands.do(self._progress.flush)
            self._errands.close()
            watch.close()
            self._mux.close()

    def interrupt(self, is_forced: bool) -> None:
        """Have the run stopped; from a signal handler, or any thread."""
        self._events.put(Interrupted(is_forced=is_forced))

    def _begin(self) -> None:
        for agent in self.agents:
            index = agent.task.index
            if existing := self._earlier.under_way.get(index):
                is_told = index in self._earlier.told
                self._starters.take_over(agent.task, existing, is_told=is_told)
            elif index in self._earlier.ended or index in self._earlier.gone:
                agent.exit_code = self._earlier.ended.get(index)
                agent.error = _GONE if agent.exit_code is None else None
                self._end(agent, has_place=False)
            elif index in self._earlier.taken:
                name = self.plan.container_name(agent.task)
                agent.error = f"container name {name} is already in use, and not by an agent"
                self._end(agent, has_place=False, can_retry=False)
            else:
                self._starters.start(agent.task)

    def _run_until_over(self, *, until_ready: bool) -> None:
        while self._open:
            if until_ready and not self._is_stopping and self._are_settled():
                return
            self._step()
            if self._refusal and not self._is_stopping:
                self._stop(f"stopped: {self._refusal}", STOP_WAIT_S)
            limit = self.plan.flow.max_failures
            if limit is not None and self._failed > limit and not self._is_stopping:
                self._stop(f"stopped: {self._failed} others failed", STOP_WAIT_S)

    def _are_settled(self) -> bool:
        # Asked at every event: not of all agents each time.
        while self._settled < len(self.agents) and self.agents[self._settled].is_settled:
            self._settled += 1
        return self._settled == len(self.agents) and all(one.is_settled for one in self.agents)

    def _step(self) -> None:
        """Run the timers that are due; then wait for one event or timer."""
        wait_s = self._timers.run(blocking=False)
        if not self._open:
            return
        try:
            self._handle(self._events.get(timeout=wait_s))
        except queue.Empty:
            return  # the next timer is due

    def _stop(self, why: str | None, grace_s: float) -> None:
        """Begin to end everything: TERM now, KILL once the time to go is over."""
        self._is_stopping = True
        under_way = self._starters.stop()
        while not self._events.empty():
            self._handle(self._events.get())
        for agent in self.agents:
            if not agent.is_final:
                agent.error = agent.error or why
                if agent.container is None and agent.task.index not in under_way:
                    self._end(agent, is_stopped=True)
                self._endings.hurry(agent)
        self._errands.signal_all(self.agents, "SIGTERM")
        # Behind the signals: agents that write without end, read again, would keep the engine busy.
        self._errands.do(self._mux.hurry)
        self._timers.enter(grace_s, 0, self._kill_all)

    def _kill_all(self) -> None:
        self._errands.signal_all(self.agents, "SIGKILL")
        self._timers.enter(STOP_WAIT_S, 0, self._kill_all)

    def _stop_some(self, asked: StopAsked) -> None:
        """Start some tasks no more: whoever asks for it signals those that run."""
        if asked.is_whole:
            if not self._is_stopping:
                self._reporter.note("the run is being stopped: ravi-launch stop")
                self._stop(_STOPPED, float(asked.grace_s))
            return
        for agent in self.agents:
            if agent.task.id not in asked.tasks or agent.is_unwanted or agent.is_final:
                continue
            agent.is_unwanted = True
            agent.error = agent.error or _STOPPED
            if self._starters.drop(agent.task.index) and agent.container is None:
                self._end(agent, has_place=False)

    def _show(self, index: int, data: bytes, *, is_error: bool, shown: Callable[[], None]) -> None:
        self._reporter.output(self.agents[index], data, is_error=is_error, shown=shown)

    def _handle(self, event: Event) -> None:
        match event:
            case Broken(error=error):
                raise error
            case Interrupted(is_forced=is_forced):
                if not self._is_stopping:
                    self._stop(None, STOP_WAIT_S)
                if is_forced:
                    self._errands.signal_all(self.agents, "SIGKILL")
            case StopAsked():
                self._stop_some(event)
            case Unseated():
                raise UnseatedError.of(self.plan.run)
            case EngineLeft() | EngineBack() | Noted():
                self._handle_engine(event)
            case _:
                self._handle_agent(self.agents[event.index], event)

    def _handle_engine(self, event: EngineLeft | EngineBack | Noted) -> None:
        match event:
            case EngineLeft():
                self._absence.begin()
            case EngineBack(exit_codes=exit_codes, has_left=True):
                self._absence.end(exit_codes, died=self._endings.died)
            case EngineBack():
                self._rounds.look()
            case Noted(kind=kind) if kind in {STOP, DRIVER}:
                self._rounds.look()

    def _handle_agent(self, agent: Agent, event: AgentEvent) -> None:
        match event:
            case Refused(error=error, ends_run=ends_run):
                agent.error, agent.is_account_refused = agent.error or error, ends_run
                self._end(agent)
            case OutputCut():
                self._endings.cut(agent)
            case OutputOver(last_lines=last_lines, used=used):
                self._endings.read(agent, last_lines, used)
            case Died(container=container, exit_code=exit_code):
                self._endings.died(agent, container, exit_code)
            case _:
                self._transitions.apply(agent, event)

    def _end(
        self,
        agent: Agent,
        *,
        is_stopped: bool = False,
        has_place: bool = True,
        can_retry: bool = True,
    ) -> None:
        """An agent has ended, for good or to be started again."""
        if has_place:
            self._starters.free_place()
        is_stopped = is_stopped or self._is_stopping or agent.is_unwanted
        if is_stopped:
            agent.state = State.STOPPED
        else:
            agent.state = State.FAILED if agent.exit_code is None else State.EXITED
        if agent.is_success or is_stopped:
            self._open -= 1
        elif can_retry and agent.attempt <= self.plan.flow.retries and agent.is_worth_retrying:
            self._retry(agent)
            return
        else:
            self._open -= 1
            self._failed += 1
            if agent.is_account_refused:
                self._refusal = agent.error
        if agent.exit_code is not None:
            self._progress.mark(agent.task.index, str(agent.exit_code))
        self._reporter.changed(agent)

    def _retry(self, agent: Agent) -> None:
        delay_s = min(_RETRY_LIMIT_S, _RETRY_S * 2 ** (agent.attempt - 1))
        which = f"start {agent.attempt + 1} of {self.plan.flow.retries + 1} in {delay_s:.0f} s"
        self._reporter.note(f"{agent.task.id} failed: {agent.cause}; {which}")
        replaced = agent.container or ""
        self._progress.mark(agent.task.index, AGAIN)
        agent.begin_again()
        start = partial(self._starters.start, agent.task, replaced=replaced)
        self._timers.enter(delay_s, 0, start)
        self._reporter.changed(agent)
