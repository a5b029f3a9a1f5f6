"""One run, whole: each agent's container with its templates filled in."""

import os
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ravi_agent import contract
from ravi_agent.errors import UsageError
from ravi_agent.identity import is_plain
from ravi_agent.launcher.planning.container import ContainerOptions
from ravi_agent.launcher.planning.docker_flags import DockerSettings, parse_mount
from ravi_agent.launcher.planning.spec import (
    Flow,
    RunSpec,
    check_label,
    check_variable,
    check_volume,
)
from ravi_agent.launcher.planning.tasks_file import Row
from ravi_agent.launcher.planning.templates import Filler

# What Docker allows in a name, and few enough characters for a host name (RFC 1035).
_RUN_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}")
# Without 0/o and 1/l: people read run names aloud.
_ALPHABET = "23456789abcdefghijkmnpqrstuvwxyz"
# The least digits that an id of `--count` has, and ids that end in as many.
_DIGITS = 4
_END_IN_NUMBER = re.compile(rf"-+[0-9]{{{_DIGITS},}}\Z")


@dataclass(frozen=True, kw_only=True)
class Task:
    """One agent's place in a run; `index` counts from 0, as JOB_COMPLETION_INDEX does.

    command None keeps the image's. volumes: `SOURCE:TARGET[:OPTIONS]`.
    """

    id: str
    index: int
    identity_name: str
    image: str
    command: tuple[str, ...] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    volumes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One run. `image` is what tasks have that name no other.

    is_fresh: the run's name is new, so no identity can have been made for it.
    """

    run: str
    image: str
    tasks: Sequence[Task]
    api_url: str
    container: ContainerOptions = field(default_factory=ContainerOptions)
    flow: Flow = field(default_factory=Flow)
    is_fresh: bool = True

    @property
    def images(self) -> list[str]:
        """Every image of the run, once, in the order of the tasks."""
        return list(dict.fromkeys(task.image for task in self.tasks))

    @property
    def at_once(self) -> int:
        """How many containers run at the same time."""
        return min(self.flow.parallel or len(self.tasks), len(self.tasks))

    def variables(self, task: Task) -> dict[str, str]:
        """The environment of one agent's container. It holds no key."""
        return {
            **task.environment,
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
            **task.labels,
            contract.LABEL_RUN: self.run,
            contract.LABEL_TASK: task.id,
            contract.LABEL_INDEX: str(task.index),
            contract.LABEL_COUNT: str(len(self.tasks)),
            contract.LABEL_IDENTITY_NAME: task.identity_name,
        }

    def container_name(self, task: Task) -> str:
        return container_name(self.run, task.id)


def new_run_name() -> str:
    """A name that no run has had, so that no identity has one made of it."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(8))


def joined_name(run: str, task: str) -> str:
    """`<run>-<task>`, the name of a task's identity and container without their prefixes.

    Two pairs must not share a name, or two agents would share a mailbox: `n` and `eu-login`, and
    `n-eu` and `login`. So each `-` of a run is doubled. A number leaves the run as it is, and
    another id that ends in one as `--count` gives them has a `-` more before it: `nightly-eu` and
    `0001`, and `nightly` and `eu-0001`. With shorter numbers, a run asks the engine for the other.
    """
    if task.isdecimal() and "--" not in f"{run}-":
        return f"{run}-{task}"
    return doubled_name(run, task)


def doubled_name(run: str, task: str) -> str:
    """The same with each `-` of the run doubled, whatever the task is called."""
    doubled = run.replace("-", "--")
    marked = _END_IN_NUMBER.sub(lambda end: f"-{end[0]}", task)
    return f"{doubled}-{marked}"


def container_name(run: str, task: str) -> str:
    """The name of a task's container."""
    return f"ravi-agent-{joined_name(run, task)}"


def check_run_name(flag: str, name: str) -> str:
    if not _RUN_NAME.fullmatch(name):
        raise UsageError(
            f"{flag} {name!r}",
            "such a name is up to 40 lower-case letters, digits, '.', '_' and '-'",
            f"{flag} nightly",
        )
    return name


def check_count(count: int) -> None:
    """Raises UsageError for fewer agents than one."""
    if count < 1:
        raise UsageError(f"--count {count}", "a run has at least one agent", "--count 1")


def make_plan(run: str, spec: RunSpec, *, is_fresh: bool) -> Plan:
    """The plan of a run; raises UsageError for what no container could be made of."""
    rows = spec.rows if spec.rows is not None else _count_rows(spec.count or 0)
    tasks = [_task(run, spec, row, index, len(rows)) for index, row in enumerate(rows)]
    _check_workspaces(tasks)
    _check_shared(tasks, spec.container.docker)
    return Plan(
        run=run,
        image=spec.image,
        tasks=tasks,
        api_url=spec.api_url,
        container=spec.container,
        flow=spec.flow,
        is_fresh=is_fresh,
    )


def _count_rows(count: int) -> tuple[Row, ...]:
    check_count(count)
    width = max(_DIGITS, len(str(count - 1)))
    return tuple(Row(id=f"{index:0{width}d}") for index in range(count))


def _task(run: str, spec: RunSpec, row: Row, index: int, count: int) -> Task:
    fill = Filler(index=index, count=count, task=row.id, run=run)
    identity_name = f"{spec.name_prefix}{joined_name(run, row.id)}"
    if not is_plain(identity_name) or len(identity_name) > 255:
        raise UsageError(
            f"identity name {identity_name!r}",
            "it is at most 255 printable characters without a single quote",
            "a shorter RAVI_NAME_PREFIX",
        )
    for name in row.environment:
        check_variable(f"task {row.id}: env {name!r}", name)
    for name in row.labels:
        check_label(f"task {row.id}: label {name!r}", name)
    environment = fill.mapping({**spec.environment, **row.environment})
    volumes = [check_volume(fill.text(volume)) for volume in spec.volumes]
    if workspace := row.workspace or spec.workspace_dir:
        volumes.append(_workspace_volume(fill.text(workspace), workspace_of(environment)))
    command = row.command if row.command is not None else spec.command
    return Task(
        id=row.id,
        index=index,
        identity_name=identity_name,
        image=row.image or spec.image,
        command=None if command is None else fill.each(command),
        environment=environment,
        labels=fill.mapping({**spec.labels, **row.labels}),
        volumes=tuple(volumes),
    )


def workspace_of(environment: Mapping[str, str]) -> str:
    """The agent's workspace in a container with these variables."""
    return environment.get("RAVI_WORKSPACE") or contract.DEFAULT_WORKSPACE


def mounts_of(task: Task) -> list[str]:
    """Where in a task's container something of the user's is mounted."""
    return [os.path.normpath(volume.split(":")[1]) for volume in task.volumes]


def _workspace_volume(directory: str, target: str) -> str:
    if ":" in directory:
        raise UsageError(
            f"--workspace-dir {directory!r}",
            "Docker takes what follows a colon for something else",
            "a directory without one",
        )
    return f"{os.path.abspath(os.path.expanduser(directory))}:{target}"


def _check_shared(tasks: Sequence[Task], docker: DockerSettings) -> None:
    """A --mount is the same for all agents, so it can be nobody's workspace."""
    targets = {parse_mount(entry).target for entry in docker.mounts}
    workspaces = {os.path.normpath(workspace_of(task.environment)) for task in tasks}
    if len(tasks) > 1 and targets & workspaces:
        raise UsageError(
            f"--mount to {(targets & workspaces).pop()}",
            "all agents would share their workspace, and their identity",
            "--workspace-dir DIR/{id}",
        )


def _check_workspaces(tasks: Sequence[Task]) -> None:
    """Two agents in one workspace would have one identity: refused."""
    owners: dict[str, str] = {}
    for task in tasks:
        target = os.path.normpath(workspace_of(task.environment))
        for volume in task.volumes:
            source, _, rest = volume.partition(":")
            if os.path.normpath(rest.partition(":")[0]) != target:
                continue
            owner = owners.setdefault(source, task.id)
            if owner != task.id:
                raise UsageError(
                    f"workspace {source}",
                    f"tasks {owner} and {task.id} would share it, and their identity",
                    "--workspace-dir DIR/{id}",
                )
