"""A `.ravi/` that was in a container before its first start came with the image.

Its owner says nothing where somebody has made it the agent's: `COPY --chown=agent`. But PID 1
leaves a record where only root can write, from the first start to the container's end.
"""

import os

from ravi_agent import contract
from ravi_agent.container.root_env import has_root_env, write_root_env
from ravi_agent.container.surroundings import is_started_by_engine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ravi_agent.container.user import AgentUser
    from ravi_agent.settings import Settings


def check_provenance(
    settings: "Settings", user: "AgentUser | None", *, is_provisioned: bool
) -> None:
    """Raises WorkspaceError for an identity of the image's, unless its name is asked for.

    A volume may well bring one, so only the container's own file system is looked at.
    """
    if user is None or settings.asked_name is not None or not is_started_by_engine():
        return
    if has_root_env():
        return
    if not is_provisioned:
        write_root_env({})  # a start that is killed before it knows more
        return
    ravi_dir = os.path.join(settings.workspace, contract.RAVI_DIR)
    record_dir = os.path.dirname(contract.ROOT_ENV_PATH)
    # A /run in memory is new at each start, and a record in it as well.
    devices = {os.stat(path).st_dev for path in ("/", record_dir, ravi_dir)}
    if len(devices) == 1 and os.access(record_dir, os.W_OK):
        from ravi_agent.workspace import trust

        raise trust.refused(ravi_dir, "it came with the image: this container has made none yet")
