"""What a run is to be: checked whole before anything is started."""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from ravi_agent import contract
from ravi_agent.errors import UsageError

# What Docker allows in a name, and few enough characters for a host name (RFC 1035).
_RUN_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}")
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Without 0/o and 1/l: people read run names aloud.
_ALPHABET = "23456789abcdefghijkmnpqrstuvwxyz"
# Reach the container by the hand-over only: `docker inspect` shows variables to everybody.
_SECRET_VARIABLES = frozenset(
    {"RAVI_MANAGEMENT_KEY", "RAVI_ACCESS_TOKEN", contract.HANDOVER_VARIABLE}
)

_LAUNCHER_VARIABLES = frozenset(
    {"RAVI_API_URL", "RAVI_IDENTITY_NAME", "RAVI_RUN", "TASK_ID", "TASK_INDEX", "TASK_COUNT"}
)


@dataclass(frozen=True, kw_only=True)
class Task:
    """One agent's place in a run; `index` counts from 0, as JOB_COMPLETION_INDEX does."""

    id: str
    index: int
    identity_name: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One run. `environment` is what every agent gets; `command` None keeps the image's.

    concurrency: containers being started at once. parallel: containers running at once, None for
    all. is_fresh: the run's name is new, so no identity can have been made for it.
    """

    run: str
    image: str
    tasks: Sequence[Task]
    command: Sequence[str] | None
    environment: dict[str, str]
    api_url: str
    network: str | None
    concurrency: int
    parallel: int | None = None
    is_fresh: bool = True
    labels: dict[str, str] = field(default_factory=dict)

    def variables(self, task: Task) -> dict[str, str]:
        """The environment of one agent's container. It holds no key."""
        return {
            **self.environment,
            "TASK_ID": task.id,
            "TASK_INDEX": str(task.index),
            "TASK_COUNT": str(len(self.tasks)),
            "RAVI_RUN": self.run,
            "RAVI_API_URL": self.api_url,
            "RAVI_IDENTITY_NAME": task.identity_name,
            contract.HANDOVER_VARIABLE: "stdin",
        }

    def labels_of(self, task: Task) -> dict[str, str]:
        """The labels by which a later launcher finds this container and knows what it is."""
        return {
            contract.LABEL_RUN: self.run,
            contract.LABEL_TASK: task.id,
            contract.LABEL_INDEX: str(task.index),
            contract.LABEL_COUNT: str(len(self.tasks)),
            contract.LABEL_IDENTITY_NAME: task.identity_name,
        }

    def container_name(self, task: Task) -> str:
        return f"ravi-agent-{self.run}-{task.id}"


def new_run_name() -> str:
    """A name that no run has had, so that no identity has one made of it."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(8))


def check_run_name(name: str) -> str:
    if not _RUN_NAME.fullmatch(name):
        raise UsageError(
            f"--name {name!r}",
            "a run's name is up to 40 lower-case letters, digits, '.', '_' and '-'",
            "--name nightly",
        )
    return name


def count_tasks(run: str, count: int, prefix: str) -> list[Task]:
    """`count` tasks named by their number; raises UsageError for fewer than one."""
    if count < 1:
        raise UsageError(f"--count {count}", "a run has at least one agent", "--count 1")
    width = max(4, len(str(count - 1)))
    ids = [f"{index:0{width}d}" for index in range(count)]
    return [
        Task(id=task_id, index=index, identity_name=f"{prefix}{run}-{task_id}")
        for index, task_id in enumerate(ids)
    ]


def parse_environment(entries: Sequence[str], host: dict[str, str]) -> dict[str, str]:
    """`K=V`, or `K` for the host's own value, as `docker run -e` takes them.

    Raises UsageError for what is no variable, and for one that would show a key.
    """
    environment = {}
    for entry in entries:
        name, separator, value = entry.partition("=")
        if not _VARIABLE_NAME.fullmatch(name):
            raise UsageError(f"--env {name!r}", "not a variable's name", "-e NAME=VALUE")
        if name in _SECRET_VARIABLES:
            raise UsageError(
                f"--env {name}",
                "`docker inspect` would show it; the launcher hands the key over by itself",
                f"export {name} for ravi-launch instead",
            )
        if name in _LAUNCHER_VARIABLES:
            raise UsageError(
                f"--env {name}", "the launcher sets it for each agent", "use --api-url and --name"
            )
        if separator:
            environment[name] = value
        elif name in host:
            environment[name] = host[name]
    return environment
