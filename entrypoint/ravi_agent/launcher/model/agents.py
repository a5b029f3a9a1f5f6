"""What has become of each agent of a run, and the events that say so."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from ravi_agent.identity import Identity
from ravi_agent.launcher.model.exit_codes import can_retry
from ravi_agent.launcher.model.usage import UNMEASURED, Used
from ravi_agent.launcher.planning.plan import Task

KEPT_LINES = 20  # of a dead agent's output, for the report


class State(StrEnum):
    """The state of an agent; the last three are final."""

    WAITING = "waiting"
    STARTING = "starting"  # the engine has been asked for it
    PROVISIONING = "provisioning"  # its container runs, its identity is being made
    RUNNING = "running"  # it has its identity and runs
    PAUSED = "paused"  # by somebody else
    EXITED = "exited"
    STOPPED = "stopped"  # by the launcher
    FAILED = "failed"  # no container came of it


FINAL = frozenset({State.EXITED, State.STOPPED, State.FAILED})


@dataclass(kw_only=True)
class Agent:
    """One agent of a run. Times are `time.monotonic()` seconds; `ready_s` is a duration.

    ready_s: from asking the engine for the container to the agent's start with its identity.
    attempt: which start this is, from 1. deaths: codes of containers not known to be its own yet.
    is_account_refused: the service took no key of the account, or asked for money (401, 402).
    is_unwanted: somebody has asked for its stop, so it is not started any more. is_cut: nobody
    hears its container. is_being_read: the end of what it has written. is_signalled: by somebody.
    """

    task: Task
    state: State = State.WAITING
    attempt: int = 1
    container: str | None = None
    identity: Identity | None = None
    exit_code: int | None = None
    asked_at: float = 0.0
    ended_at: float = 0.0
    ready_s: float | None = None
    error: str | None = None
    used: Used = UNMEASURED
    is_out_of_memory: bool = False
    is_timed_out: bool = False
    is_output_over: bool = False
    is_account_refused: bool = False
    is_unwanted: bool = False
    is_cut: bool = False
    is_being_read: bool = False
    is_signalled: bool = False
    deaths: dict[str, int] = field(default_factory=dict)
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))

    @property
    def is_final(self) -> bool:
        return self.state in FINAL

    @property
    def is_up(self) -> bool:
        """Whether its container runs, as far as is known."""
        return self.container is not None and not self.is_final and self.exit_code is None

    @property
    def is_settled(self) -> bool:
        """Whether it runs or has ended: a detached launcher waits for no more."""
        return self.is_final or self.state == State.RUNNING

    @property
    def is_success(self) -> bool:
        return self.state == State.EXITED and self.exit_code == 0 and not self.is_timed_out

    @property
    def is_worth_retrying(self) -> bool:
        """Whether another start may end differently from this one, which failed."""
        if self.is_account_refused:
            return False
        return can_retry(self.exit_code, has_started=self.identity is not None)

    @property
    def cause(self) -> str:
        """Why it failed, in a few words."""
        code = "" if self.exit_code is None else f" with {self.exit_code}"
        return self.error or f"{self.state}{code}"

    def begin_again(self) -> None:
        """Forget the start that failed; the next one finds the identity by its name."""
        self.state = State.WAITING
        self.attempt += 1
        self.container = self.identity = self.exit_code = self.ready_s = None
        self.error = None
        self.used = UNMEASURED
        self.is_out_of_memory = self.is_timed_out = self.is_output_over = False
        self.is_cut = self.is_being_read = self.is_signalled = False
        self.lines.clear()


def still_running(agents: Sequence[Agent], run: str) -> str:
    """The agents that have been started and have not ended, in words."""
    left = [one.task.id for one in agents if not one.is_final and one.asked_at]
    names = ", ".join(left[:10]) + (f" and {len(left) - 10} more" if len(left) > 10 else "")
    return f"{names} running; ravi-launch stop {run}" if left else "no agent behind"
