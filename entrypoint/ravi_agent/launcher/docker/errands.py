"""What a fleet asks of its engine without waiting: signals, logs, a look at what is there."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from ravi_agent.errors import EngineError
from ravi_agent.launcher.docker.calls import EngineGoneError
from ravi_agent.launcher.docker.driver import Driver
from ravi_agent.launcher.docker.engine import DockerEngine
from ravi_agent.launcher.docker.notes import asked_stops
from ravi_agent.launcher.docker.output_mux import OutputMux
from ravi_agent.launcher.model.agents import Agent
from ravi_agent.launcher.model.events import (
    Broken,
    Died,
    Event,
    OutputCut,
    Restarted,
    Unseated,
)

_THREADS = 6


class Errands:
    """Does what it is asked in threads of its own; what comes of it goes to `emit` as events."""

    def __init__(
        self,
        engine: DockerEngine,
        mux: OutputMux,
        emit: Callable[[Event], None],
        note: Callable[[str], None],
    ) -> None:
        """note: is told what the engine refuses, in words."""
        self._engine = engine
        self._mux = mux
        self._emit = emit
        self._note = note
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="errand")

    def close(self) -> None:
        self._pool.shutdown()

    def do(self, work: Callable[[], None]) -> None:
        """Do something else of this kind; it may raise EngineError."""

        def guarded() -> None:
            try:
                work()
            except EngineGoneError:
                return  # the watch says so
            except EngineError as exc:
                self._note(str(exc))
            except BaseException as exc:  # noqa: BLE001 - passed on: nobody sees it in this thread
                self._emit(Broken(error=exc))

        self._pool.submit(guarded)

    def signal(self, agent: Agent, signal: str) -> None:
        """Send `signal` to the agent's container, if it runs."""
        if agent.is_up:
            container = str(agent.container)
            self.do(lambda: self._engine.kill(container, signal))

    def signal_all(self, agents: Iterable[Agent], signal: str) -> None:
        for agent in agents:
            self.signal(agent, signal)

    def read_on(self, index: int, container: str) -> None:
        """Hear a container again whose connection has ended, from where it ended."""

        def work() -> None:
            try:
                attached = self._engine.open_log(container, is_following=True)
            except EngineGoneError:
                self._emit(OutputCut(index=index))
                return
            except EngineError:  # a logging driver that cannot be read, or no such container
                if self._engine.exit_code_if_there(container) is not None:
                    self._mux.finish(index)
                    return
                attached = self._engine.attach_running(container)
            self._mux.go_on(index, attached)

        self.do(work)

    def read_end(self, index: int, container: str) -> None:
        """Read what a container that has ended has written and nobody has heard.

        `OutputOver` comes of it; or `Restarted`, where somebody has started it again.
        """

        def work() -> None:
            try:
                if self._engine.exit_code_if_there(container) is None:
                    self._emit(Restarted(index=index, container=container))
                    return
                attached = self._engine.open_log(container, is_following=False)
            except EngineGoneError:
                self._emit(OutputCut(index=index))
            except EngineError:  # it has been removed, or its logging driver cannot be read
                self._mux.finish(index)
            else:
                self._mux.go_on(index, attached, is_last=True)

        self.do(work)

    def look(self, run: str, up: Mapping[int, str], driver: Driver | None) -> None:
        """Look whether anything has happened to a run that no event has told.

        up: the containers that run as far as is known, by index.
        """

        def work() -> None:
            if stops := asked_stops(self._engine, run):
                self._emit(stops)
            if driver and not driver.is_seated():
                self._emit(Unseated())
                return
            # Of thousands that have ended, a list takes the engine and us seconds.
            running = {one.id for one in self._engine.containers(run, is_all=False)}
            for index, container in up.items():
                # One that is not in the list may also have another name by now.
                if container in running:
                    continue
                code = self._engine.exit_code_if_there(container)
                if code is not None:
                    self._emit(Died(index=index, container=container, exit_code=code))

        self.do(work)
