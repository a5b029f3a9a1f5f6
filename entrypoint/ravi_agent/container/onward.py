"""From boot to supervise: in the same process, or by an execve that throws this program away."""

import os
import sys

from ravi_agent.container import prctl
from ravi_agent.container.account_key import find_trace
from ravi_agent.container.environ import initial_entries
from ravi_agent.container.environment import expand
from ravi_agent.container.options import Options
from ravi_agent.container.surroundings import is_started_by_engine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

    from ravi_agent.container.user import AgentUser
    from ravi_agent.settings import Settings


def supervise(
    settings: "Settings",
    user: "AgentUser | None",
    status: str | None,
    on_exit: "Mapping[str, str]",
    command: list[str],
    environment: dict[str, str],
    *,
    held: int | None,
    parent: int,
) -> "NoReturn":
    """Become supervise, and run the command as these settings say. Raises ExecError.

    parent: the pid of the process that started this one. The others are as in `Options`.
    """
    options = Options(
        expand(command, environment),
        grace_s=settings.grace_s,
        log=(settings.log_level, settings.log_format),
        signal_scope=settings.signal_scope,
        signal_map=settings.signal_map,
        exit_remap=settings.exit_remap,
        status_path=status,
        user=user.to_ids() if user else None,
        on_exit=on_exit,
        start_hook=settings.start_hook,
        stop_hook=settings.stop_hook,
    )
    options.timeout_s, options.held = settings.timeout_s, held
    options.is_telling = settings.is_handover_expected
    options.parent = parent if settings.dies_with_parent else None
    # On a host an agent is as free as its user, and whoever asks for root wants what root may do.
    is_root = user is None and os.geteuid() == 0
    options.is_confined = settings.has_no_new_privs and is_started_by_engine() and not is_root
    # One start of Python is most of what an agent waits for, so there is a second one only where a
    # key of the account may have to be thrown away.
    if find_trace(initial_entries(), environment) is None and _is_as_executed(options):
        from ravi_agent.container.supervise import go_on

        go_on(options, environment)
    from ravi_agent.container.early import exec_supervise

    exec_supervise(options, environment, settings.log_for("ravi-entrypoint"))


def _is_as_executed(options: Options) -> bool:
    """Whether this process is what execve(2) would make of it, for the agent and for root.

    Outside of our images Python may have been started with anything: other people's threads, hooks
    and warnings that are errors, and megabytes of modules.
    """
    if not (sys.flags.isolated and sys.flags.no_site):
        return False
    return options.user is None or prctl.allow_tracing()
