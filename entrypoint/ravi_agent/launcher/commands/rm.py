"""`ravi-launch rm`: remove the containers of agents."""

import sys
from dataclasses import dataclass, field

from ravi_agent.errors import UsageError
from ravi_agent.launcher.commands.engine_options import EngineOptions
from ravi_agent.launcher.commands.flags import Call, Command, flag
from ravi_agent.launcher.commands.local_options import LocalOptions
from ravi_agent.launcher.commands.run_arguments import RunArguments
from ravi_agent.launcher.commands.run_options import ServiceOptions
from ravi_agent.launcher.model.run_keys import end_keys


@dataclass(frozen=True, kw_only=True)
class RmOptions:
    """Which agents, and whether running ones too."""

    which: RunArguments
    is_forced: bool = flag("--force", "-f", default=False, help="Remove running agents too.")
    is_deleting: bool = flag(
        "--delete-identities",
        default=False,
        help="Delete the identities that this host created for the run, too.",
    )
    local: LocalOptions = field(default_factory=LocalOptions)
    service: ServiceOptions = field(default_factory=ServiceOptions)
    engine: EngineOptions = field(default_factory=EngineOptions)

    def check(self) -> None:
        """Raises UsageError for options that do not go together."""
        self.local.check(self.service)
        if self.is_deleting and self.which.tasks:
            raise UsageError(
                "--delete-identities and TASK",
                "the identities of a run are deleted together",
                f"ravi-launch rm {self.which.run} --delete-identities",
            )
        if not self.is_deleting and (self.local.is_local or self.service.api_url):
            flag_name = "--local" if self.local.is_local else "--api-url"
            raise UsageError(
                flag_name, "only --delete-identities asks a service", f"leave out {flag_name}"
            )


def rm(options: RmOptions, call: Call) -> int:
    """0 once they are removed, and their keys revoked; 1 where an identity to delete stays."""
    options.check()
    which = options.which
    with options.engine.open() as backend:
        names = None
        if which.tasks:
            names = {one.identity_name for one in backend.agents(which.run, which.tasks)}
        removed = backend.remove(which.run, which.tasks, is_forced=options.is_forced)
    print(f"removed {removed.words}", file=sys.stderr)
    environ = options.service.environ(call.environ)
    end_keys(environ, which.run, names=names, inside=removed.keys)
    if not options.is_deleting:
        return 0
    from ravi_agent.launcher.identities import delete_of_run  # it calls the service

    return delete_of_run(which.run, environ, is_local=options.local.is_local)


COMMAND = Command(
    name="rm",
    summary="Remove the containers of agents and revoke their keys; identities stay by default",
    options=RmOptions,
    execute=rm,
)
