"""Who drives a run: one launcher at a time, which the engine knows by a note.

The note names a process: the host, its boot, the namespace of its number, the number, and when it
was started. A launcher that was killed leaves the note, and any launcher of the same host sees that
its process is gone. Of another host's process nobody here can tell: the user has to.
"""

import contextlib
import os
import random
import time
from dataclasses import asdict, dataclass
from typing import Any

from ravi_agent.errors import EngineError, UsageError
from ravi_agent.launcher.docker.engine import DockerEngine
from ravi_agent.launcher.docker.notes import DRIVER, Note, erase_notes, read_notes, write_note
from ravi_agent.launcher.docker.processes import began_at

_ATTEMPTS = 5
_BACK_OFF_S = 0.3


@dataclass(frozen=True, kw_only=True)
class Process:
    """A process anywhere. place: the boot and the namespace in which `pid` means it."""

    host: str
    place: str
    pid: int
    started_at: float  # Unix seconds

    @classmethod
    def here(cls) -> "Process":
        """This one."""
        pid = os.getpid()
        return cls(
            host=os.uname().nodename,
            place=_place(),
            pid=pid,
            started_at=began_at(pid) or 0.0,
        )

    @property
    def is_here(self) -> bool:
        """Whether this process can tell if that one is alive."""
        return self.place == _place()

    @property
    def is_alive(self) -> bool:
        """Whether it runs, or may: a process of another host is taken to."""
        if not self.is_here:
            return True
        began = began_at(self.pid)
        return began is not None and abs(began - self.started_at) < 1.0

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


class UnseatedError(UsageError):
    """Another launcher has the run by now, or it has been removed: it is left alone."""

    @classmethod
    def of(cls, run: str) -> "UnseatedError":
        why = "another launcher has taken it over, or it has been removed"
        return cls(f"run {run}", why, f"ravi-launch ps {run}")


class Driver:
    """This launcher as the one that drives a run. `name`: of its note."""

    def __init__(self, engine: DockerEngine, run: str, name: str) -> None:
        self._engine = engine
        self._run = run
        self.name = name

    def is_seated(self) -> bool:
        """Whether the run is still this launcher's: it may have been taken away, or removed."""
        notes = read_notes(self._engine, self._run, DRIVER)
        return any(one.name == self.name for one in notes)

    def leave(self) -> None:
        """Drive it no more. Where the engine is gone the note stays, as that of a dead process."""
        with contextlib.suppress(EngineError):
            erase_notes(self._engine, [self.name])


def driver_of(engine: DockerEngine, run: str) -> Process | None:
    """The process that drives a run, None where nobody does."""
    return living_driver(read_notes(engine, run, DRIVER))


def living_driver(notes: list[Note]) -> Process | None:
    """The same, of notes that have been read."""
    found = (_process(one) for one in notes if one.kind == DRIVER)
    return next((one for one in found if one and one.is_alive), None)


def check_driver(engine: DockerEngine, run: str, *, is_taking_over: bool) -> None:
    """Raises UsageError where another launcher drives the run, before anything is done for it."""
    other = driver_of(engine, run)
    if other and not (is_taking_over and not other.is_here):
        raise _refusal(run, other)


def drive(engine: DockerEngine, run: str, *, is_taking_over: bool = False) -> Driver:
    """Become the one launcher that drives a run; one that is dead is succeeded.

    is_taking_over: also one on another host, which cannot be asked. Raises UsageError where another
    launcher drives it.
    """
    process = Process.here()
    living: list[Process] = []
    for attempt in range(_ATTEMPTS):
        if attempt:  # two at the same instant have each seen the other
            time.sleep(random.uniform(0, _BACK_OFF_S))  # noqa: S311 - no secret
        name = write_note(engine, run, DRIVER, asdict(process))
        # Looked at once the own note is there: of two launchers at least one sees the other's.
        others = [one for one in read_notes(engine, run, DRIVER) if one.name != name]
        living = [one for one in map(_process, others) if one and one.is_alive]
        if is_taking_over:
            living = [one for one in living if one.is_here]
        if not living:
            erase_notes(engine, [one.name for one in others])
            return Driver(engine, run, name)
        erase_notes(engine, [name])
    raise _refusal(run, living[0])


def _refusal(run: str, other: Process) -> UsageError:
    if other.is_here:
        return UsageError(
            f"run {run}",
            f"another launcher drives it: {other}",
            f"ravi-launch logs --follow {run}, or ravi-launch stop {run}",
        )
    return UsageError(
        f"run {run}",
        f"a launcher on another host drives it, or died there; this host cannot tell: {other}",
        f"ravi-launch --resume {run} --take-over",
    )


def _process(note: Note) -> Process | None:
    """None for what no launcher has written."""
    value: Any = note.value
    try:
        return Process(
            host=str(value["host"]),
            place=str(value["place"]),
            pid=int(value["pid"]),
            started_at=float(value["started_at"]),
        )
    except (TypeError, KeyError, ValueError):
        return None


def _place() -> str:
    """Where a process number is unique: a boot of a machine, and a namespace in it."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
        return f"{boot} {os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:  # no Linux: processes have one namespace there
        import psutil

        return f"{os.uname().nodename} {psutil.boot_time():.0f}"
