"""`ravi-launch ps`: list the agents of runs."""

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from ravi_agent.errors import UsageError
from ravi_agent.launcher.backend import Backend
from ravi_agent.launcher.commands.engine_options import EngineOptions
from ravi_agent.launcher.commands.filters import Filters
from ravi_agent.launcher.commands.flags import (
    Call,
    Command,
    Completion,
    Group,
    argument,
    flag,
    list_format,
)
from ravi_agent.launcher.model.container_status import ContainerStatus
from ravi_agent.launcher.show.durations import short
from ravi_agent.launcher.show.for_terminal import plain_text
from ravi_agent.launcher.show.listing import formatter, table

_FILTERS = ("run", "task", "name", "status", "exited")
_FIELDS = (
    "Run",
    "Task",
    "Identity",
    "Email",
    "ID",
    "State",
    "Status",
    "Age",
    "Restarts",
    "ExitCode",
    "Why",
)
_COLUMNS = ("Run", "Task", "Email", "Status", "Age", "Restarts", "ExitCode", "Why", "Identity")
_WATCH_S = 2.0


@dataclass(frozen=True, kw_only=True)
class PsOptions:
    """Which agents, and how they are shown."""

    run: str | None = argument(
        "RUN", default=None, completion=Completion.RUN, help="Only the agents of this run."
    )
    filter: tuple[str, ...] = flag(
        "--filter",
        default=(),
        metavar="KEY=VALUE",
        group=Group.OUTPUT,
        help="Only agents with run=RUN, task=TASK, name=PART of the identity's, status=STATE or"
        " exited=CODE.",
    )
    format: str | None = flag(
        "--format",
        metavar="TEMPLATE",
        group=Group.OUTPUT,
        help="table, json, or a template: '{{.Task}} {{.Email}}'. Fields: "
        + ", ".join(_FIELDS)
        + ".",
    )
    output: str = list_format("Format of the list; json is one array.")
    is_quiet: bool = flag(
        "--quiet", "-q", default=False, group=Group.OUTPUT, help="Print only container IDs."
    )
    is_watching: bool = flag(
        "--watch",
        "-w",
        default=False,
        group=Group.OUTPUT,
        help="After the list, print agents again as they change, until all have ended.",
    )
    engine: EngineOptions = field(default_factory=EngineOptions)

    def check(self) -> None:
        """Raises UsageError for two formats at once."""
        if self.format is not None and self.output == "json":
            raise UsageError("--format and --output", "both say how", f"--format {self.format!r}")


def ps(options: PsOptions, _: Call) -> int:
    """Print one row, or one JSON object, for each agent."""
    options.check()
    filters = Filters(options.filter, _FILTERS)
    show = None if options.format is None else formatter(options.format, _FIELDS)
    with options.engine.open() as backend:
        found = _find(backend, options, filters)
        plain_text(sys.stdout).write(_text(found, options, show))
        if options.is_watching:
            _watch(backend, options, filters, show, found)
    return 0


def _find(backend: Backend, options: PsOptions, filters: Filters) -> list[ContainerStatus]:
    found = [one for one in backend.agents(options.run) if filters.match(_filtered(one))]
    return found if options.is_quiet else backend.describe(found)


def _filtered(one: ContainerStatus) -> dict[str, str]:
    code = "" if one.exit_code is None else str(one.exit_code)
    return {
        "run": one.run,
        "task": one.task,
        "name": one.identity_name,
        "status": one.state,
        "exited": code,
    }


def _text(
    found: Sequence[ContainerStatus],
    options: PsOptions,
    show: Callable[[Sequence[Mapping[str, str]]], str] | None,
) -> str:
    if options.is_quiet:
        return "".join(f"{one.short_id}\n" for one in found if one.id)
    if options.output == "json":
        return json.dumps([asdict(one) for one in found], indent=2) + "\n"
    records = [_record(one) for one in found]
    if show:
        return show(records)
    heads = ["exit" if name == "ExitCode" else name for name in _COLUMNS]
    return table(heads, [[one[name] for name in _COLUMNS] for one in records])


def _record(one: ContainerStatus) -> dict[str, str]:
    return {
        "Run": one.run,
        "Task": one.task,
        "Identity": one.identity_name,
        "Email": one.email or "-",
        "ID": one.short_id,
        "State": one.state,
        "Status": one.status,
        "Age": short(time.time() - one.created_at),
        "Restarts": "-" if one.restarts is None else str(one.restarts),
        "ExitCode": "-" if one.exit_code is None else str(one.exit_code),
        "Why": one.why or "-",
    }


def _states(found: Sequence[ContainerStatus]) -> dict[tuple[str, str], tuple[str, str, str]]:
    return {(one.run, one.task): (one.id, one.state, _filtered(one)["exited"]) for one in found}


def _watch(
    backend: Backend,
    options: PsOptions,
    filters: Filters,
    show: Callable[[Sequence[Mapping[str, str]]], str] | None,
    found: Sequence[ContainerStatus],
) -> None:
    """As kubectl's: the rows that have changed, below the others, until nothing can change."""
    before = _states(found)
    is_first = True
    while is_first or not all(one.has_ended for one in found):
        is_first = False
        sys.stdout.flush()
        time.sleep(_WATCH_S)
        found = _find(backend, options, filters)
        now = _states(found)
        keys = {key for key, state in now.items() if state != before.get(key)}
        changed = [one for one in found if (one.run, one.task) in keys]
        before = now
        if changed:
            text = _text(changed, options, show)
            is_headed = not options.is_quiet and options.output == "table" and not options.format
            plain_text(sys.stdout).write(text.partition("\n")[2] if is_headed else text)


COMMAND = Command(name="ps", summary="List agents", options=PsOptions, execute=ps)
