"""`ravi-launch reap`: remove what runs have left behind."""

import time
from dataclasses import dataclass, field

from ravi_agent.errors import UsageError
from ravi_agent.launcher.commands.engine_options import EngineOptions
from ravi_agent.launcher.commands.flags import Call, Command, Completion, declared, flag
from ravi_agent.launcher.commands.local_options import LocalPortOptions
from ravi_agent.launcher.commands.run_options import DEFAULT_PREFIX, ServiceOptions
from ravi_agent.launcher.model.inventory import ReapOptions as Reaping
from ravi_agent.launcher.planning.values import parse_seconds


@dataclass(frozen=True, kw_only=True)
class ReapOptions:
    """What to remove, and whether to ask first."""

    prefix: str = flag(
        "--prefix",
        default=DEFAULT_PREFIX,
        help="Only identities whose name starts with this.",
    )
    older_than: str = flag(
        "--older-than", default="1d", metavar="DURATION", help="Only what is older: 90m, 12h, 7d."
    )
    worktrees: str | None = flag(
        "--worktrees",
        metavar="REPO",
        completion=Completion.DIRECTORY,
        help="Only identities of removed work trees of this git repository; no engine is asked.",
    )
    is_for_all: bool = flag(
        "--all",
        default=False,
        help="Also identities that neither this engine's records nor this host's ledger has.",
    )
    is_dry_run: bool = flag(
        "--dry-run", default=False, help="Print what would be removed, and change nothing."
    )
    is_forced: bool = flag("--force", "-f", default=False, help="Do not ask for confirmation.")
    local: LocalPortOptions = field(default_factory=LocalPortOptions)
    service: ServiceOptions = field(default_factory=ServiceOptions)
    engine: EngineOptions = field(default_factory=EngineOptions)

    def reaping(self) -> Reaping:
        """What counts as left behind. Raises UsageError for a bad age, or an empty prefix."""
        age_s = parse_seconds("--older-than", self.older_than)
        if not self.prefix:
            raise UsageError(
                "--prefix ''", "every identity of the account would match", "--prefix task-"
            )
        return Reaping(
            prefix=self.prefix,
            before=time.time() - age_s,
            is_dry_run=self.is_dry_run,
            is_for_all=self.is_for_all,
        )


def reap(options: ReapOptions, call: Call) -> int:
    """0 once everything that was found is gone; 1 if something could not be deleted."""
    options.local.check(options.service)
    reaping = options.reaping()
    environ = options.local.environ(options.service.environ(call.environ))
    # Both call the service: imported only where identities are deleted.
    if options.worktrees is not None:
        _check_no_engine(call)
        from ravi_agent.launcher.worktrees import reap_worktrees

        return reap_worktrees(
            options.worktrees,
            environ,
            reaping,
            is_local=options.local.is_local,
            is_forced=options.is_forced,
        )
    from ravi_agent.launcher.reap import reap_leftovers

    with options.engine.open() as backend:
        return reap_leftovers(
            backend,
            environ,
            reaping,
            is_local=options.local.is_local,
            is_forced=options.is_forced,
        )


def _check_no_engine(call: Call) -> None:
    for one in declared(EngineOptions):
        if one.parameter.name in call.given:
            raise UsageError(
                f"--worktrees and {one.parameter.name}",
                "work trees are on no engine",
                f"leave out {one.parameter.name}",
            )


COMMAND = Command(
    name="reap",
    summary="Remove ended containers, and delete identities that no agent has",
    options=ReapOptions,
    execute=reap,
)
