"""The threads that start agents, as many as suit the engine and may run at once."""

import contextlib
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from ravi_agent.errors import EngineError, RaviError, RefusedError
from ravi_agent.launcher.docker.calls import EngineGoneError, NameTakenError, StartUnknownError
from ravi_agent.launcher.docker.engine import DockerEngine
from ravi_agent.launcher.docker.handovers import Handovers
from ravi_agent.launcher.docker.networks import Networks
from ravi_agent.launcher.docker.notes import asked_stops
from ravi_agent.launcher.docker.output_mux import OutputMux
from ravi_agent.launcher.docker.progress import Progress
from ravi_agent.launcher.model.container_status import ContainerStatus
from ravi_agent.launcher.model.events import (
    Asked,
    Broken,
    Died,
    Event,
    OutputCut,
    OutputOver,
    Ready,
    Refused,
    Started,
    TakenOver,
)
from ravi_agent.launcher.planning.plan import Plan, Task

# How long a start waits for an engine that went away.
ENGINE_WAIT_S = 300.0


class Starters:
    """Starts agents, and takes over those that run; what comes of it goes to `emit` as events."""

    def __init__(
        self,
        plan: Plan,
        engine: DockerEngine,
        networks: Networks,
        handovers: Handovers,
        mux: OutputMux,
        emit: Callable[[Event], None],
        progress: Progress,
    ) -> None:
        self._progress = progress
        self._plan = plan
        self._engine = engine
        self._networks = networks
        self._handovers = handovers
        self._mux = mux
        self._emit = emit
        self._places = threading.Semaphore(plan.at_once)
        self._threads = plan.flow.concurrency or 1
        self._is_over = threading.Event()
        self._next_at = 0.0  # `time.monotonic()` seconds; guarded by the lock
        self._lock = threading.Lock()
        self._under_way: set[int] = set()
        self._dropped: set[int] = set()
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="start")

    def start(self, task: Task, *, replaced: str | None = None) -> None:
        """Start a task's agent once there is a place; `replaced`: the container that failed."""
        self._submit(task.index, lambda: self._start(task, replaced))

    def take_over(self, task: Task, existing: ContainerStatus, *, is_told: bool = False) -> None:
        """Go on with an agent that an earlier launcher has started.

        is_told: that one has told of its end, too, and shown all that it wrote.
        """
        work = self._take_over_ended if is_told else self._take_over
        self._submit(task.index, lambda: work(task, existing))

    def drop(self, index: int) -> bool:
        """Start this task's agent no more; False where its start is under way."""
        with self._lock:
            self._dropped.add(index)
            return index not in self._under_way

    def free_place(self) -> None:
        """An agent has ended, so the next one may start."""
        self._places.release()

    def stop(self) -> frozenset[int]:
        """Start no more; the indexes of those under way.

        Each of them is still told of, as started or refused; all others have been told of.
        """
        with self._lock:
            self._is_over.set()
            under_way = frozenset(self._under_way)
        self._places.release(self._threads)
        self._pool.shutdown(wait=False, cancel_futures=True)
        return under_way

    def close(self) -> None:
        """Start no more, and wait for the threads."""
        self.stop()
        self._pool.shutdown()

    def _submit(self, index: int, work: Callable[[], None]) -> None:
        def guarded() -> None:
            self._places.acquire()
            with self._lock:
                if self._is_over.is_set() or index in self._dropped:
                    self._places.release()
                    return
                self._under_way.add(index)
            try:
                work()
            except BaseException as exc:  # noqa: BLE001 - passed on: nobody sees it in this thread
                self._emit(Broken(error=exc))
            finally:
                with self._lock:
                    self._under_way.discard(index)

        if not self._is_over.is_set():
            self._pool.submit(guarded)

    def _wait_for_turn(self) -> None:
        """With --stagger, until it is time for the next start: fifty at once hammer a site."""
        stagger_s = self._plan.flow.stagger_s
        if not stagger_s:
            return
        with self._lock:
            at = max(time.monotonic(), self._next_at)
            self._next_at = at + stagger_s * random.uniform(0.5, 1.5)  # noqa: S311 - no secret
        self._is_over.wait(max(0.0, at - time.monotonic()))

    def _start(self, task: Task, replaced: str | None) -> None:
        is_first = replaced is None
        self._wait_for_turn()
        while True:
            self._emit(Asked(index=task.index, at=time.monotonic()))
            try:
                if not is_first:
                    self._progress.flush()  # that it begins again, before the last start is gone
                    self._engine.remove_agent(self._plan, task)
                # The event that tells of a stop may be on its way still, or lost.
                if task.id in (stops := asked_stops(self._engine, self._plan.run)):
                    self._emit(stops)
                    self._emit(Refused(index=task.index, error="stopped by ravi-launch stop"))
                    return
                line = self._handovers.line_for(task, is_first=is_first)
                if self._is_over.is_set():
                    self._emit(Refused(index=task.index, error="stopped before its container"))
                    return
                network = self._networks.of(task.index)
                container, attached = self._engine.launch(self._plan, task, line, network)
            except EngineGoneError as exc:
                is_back = self._engine.wait_until_back(self._is_over, ENGINE_WAIT_S)
                if isinstance(exc, StartUnknownError) and self._go_on(task, exc.container):
                    return
                # The next start replaces what the call may have left, and finds the identity by
                # its name.
                is_first = False
                if not is_back:
                    with contextlib.suppress(EngineError):
                        self._engine.remove_agent(self._plan, task)
                    self._emit(Refused(index=task.index, error=str(exc)))
                    return
            except NameTakenError as exc:
                # By a call of this launcher that was cut off, and was carried out after all.
                if is_first or not self._engine.remove_agent(self._plan, task):
                    self._emit(Refused(index=task.index, error=str(exc)))
                    return
            except RaviError as exc:
                ends_run = isinstance(exc, RefusedError) and exc.status in {401, 402}
                self._emit(Refused(index=task.index, error=str(exc), ends_run=ends_run))
                return
            else:
                self._emit(Started(index=task.index, container=container))
                self._mux.add(task.index, attached)
                return

    def _go_on(self, task: Task, container: str) -> bool:
        """Go on with an agent that has begun though its start was cut off: it must not run twice.

        False where it has not begun.
        """
        try:
            code = self._engine.exit_code_if_there(container)
            has_begun = code == 0 or self._engine.ready_line(container) is not None
        except EngineGoneError:
            is_back = self._engine.wait_until_back(self._is_over, ENGINE_WAIT_S)
            return is_back and self._go_on(task, container)
        except EngineError:  # it is gone, or its log cannot be read
            return False
        if has_begun:
            self._emit(Started(index=task.index, container=container))
            self._mux.add(task.index, None)
            if code is not None:
                self._emit(Died(index=task.index, container=container, exit_code=code))
        return has_begun

    def _take_over(self, task: Task, existing: ContainerStatus) -> None:
        age_s = max(0.0, time.time() - existing.created_at)
        self._emit(TakenOver(index=task.index, container=existing.id, age_s=age_s))
        # Nobody hears it, and it may have ended between the list and the watch.
        self._emit(OutputCut(index=task.index))
        try:
            code = self._engine.exit_code_if_there(existing.id)
        except EngineError:
            return  # the fleet looks again
        if code is not None:
            self._emit(Died(index=task.index, container=existing.id, exit_code=code))

    def _take_over_ended(self, task: Task, existing: ContainerStatus) -> None:
        self._emit(TakenOver(index=task.index, container=existing.id, age_s=0.0))
        try:
            line = self._engine.ready_line(existing.id)
        except EngineError:
            line = None  # removed just now, or its log cannot be read: it has ended all the same
        if line:
            self._emit(Ready(index=task.index, line=line, at=time.monotonic()))
        self._emit(OutputOver(index=task.index))
        code = existing.exit_code or 0
        self._emit(Died(index=task.index, container=existing.id, exit_code=code))
