"""What became of each agent of a run, and what is heard of it meanwhile."""

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

from ravi_agent.identity import Identity
from ravi_agent.launcher.plan import Task

KEPT_LINES = 20  # of a dead agent's output, for the report


class State(StrEnum):
    """Where an agent is; the last three are final."""

    WAITING = "waiting"
    STARTING = "starting"  # the engine has been asked for it
    PROVISIONING = "provisioning"  # its container runs, its identity is on the way
    RUNNING = "running"  # it has its identity and runs
    EXITED = "exited"
    STOPPED = "stopped"  # by the launcher
    FAILED = "failed"  # no container came of it


FINAL = frozenset({State.EXITED, State.STOPPED, State.FAILED})


@dataclass(kw_only=True)
class Agent:
    """One agent of a run. Times are `time.monotonic()` seconds; `ready_s` is a duration.

    ready_s: from asking the engine for the container to the agent's start with its identity.
    """

    task: Task
    state: State = State.WAITING
    container: str | None = None
    identity: Identity | None = None
    exit_code: int | None = None
    asked_at: float = 0.0
    ready_s: float | None = None
    error: str | None = None
    is_out_of_memory: bool = False
    is_output_over: bool = False
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))

    @property
    def is_final(self) -> bool:
        return self.state in FINAL

    @property
    def is_success(self) -> bool:
        return self.state == State.EXITED and self.exit_code == 0


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The engine is being asked for the container."""

    index: int
    at: float


@dataclass(frozen=True, kw_only=True)
class Started:
    """The container runs."""

    index: int
    container: str


@dataclass(frozen=True, kw_only=True)
class TakenOver:
    """The container was started by an earlier launcher of this run."""

    index: int
    container: str


@dataclass(frozen=True, kw_only=True)
class Refused:
    """The engine would not create or start the container; nothing of it is left."""

    index: int
    error: str


@dataclass(frozen=True, kw_only=True)
class Output:
    """A line of the container's, without its end; `is_error` for standard error."""

    index: int
    line: bytes
    is_error: bool
    at: float


@dataclass(frozen=True, kw_only=True)
class OutputOver:
    """The container has closed its output, or the connection to it is gone."""

    index: int


@dataclass(frozen=True, kw_only=True)
class Died:
    """The container has ended."""

    index: int
    exit_code: int


@dataclass(frozen=True, kw_only=True)
class OutOfMemory:
    """The kernel killed a process of the container's for want of memory."""

    index: int


Event = Asked | Started | TakenOver | Refused | Output | OutputOver | Died | OutOfMemory
