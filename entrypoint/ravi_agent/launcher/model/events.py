"""What a fleet is told: of its agents, of the engine, and by people."""

from collections.abc import Mapping
from dataclasses import dataclass

from ravi_agent.launcher.model.usage import UNMEASURED, Used


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
    """The container was started by an earlier launcher of this run, `age_s` seconds ago."""

    index: int
    container: str
    age_s: float


@dataclass(frozen=True, kw_only=True)
class Refused:
    """The container was not created or not started; nothing of it is left.

    ends_run: the service refuses the account, so that it will refuse all the others.
    """

    index: int
    error: str
    ends_run: bool = False


@dataclass(frozen=True, kw_only=True)
class Ready:
    """The entrypoint is about to start the agent: the line by which it says so."""

    index: int
    line: bytes
    at: float


@dataclass(frozen=True, kw_only=True)
class EntrypointFailed:
    """The entrypoint has said why it fails, before there was an agent that could have said it."""

    index: int
    error: str


@dataclass(frozen=True, kw_only=True)
class OutputCut:
    """The connection to the container's output has ended: with the container, or before it."""

    index: int


@dataclass(frozen=True, kw_only=True)
class OutputOver:
    """All that the container has written has been read; what it says that it has used."""

    index: int
    last_lines: tuple[str, ...] = ()
    used: Used = UNMEASURED


@dataclass(frozen=True, kw_only=True)
class Died:
    """The container has ended."""

    index: int
    container: str
    exit_code: int


@dataclass(frozen=True, kw_only=True)
class Restarted:
    """Somebody has started the container again, whose end has been told."""

    index: int
    container: str


@dataclass(frozen=True, kw_only=True)
class Signalled:
    """A signal has been sent to the container, by whomever."""

    index: int
    container: str


@dataclass(frozen=True, kw_only=True)
class OutOfMemory:
    """The kernel killed a process of the container because it was out of memory."""

    index: int
    container: str


@dataclass(frozen=True, kw_only=True)
class Paused:
    """Somebody has paused or unpaused the container."""

    index: int
    container: str
    is_paused: bool


AgentEvent = (
    Asked
    | Started
    | TakenOver
    | Refused
    | Ready
    | EntrypointFailed
    | OutputCut
    | OutputOver
    | Died
    | Restarted
    | Signalled
    | OutOfMemory
    | Paused
)


@dataclass(frozen=True, kw_only=True)
class EngineLeft:
    """The engine does not answer any more."""


@dataclass(frozen=True, kw_only=True)
class EngineBack:
    """The engine answers again. exit_codes: of each container of the run, None while it runs.

    has_left: it has been away; else only the connection that brings its events has been cut.
    """

    exit_codes: Mapping[str, int | None]
    has_left: bool = True


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A thread of the launcher has failed: a bug."""

    error: BaseException


@dataclass(frozen=True, kw_only=True)
class Interrupted:
    """Somebody wants the run stopped: gently at first, by force the second time."""

    is_forced: bool


@dataclass(frozen=True, kw_only=True)
class StopAsked:
    """Somebody wants the run stopped, or some of its tasks; or nobody does.

    grace_s: seconds that the agents have from SIGTERM to SIGKILL.
    """

    tasks: frozenset[str]
    is_whole: bool
    grace_s: int

    def __contains__(self, task: str) -> bool:
        return self.is_whole or task in self.tasks

    def __bool__(self) -> bool:
        return self.is_whole or bool(self.tasks)


@dataclass(frozen=True, kw_only=True)
class Noted:
    """A command or a launcher has told something of the run through its engine, or taken it back.

    kind: of what was told; its words have to be asked for.
    """

    kind: str
    name: str
    is_gone: bool


@dataclass(frozen=True, kw_only=True)
class Unseated:
    """The run is not this launcher's any more."""


Event = AgentEvent | EngineLeft | EngineBack | Broken | Interrupted | StopAsked | Noted | Unseated
