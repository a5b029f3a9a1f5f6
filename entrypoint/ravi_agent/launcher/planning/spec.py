"""What was asked for, in types that JSON has: the engine keeps it, and `--resume` reads it back."""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from ravi_agent import contract
from ravi_agent.errors import UsageError
from ravi_agent.launcher.planning.container import ContainerOptions
from ravi_agent.launcher.planning.docker_flags import DockerSettings
from ravi_agent.launcher.planning.tasks_file import Row
from ravi_agent.launcher.planning.values import host_path, is_volume_name
from ravi_agent.settings import VARIABLES

_VERSION = 1
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Reach the container by the hand-over only: `docker inspect` shows variables to everybody.
_SECRET_VARIABLES = frozenset(
    {"RAVI_MANAGEMENT_KEY", "RAVI_ACCESS_TOKEN", contract.HANDOVER_VARIABLE}
)
_LAUNCHER_VARIABLES = frozenset(
    {"RAVI_API_URL", "RAVI_IDENTITY_NAME", "RAVI_RUN", "TASK_ID", "TASK_INDEX", "TASK_COUNT"}
)
_LABEL_PREFIX = contract.LABEL_RUN.removesuffix("run")


@dataclass(frozen=True, kw_only=True)
class Flow:
    """How a run proceeds.

    concurrency: containers being started at once, None to measure. parallel: containers running
    at once, None for all. retries: further starts of an agent that failed. timeout_s: how long
    one may run. stagger_s: about how long between two
    starts. max_failures: how many may fail before the run is stopped, None for any number.
    is_removing: remove the containers at the end.
    """

    concurrency: int | None = None
    parallel: int | None = None
    retries: int = 0
    timeout_s: int | None = None
    stagger_s: int | None = None
    max_failures: int | None = None
    is_removing: bool = False

    def changed(self, options: Mapping[str, int]) -> "Flow":
        """The flow with some fields, given by name, set to other values."""
        changes: dict[str, Any] = dict(options)
        return replace(self, **changes)


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """One run as asked for. Either `count` or `rows`; templates are not filled in yet.

    `command` None keeps the image's. pool: which the identities are leased from, None for the run's
    own. pool_size: how many that may have, None for any number. It holds no key, and shows what
    `docker inspect` shows.
    """

    image: str
    count: int | None = None
    rows: tuple[Row, ...] | None = None
    command: tuple[str, ...] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    volumes: tuple[str, ...] = ()
    workspace_dir: str | None = None
    name_prefix: str = VARIABLES["RAVI_NAME_PREFIX"][0]
    api_url: str
    is_local: bool = False
    is_provisioning_here: bool = False
    pool: str | None = None
    pool_size: int | None = None
    container: ContainerOptions = field(default_factory=ContainerOptions)
    flow: Flow = field(default_factory=Flow)

    def to_record(self) -> str:
        """The spec as one line of JSON."""
        return json.dumps({"version": _VERSION, **asdict(self)}, separators=(",", ":"))

    @classmethod
    def from_record(cls, text: str) -> "RunSpec":
        """Raises UsageError for the record of another version of this launcher."""
        try:
            record = json.loads(text)
            if record.pop("version") != _VERSION:
                raise ValueError
            rows = record.pop("rows")
            return cls(
                **_frozen(record)
                | {
                    "rows": None if rows is None else tuple(Row(**_frozen(row)) for row in rows),
                    "container": _container(record["container"]),
                    "flow": Flow(**record["flow"]),
                }
            )
        except (ValueError, TypeError, KeyError, AttributeError) as exc:
            raise UsageError(
                "--resume", "another version of ravi-launch started this run", "resume with that"
            ) from exc

    def differences(self, other: "RunSpec") -> list[str]:
        """The names of the fields in which two specs are of different runs; flow is no matter."""
        return [
            one.name
            for one in fields(self)
            if one.name != "flow" and getattr(self, one.name) != getattr(other, one.name)
        ]


def _container(record: Mapping[str, Any]) -> ContainerOptions:
    fields = _frozen(record)
    docker = DockerSettings(**_frozen(fields.pop("docker", {})))
    return ContainerOptions(**fields, docker=docker)


def _frozen(record: Mapping[str, Any]) -> dict[str, Any]:
    """JSON's lists as the tuples they were."""
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in record.items()
    }


def parse_environment(entries: Sequence[str], host: Mapping[str, str]) -> dict[str, str]:
    """`K=V`, or `K` for the host's own value, as `docker run -e` takes them.

    Raises UsageError for what is not a variable, and for one that would show a key.
    """
    environment = {}
    for entry in entries:
        name, separator, value = entry.partition("=")
        check_variable(f"--env {name!r}", name)
        if separator:
            environment[name] = value
        elif name in host:
            environment[name] = host[name]
    return environment


def read_env_file(path: str, host: Mapping[str, str]) -> dict[str, str]:
    """A file of such entries, one a line; empty lines and `#` lines are skipped.

    Raises UsageError naming the line of what is wrong.
    """
    environment: dict[str, str] = {}
    try:
        with open(path, encoding="utf-8-sig") as file:
            lines = file.read().split("\n")
    except (OSError, UnicodeDecodeError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "it is no UTF-8"
        raise UsageError(f"--env-file {path}", str(why), "--env-file FILE") from None
    for number, line in enumerate(lines, 1):
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        try:
            environment |= parse_environment([entry], host)
        except UsageError as exc:
            raise exc.restated(f"{path}, line {number}, column 1") from exc
    return environment


def check_variable(what: str, name: str) -> None:
    """Raises UsageError for what is not a variable's name, or is not the user's to set."""
    if not _VARIABLE_NAME.fullmatch(name):
        raise UsageError(what, "not a variable's name", "-e NAME=VALUE")
    if name in _SECRET_VARIABLES:
        raise UsageError(
            what,
            f"`docker inspect` would show {name}; the launcher hands the key over by itself",
            f"export {name} for ravi-launch instead",
        )
    if name in _LAUNCHER_VARIABLES:
        raise UsageError(
            what, f"the launcher sets {name} for each agent", "use --api-url and --name"
        )


def parse_labels(entries: Sequence[str]) -> dict[str, str]:
    """`K=V` or `K`; raises UsageError for the launcher's own."""
    labels = {}
    for entry in entries:
        name, _, value = entry.partition("=")
        check_label(f"--label {entry!r}", name)
        labels[name] = value
    return labels


def check_label(what: str, name: str) -> None:
    if not name or name.startswith(_LABEL_PREFIX):
        raise UsageError(what, f"labels beginning with {_LABEL_PREFIX!r} are ours", "--label K=V")


def check_volume(entry: str) -> str:
    """`SOURCE:TARGET[:OPTIONS]`, a source that begins with `.` or `~` made absolute."""
    source, _, rest = entry.partition(":")
    target = rest.partition(":")[0]
    if not source or not target.startswith("/"):
        raise UsageError(
            f"--volume {entry!r}",
            "not SOURCE:TARGET with an absolute target",
            "--volume /data:/data:ro",
        )
    path = host_path(source)
    if not path.startswith("/") and not is_volume_name(path):
        raise UsageError(
            f"--volume {entry!r}",
            f"{path!r} is not a volume's name, and a directory of the host begins with / or ./",
            f"--volume {shlex.quote(f'./{path}:{rest}')}",
        )
    if target.strip("/") == "":
        raise UsageError(
            f"--volume {entry!r}",
            "nothing can be mounted over the whole container",
            f"--volume {shlex.quote(f'{source}:/data')}",
        )
    return f"{path}:{rest}"
