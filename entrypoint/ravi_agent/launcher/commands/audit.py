"""`ravi-launch audit`: print what was done with identities on this host."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

from ravi_agent.errors import UsageError
from ravi_agent.launcher.commands.filters import Filters
from ravi_agent.launcher.commands.flags import Call, Command, Group, flag, list_format
from ravi_agent.launcher.planning.values import parse_seconds
from ravi_agent.workspace import ledger

_FILTERS = ("action", "name", "run", "uuid")
_COLUMNS = ("at", "action", "identity", "uuid", "run", "host", "path")

Entry = ledger.Entry


@dataclass(frozen=True, kw_only=True)
class AuditOptions:
    """Which lines of the ledger, and how they are shown."""

    filter: tuple[str, ...] = flag(
        "--filter",
        default=(),
        metavar="KEY=VALUE",
        group=Group.OUTPUT,
        help="Only lines whose action, name, run or uuid is this. Several of one key match any of"
        " them.",
    )
    since: str | None = flag(
        "--since",
        metavar="DURATION",
        group=Group.OUTPUT,
        help="Only what was done in the last 90s, 10m, 2h or 7d.",
    )
    output: str = list_format()

    def matches(self) -> Callable[[Entry], bool]:
        """Whether an entry is asked for. Raises UsageError for a filter that makes no sense."""
        filters = Filters(self.filter, _FILTERS, by_part=())
        since = None
        if self.since is not None:
            since = time.time() - parse_seconds("--since", self.since)

        def is_wanted(entry: Entry) -> bool:
            if since is not None and entry.seconds < since:
                return False
            return filters.match({key: getattr(entry, key) for key in _FILTERS})

        return is_wanted


def audit(options: AuditOptions, call: Call) -> int:
    """Print the entries, oldest first."""
    is_wanted = options.matches()
    try:
        entries = [entry for entry in ledger.read(call.environ) if is_wanted(entry)]
    except OSError as exc:
        raise UsageError(
            "the ledger", f"{exc.filename or 'it'}: {exc.strerror}", "set XDG_STATE_HOME"
        ) from exc
    if options.output == "json":
        print(json.dumps([json.loads(entry.line()) for entry in entries], indent=2))
        return 0
    from ravi_agent.launcher.show.tables import print_table  # it loads rich

    rows = [[getattr(one, "name" if key == "identity" else key) or "-" for key in _COLUMNS]
            for one in entries]  # fmt: skip
    print_table(_COLUMNS, rows)
    return 0


COMMAND = Command(
    name="audit",
    summary="Print who created, adopted, revoked and deleted identities on this host",
    options=AuditOptions,
    execute=audit,
)
