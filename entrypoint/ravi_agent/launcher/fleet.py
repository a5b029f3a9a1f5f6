"""Carry out a plan: start the agents, hand over, listen, and know what became of each."""

import queue
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from ravi_agent import contract
from ravi_agent.errors import EngineError, RaviError
from ravi_agent.handover import parse_ready_line
from ravi_agent.launcher.agents import (
    Agent,
    Asked,
    Died,
    Event,
    OutOfMemory,
    Output,
    OutputOver,
    Refused,
    Started,
    State,
    TakenOver,
)
from ravi_agent.launcher.engines.docker import DockerEngine, Existing
from ravi_agent.launcher.engines.docker_events import Watch
from ravi_agent.launcher.handovers import Handovers
from ravi_agent.launcher.output_mux import OutputMux
from ravi_agent.launcher.plan import Plan, Task

# The entrypoint's own grace is 8 s; after this it is the engine's turn.
STOP_WAIT_S = 10.0
_READY_PREFIX = contract.READY_PREFIX.encode()
_ERROR_PREFIX = "ravi-entrypoint: error: "


class Observer(Protocol):
    """Whoever shows a run to people."""

    def changed(self, agent: Agent) -> None:
        """The agent has another state, or an identity."""

    def output(self, agent: Agent, line: str, *, is_error: bool) -> None:
        """The agent, or its entrypoint, has written a line."""


class Fleet:
    """One run in the foreground.

    All state changes in the thread that calls `run`; starters, the output reader and the event
    watch only put events on its queue. Threads: `concurrency` starters and two more, whatever
    the number of agents.
    """

    def __init__(
        self,
        plan: Plan,
        engine: DockerEngine,
        handovers: Handovers,
        observer: Observer,
        *,
        there: Mapping[int, Existing] | None = None,
    ) -> None:
        """there: containers of this run that an earlier launcher has started, by index."""
        self.plan = plan
        self.agents = [Agent(task=task) for task in plan.tasks]
        self._engine = engine
        self._handovers = handovers
        self._there = there or {}
        self._observer = observer
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._is_stopping = threading.Event()
        self._places = threading.Semaphore(plan.parallel or len(plan.tasks))
        self._open = len(self.agents)

    def run(self, *, until_ready: bool = False) -> None:
        """Until every agent has ended, or runs. Whatever comes between stops them all first."""
        mux = OutputMux(self._events.put)
        watch = Watch(self._engine, self.plan.run, self._events.put)
        starters = ThreadPoolExecutor(self.plan.concurrency, thread_name_prefix="start")
        try:
            for task in self.plan.tasks:
                starters.submit(self._start, task, mux)
            while self._open and not (until_ready and self._is_ready()):
                self._handle(self._events.get())
        except BaseException:  # Ctrl-C, or a bug of ours: nothing is left half started
            self._stop(starters)
            raise
        finally:
            self._is_stopping.set()
            starters.shutdown(cancel_futures=True)
            watch.close()
            mux.close()

    def _is_ready(self) -> bool:
        return all(agent.is_final or agent.state == State.RUNNING for agent in self.agents)

    def _take_over(self, existing: Existing, task: Task, mux: OutputMux) -> None:
        """Go on with what an earlier launcher started; runs in a starter's thread."""
        self._events.put(TakenOver(index=task.index, container=existing.id))
        try:
            # Asked now: what ended since it was listed ended before anybody watched.
            code = self._engine.exit_code(existing.id)
            if code is None:
                attached = self._engine.attach_running(existing.id)
                mux.add(task.index, attached.sock, attached.early)
                code = self._engine.exit_code(existing.id)
            line = b"" if code is None else self._engine.ready_line(existing.id) or b""
        except EngineError as exc:
            self._events.put(Refused(index=task.index, error=str(exc)))
            return
        if code is not None:
            if line:
                heard = Output(index=task.index, line=line, is_error=True, at=time.monotonic())
                self._events.put(heard)
            self._events.put(OutputOver(index=task.index))
            self._events.put(Died(index=task.index, exit_code=code))

    def _start(self, task: Task, mux: OutputMux) -> None:
        """Start one agent; runs in a starter's thread."""
        self._places.acquire()
        if self._is_stopping.is_set():
            return
        if existing := self._there.get(task.index):
            self._take_over(existing, task, mux)
            return
        self._events.put(Asked(index=task.index, at=time.monotonic()))
        try:
            line = self._handovers.line_for(task)
            container, attached = self._engine.launch(self.plan, task, line)
        except RaviError as exc:
            self._events.put(Refused(index=task.index, error=str(exc)))
            return
        self._events.put(Started(index=task.index, container=container))
        mux.add(task.index, attached.sock, attached.early)

    def _stop(self, starters: ThreadPoolExecutor) -> None:
        """End everything that was started: TERM, time to go, KILL."""
        self._is_stopping.set()
        for _ in range(self.plan.concurrency):
            self._places.release()
        starters.shutdown(cancel_futures=True)  # those under way finish: their containers show up
        self._handle_pending()
        for agent in self.agents:
            if agent.state == State.WAITING:
                self._end(agent, State.STOPPED)
        self._signal_running("SIGTERM")
        deadline = time.monotonic() + STOP_WAIT_S
        while self._open:
            try:
                self._handle(self._events.get(timeout=max(0.0, deadline - time.monotonic())))
            except queue.Empty:
                self._signal_running("SIGKILL")
                deadline = time.monotonic() + STOP_WAIT_S

    def _handle_pending(self) -> None:
        while not self._events.empty():
            self._handle(self._events.get())

    def _signal_running(self, signal: str) -> None:
        running = [
            agent.container for agent in self.agents if agent.container and not agent.is_final
        ]
        with ThreadPoolExecutor(self.plan.concurrency, thread_name_prefix="stop") as pool:
            list(pool.map(lambda container: self._engine.kill(container, signal), running))

    def _handle(self, event: Event) -> None:
        agent = self.agents[event.index]
        match event:
            case Asked(at=at):
                agent.asked_at = at
                self._change(agent, State.STARTING)
            case TakenOver(container=container):
                agent.container = container
                self._change(agent, State.PROVISIONING)
            case Started(container=container):
                agent.container = container
                if agent.state == State.STARTING:
                    self._change(agent, State.PROVISIONING)
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
            case Died(exit_code=exit_code):
                agent.exit_code = exit_code
                self._end_if_over(agent)

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
        if event.is_error and line.startswith(_ERROR_PREFIX):
            agent.error = line.removeprefix(_ERROR_PREFIX)
        agent.lines.append(line)
        self._observer.output(agent, line, is_error=event.is_error)

    def _end_if_over(self, agent: Agent) -> None:
        """An agent has ended once its container has, and all it wrote has been read."""
        if agent.is_final or agent.exit_code is None or not agent.is_output_over:
            return
        if agent.exit_code and agent.is_out_of_memory:
            agent.error = "killed for want of memory"
        self._end(agent, State.STOPPED if self._is_stopping.is_set() else State.EXITED)

    def _end(self, agent: Agent, state: State) -> None:
        self._open -= 1
        self._places.release()
        self._change(agent, state)

    def _change(self, agent: Agent, state: State) -> None:
        agent.state = state
        self._observer.changed(agent)
