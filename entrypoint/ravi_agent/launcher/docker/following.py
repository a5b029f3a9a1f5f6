"""Follow what the agents of a run write, those that start later too, until the run is over."""

import os
import queue
import threading
import time
from collections.abc import Iterable, Iterator, Sequence

from ravi_agent.errors import EngineError
from ravi_agent.launcher.docker.driver import living_driver
from ravi_agent.launcher.docker.engine import DockerEngine
from ravi_agent.launcher.docker.events import Watch
from ravi_agent.launcher.docker.notes import Note, read_notes
from ravi_agent.launcher.docker.progress import ended_with, progress_of
from ravi_agent.launcher.docker.socket_api import Frame
from ravi_agent.launcher.docker.statuses import still_runs
from ravi_agent.launcher.model.container_status import ContainerStatus
from ravi_agent.launcher.model.events import Broken, Event, OutputCut
from ravi_agent.launcher.model.exit_codes import EXIT_INTERRUPTED
from ravi_agent.launcher.model.lines import Lines, last_state
from ravi_agent.launcher.model.request import LogOptions
from ravi_agent.launcher.show.for_terminal import say

_LOOK_AGAIN_S = 2.0
_TOGETHER_S = 0.1  # what happens within that is looked at once
_LAST_LINE_S = 1.0  # for a line that is being printed when an error ends the program


def follow_logs(
    engine: DockerEngine, found: Sequence[ContainerStatus], options: LogOptions
) -> None:
    """Print each line after its task's name until none of the tasks is going to write any more.

    A task that has not been started is waited for as long as a launcher drives the run, and so is
    the next attempt of one that failed. Ctrl-C ends the program at once, whoever reads its output.
    Raises EngineError where a container has no log that can be read.
    """
    try:
        _Following(engine, found, options).run()
    except KeyboardInterrupt:
        # Threads wait for the engine, and perhaps for a reader: nobody is waited for.
        os._exit(EXIT_INTERRUPTED)


class _Following:
    """One call of `logs --follow`: a thread and a connection for each container that runs."""

    def __init__(
        self, engine: DockerEngine, found: Sequence[ContainerStatus], options: LogOptions
    ) -> None:
        self._engine = engine
        self._run_name = found[0].run
        self._wanted = {one.index for one in found}
        self._tail = options.tail
        since_s = options.since_s
        self._since = None if since_s is None else time.time() - since_s
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._followers: dict[str, _Follower] = {}
        self._lock = threading.Lock()

    def run(self) -> None:
        watch = Watch(self._engine, self._run_name, self._events.put)
        try:
            while not self._is_over():
                self._hear()
        finally:
            # A thread that still printed when the interpreter ends would abort it.
            self._lock.acquire(timeout=_LAST_LINE_S)
            watch.close()

    def _is_over(self) -> bool:
        """Follow what runs; whether nothing more will be written."""
        # In this order: what a launcher does before it leaves is in the list that is made after.
        notes = read_notes(self._engine, self._run_name)
        there = [
            one
            for one in self._engine.containers(self._run_name)
            if one.index in self._wanted and (one.is_running or one.has_ended)
        ]
        for one in there:
            self._follow(one)
        self._tail = None  # what starts from now on is new from its first line
        is_read = all(one.is_over for one in self._followers.values())
        return is_read and not self._runs_any(there) and self._is_final(notes)

    def _runs_any(self, there: Sequence[ContainerStatus]) -> bool:
        return any(still_runs(self._engine, one) for one in there)

    def _is_final(self, notes: Sequence[Note]) -> bool:
        """Whether no launcher is going to start one of the tasks, or to start one again."""
        if living_driver(list(notes)) is None:
            return True
        progress = progress_of(notes)
        return all(ended_with(progress.get(index)) is not None for index in self._wanted)

    def _follow(self, one: ContainerStatus) -> None:
        follower = self._followers.get(one.id)
        if follower is None:
            since, tail = self._since, self._tail
        elif not follower.is_over:
            return
        elif follower.error:  # and the container is still there
            raise follower.error
        elif still_runs(self._engine, one):
            # Somebody has started it again, or its connection was cut.
            since, tail = follower.heard_at, None
        else:
            return
        follower = _Follower(self._engine, one, self._events, self._lock)
        self._followers[one.id] = follower
        follower.start(tail=tail, since=since)

    def _hear(self) -> None:
        """Wait until something has happened, or it is time to look again."""
        timeout_s = _LOOK_AGAIN_S
        try:
            while True:
                event = self._events.get(timeout=timeout_s)
                if isinstance(event, Broken):
                    raise event.error
                timeout_s = _TOGETHER_S
        except queue.Empty:
            return


class _Follower:
    """Prints what one container writes, in a thread of its own.

    heard_at: Unix seconds. error: why it cannot be read.
    """

    def __init__(
        self,
        engine: DockerEngine,
        one: ContainerStatus,
        events: "queue.SimpleQueue[Event]",
        lock: threading.Lock,
    ) -> None:
        self._engine = engine
        self._one = one
        self._events = events
        self._lock = lock
        self.heard_at = time.time()
        self.error: EngineError | None = None
        self.is_over = False

    def start(self, *, tail: int | None, since: float | None) -> None:
        arguments = {"tail": tail, "since": since}
        threading.Thread(target=self._run, kwargs=arguments, daemon=True).start()

    def _run(self, *, tail: int | None, since: float | None) -> None:
        try:
            self._read(tail, since)
        except EngineError as exc:
            self.error = exc
        except BaseException as exc:  # noqa: BLE001 - passed on: nobody sees it in this thread
            self._events.put(Broken(error=exc))
        self.is_over = True
        self._events.put(OutputCut(index=self._one.index))

    def _read(self, tail: int | None, since: float | None) -> None:
        parts = self._engine.logs(self._one.id, tail=tail, since=since, follow=True)
        print_log(self._one.task, self._noting(parts), self._lock)

    def _noting(self, parts: Iterable[bytes]) -> Iterator[bytes]:
        for part in parts:
            self.heard_at = time.time()
            yield part


def print_log(task: str, parts: Iterable[bytes], lock: threading.Lock) -> None:
    """Print whole lines after the name of their task; `lock`: of standard output.

    A line of one stream is whole although the other one wrote in between.
    """
    lines = {is_error: Lines() for is_error in (False, True)}
    for part in parts:
        # With a terminal, which somebody else's container may have, both streams are one.
        is_error = isinstance(part, Frame) and part.is_error
        _print_lines(task, lines[is_error].feed(part), lock)
    for rest in lines.values():
        _print_lines(task, rest.end(), lock)


def _print_lines(task: str, data: bytes, lock: threading.Lock) -> None:
    if data:
        lines = data.removesuffix(b"\n").split(b"\n")
        with lock:
            for line in lines:
                say(f"{task} | {last_state(line.decode(errors='replace'))}")
