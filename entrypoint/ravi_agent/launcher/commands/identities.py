"""`ravi-launch identities`: list what this host's runs have made."""

import json
import sys
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from ravi_agent.errors import EngineError, RaviError
from ravi_agent.launcher.commands.engine_options import EngineOptions
from ravi_agent.launcher.commands.filters import Filters
from ravi_agent.launcher.commands.flags import Call, Command, Group, flag, list_format
from ravi_agent.launcher.model.leases import pool_of, read_leases
from ravi_agent.launcher.show.durations import short
from ravi_agent.launcher.show.for_terminal import plain_text
from ravi_agent.launcher.show.listing import table
from ravi_agent.settings import value_of

_KEYS = ("run", "name", "used")
_UNUSED = "-"


@dataclass(frozen=True, kw_only=True)
class IdentitiesOptions:
    """Which identities, and how they are shown."""

    filter: tuple[str, ...] = flag(
        "--filter",
        default=(),
        metavar="KEY=VALUE",
        group=Group.OUTPUT,
        help="Only identities with run=RUN, name=PART, or used=true or false.",
    )
    output: str = list_format()
    is_quiet: bool = flag(
        "--quiet", "-q", default=False, group=Group.OUTPUT, help="Print only the UUIDs."
    )
    engine: EngineOptions = field(default_factory=EngineOptions)


def identities(options: IdentitiesOptions, call: Call) -> int:
    """Print one row, or one JSON object, for each identity. No service is asked."""
    from ravi_agent.launcher.identities import made_here

    filters = Filters(options.filter, _KEYS)
    try:
        made = made_here(call.environ)
        leases = {
            (one.api_url, one.name): f"{one.run}/{one.task}" for one in read_leases(call.environ)
        }
    except OSError as exc:
        raise EngineError("the ledger", str(exc.strerror), "make it readable") from exc
    prefix = value_of(call.environ, "RAVI_NAME_PREFIX")
    users = _users(options.engine)
    shown = [
        (one, users.get(one.name, _UNUSED))
        for one in made
        if filters.match(
            {
                "run": one.run or "",
                "name": one.name,
                "used": str(one.name in users).lower(),
            }
        )
    ]
    if options.is_quiet:
        print("".join(f"{one.uuid}\n" for one, _ in shown), end="")
    elif options.output == "json":
        records = [
            {
                **asdict(one),
                "made_at": _iso(one.made_at),
                "used_at": _iso(one.used_at),
                "used_by": None if user == _UNUSED else user,
                "pool": pool_of(one.name, prefix),
                "leased_by": leases.get((one.api_url, one.name)),
            }
            for one, user in shown
        ]
        print(json.dumps(records, indent=2))
    else:
        now = time.time()
        columns = ["name", "run", "age", "last use", "used by"]
        has_pools = any(pool_of(one.name, prefix) for one, _ in shown)
        columns += ["pool", "leased by"] if has_pools else []
        rows = []
        for one, user in shown:
            row = [
                one.name,
                one.run or one.path or "-",
                short(now - one.made_at),
                short(now - one.used_at),
                user,
            ]
            if has_pools:
                row += [
                    pool_of(one.name, prefix) or "-",
                    leases.get((one.api_url, one.name), "-"),
                ]
            rows.append([*row, one.uuid])
        columns.append("uuid")
        plain_text(sys.stdout).write(table(columns, rows))
    return 0


def _users(engine: EngineOptions) -> dict[str, str]:
    """By the name of an identity, the run and state of the agent that has it on the engine."""
    try:
        with engine.open() as backend:
            return {one.identity_name: f"{one.run}: {one.state}" for one in backend.agents()}
    except RaviError as exc:
        print(f"ravi-launch: warning: nobody knows what is used: {exc}", file=sys.stderr)
        return {}


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


COMMAND = Command(
    name="identities",
    summary="List the identities that runs on this host have made",
    options=IdentitiesOptions,
    execute=identities,
)
