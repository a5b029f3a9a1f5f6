"""Who creates the identities of a run, how many at most, and what becomes of them."""

from collections.abc import Mapping
from dataclasses import dataclass

from ravi_agent.errors import UsageError
from ravi_agent.launcher.backend import DOCKER, KUBERNETES
from ravi_agent.launcher.commands.flags import Group, flag
from ravi_agent.launcher.commands.run_options import ENGINES
from ravi_agent.launcher.planning.plan import check_run_name
from ravi_agent.settings import VARIABLES

CONFIRM_ABOVE = int(VARIABLES["RAVI_CONFIRM_ABOVE"][0])


@dataclass(frozen=True, kw_only=True)
class IdentityOptions:
    """Who creates the identities, and how many at most."""

    provision: str | None = flag(
        "--provision",
        choices=("container", "host"),
        group=Group.IDENTITIES,
        default_text="host; container on Kubernetes",
        help="Where identities are created. With host, the launcher creates all of them and no"
        " management key enters a container; with container, each creates its own, and its image"
        " is given the management key.",
        fixed_on=ENGINES,
    )
    pool: str | None = flag(
        "--pool",
        metavar="NAME",
        group=Group.IDENTITIES,
        default_text="none",
        help="Lease identities from this pool and give them back at the end of the run; create"
        " only what the pool lacks.",
        only_on=DOCKER,
        why="leases are kept on the host that creates the identities, and pods create their own",
        fixed_on=(DOCKER,),
    )
    pool_size: int | None = flag(
        "--pool-size",
        metavar="N",
        minimum=1,
        group=Group.IDENTITIES,
        default_text="no limit",
        help="Start nothing if the pool would have to have more than N identities.",
        only_on=DOCKER,
        why="it belongs to --pool",
        fixed_on=(DOCKER,),
    )
    max_identities: int | None = flag(
        "--max-identities",
        metavar="N",
        minimum=0,
        group=Group.IDENTITIES,
        default_text="no limit",
        help="Start nothing if more than N identities would have to be created.",
        fixed_on=(KUBERNETES,),
    )
    confirm_above: int | None = flag(
        "--confirm-above",
        metavar="N",
        minimum=0,
        group=Group.IDENTITIES,
        default_text=str(CONFIRM_ABOVE),
        variable="RAVI_CONFIRM_ABOVE",
        help="Ask before more than N identities are created.",
    )
    is_confirmed: bool = flag(
        "--yes", "-y", default=False, group=Group.IDENTITIES, help="Do not ask for confirmation."
    )
    is_deleting: bool = flag(
        "--delete-identities",
        default=False,
        group=Group.IDENTITIES,
        help="Delete the identities that the run has created when it ends.",
    )

    def ask_above(self, environ: Mapping[str, str]) -> int:
        """From how many identities on somebody is asked. Raises UsageError."""
        if self.confirm_above is not None:
            return self.confirm_above
        text = environ.get("RAVI_CONFIRM_ABOVE") or str(CONFIRM_ABOVE)
        if not text.isdecimal():
            raise UsageError(
                f"RAVI_CONFIRM_ABOVE={text!r}", "not a whole number", "unset RAVI_CONFIRM_ABOVE"
            )
        return int(text)

    def is_on_host(self, backend: str) -> bool:
        """Whether the launcher creates the identities."""
        return self.provision == "host" or (self.provision is None and backend == DOCKER)

    def check(self, backend: str) -> None:
        """Raises UsageError for a way to provision that the engine does not have."""
        if backend == KUBERNETES and self.provision == "host":
            raise UsageError(
                "--provision host on Kubernetes",
                "the init container of each pod creates its identity",
                "leave it out",
            )
        if self.pool is not None:
            self._check_pool(self.pool)
        elif self.pool_size is not None:
            size = f"--pool-size {self.pool_size}"
            raise UsageError(size, "no pool is named", f"--pool NAME {size}")

    def _check_pool(self, pool: str) -> None:
        check_run_name("--pool", pool)
        if self.provision == "container":
            raise UsageError(
                "--pool and --provision container",
                "leases are kept on the host that creates the identities",
                f"--pool {pool}",
            )
        if self.is_deleting:
            raise UsageError(
                "--pool and --delete-identities",
                "identities of a pool are there for the next run",
                f"--pool {pool}",
            )
