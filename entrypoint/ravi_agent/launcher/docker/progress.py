"""How far each task of a run is, kept where neither a prune nor a log's rotation reaches it.

A container that has ended may be removed by anybody at any time, and its log loses its beginning.
So the launcher that drives a run notes with the engine what it knows: that a task's container has
been started, that its agent has, and the code it ended with. It notes an end before it removes the
container; and that a task begins again before it removes the one that failed.
"""

import threading
from collections.abc import Iterable, Mapping

from ravi_agent.errors import EngineError
from ravi_agent.launcher.docker.engine import DockerEngine
from ravi_agent.launcher.docker.notes import Note, erase_notes, read_notes, write_note

PROGRESS = "progress"
# Beside these a task's progress is the code that it ended with.
AGAIN, STARTED, READY = "again", "started", "ready"
_MOST_NOTES = 16  # as many are put together into one


class Progress:
    """What the launcher that drives a run knows of its tasks. Safe to use from several threads."""

    def __init__(self, engine: DockerEngine, run: str) -> None:
        self._engine = engine
        self._run = run
        notes = _in_order(read_notes(engine, run, PROGRESS))
        self._names = [one.name for one in notes]
        self._number = max((_number(one) for one in notes), default=0)
        self._all = progress_of(notes)
        self._fresh: dict[int, str] = {}
        self._lock = threading.Lock()  # of what is known
        self._writing = threading.Lock()  # notes are written one by one

    def known(self) -> Mapping[int, str]:
        """The last that is known of each task, by index."""
        with self._lock:
            return dict(self._all)

    def mark(self, index: int, what: str) -> None:
        """Know something of a task; the engine is told with the next `flush`."""
        with self._lock:
            if self._all.get(index) != what:
                self._all[index] = self._fresh[index] = what

    @property
    def is_told(self) -> bool:
        """Whether the engine has been told all."""
        return not self._fresh

    def drop(self) -> None:
        """The run is not this launcher's any more: tell nothing of it."""
        with self._lock:
            self._fresh.clear()

    def flush(self) -> None:
        """Tell the engine. Raises EngineError, with nothing lost: the next one tells it."""
        with self._writing:
            with self._lock:
                fresh, self._fresh = self._fresh, {}
                is_whole = len(self._names) >= _MOST_NOTES
                told = dict(self._all) if is_whole else fresh
            if not fresh:
                return
            self._number += 1
            value = {"number": self._number, "tasks": _by_state(told)}
            try:
                name = write_note(self._engine, self._run, PROGRESS, value)
            except EngineError:
                with self._lock:
                    self._fresh = {**fresh, **self._fresh}
                raise
            if is_whole:  # the whole is there before its parts go
                parts, self._names = self._names, []
                erase_notes(self._engine, parts)
            self._names.append(name)


def progress_of(notes: Iterable[Note]) -> dict[int, str]:
    """What notes say of each task, by index; of two the later one counts."""
    known: dict[int, str] = {}
    for one in _in_order(notes):
        for state, indexes in one.value["tasks"].items():
            known.update(dict.fromkeys(indexes, state))
    return known


def ended_with(progress: str | None) -> int | None:
    """The exit code of a task that has ended for good."""
    return int(progress) if progress and progress.isdecimal() else None


def has_begun(progress: str | None) -> bool:
    """Whether its container has been started, and what became of that is not known."""
    return progress in {STARTED, READY}


def _in_order(notes: Iterable[Note]) -> list[Note]:
    return sorted((one for one in notes if one.kind == PROGRESS), key=_number)


def _number(note: Note) -> int:
    return int(note.value["number"])


def _by_state(known: Mapping[int, str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for index, state in sorted(known.items()):
        found.setdefault(state, []).append(index)
    return found
