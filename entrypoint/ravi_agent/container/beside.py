"""What may act beside this agent: another one with its identity, a CLI with somebody else's.

Nothing here ends a start: sharing an identity, by its name or its volume, can be meant.
"""

import os

from ravi_agent import contract
from ravi_agent.container.surroundings import is_mounted, is_started_by_engine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ravi_agent.container.user import AgentUser
    from ravi_agent.identity import Identity
    from ravi_agent.log import Log
    from ravi_agent.settings import Settings


def warn_of_another_agent(
    settings: "Settings",
    identity: "Identity",
    user: "AgentUser | None",
    log: "Log",
    *,
    is_found: bool,
) -> int | None:
    """Say so where another container's agent has this identity, as far as can be seen from here.

    For the first start in a container. is_found: the workspace had its identity already. Returns a
    descriptor to keep open as long as the agent runs, so that the next one sees it.
    """
    if not is_started_by_engine():
        return None  # several programs on a host may share a workspace, as they share a user
    ravi_dir = os.path.join(settings.workspace, contract.RAVI_DIR)
    is_of_another_host = settings.is_name_of_host and identity.name != settings.identity_name
    # A volume brings its identity from another container, and nothing else does but an image.
    if is_found and is_of_another_host and not is_mounted(ravi_dir):
        log.warning(
            f"{ravi_dir} came with the image: every container of that image is {identity.name}",
            f"remove {ravi_dir} from the image, or set RAVI_IDENTITY_NAME={identity.name} if that "
            "is meant",
        )
    try:
        if os.stat(settings.workspace).st_dev == os.stat("/").st_dev:
            return None  # no other container has it
    except OSError:
        return None
    from ravi_agent.container.user import ActingAs
    from ravi_agent.workspace.holder import hold

    with ActingAs(user):
        held, host = hold(settings.workspace)
    if host:
        log.warning(
            f"another agent runs in {settings.workspace} and is {identity.name}, too: in the "
            f"container with the host name {host}",
            "give each container a volume of its own, or stop the other one",
        )
    return held


def warn_of_official_cli(
    settings: "Settings", environment: "Mapping[str, str]", log: "Log", *, is_on_a_host: bool
) -> None:
    """Say so where an official CLI in the agent's directory would not act as the agent."""
    try:
        if settings.has_cli_shim or os.path.samefile(".", settings.workspace):
            return
    except OSError:
        return  # the current directory cannot be looked at, nor will the CLI be able to
    from ravi_agent.container.official_cli import find_gap

    gap = find_gap(
        settings.workspace,
        environment.get("HOME"),
        environment["RAVI_IDENTITY_NAME"],
        is_on_a_host=is_on_a_host,
    )
    if gap:
        log.warning(*gap)
