"""An identity's key that the service has refused: replaced at the next start.

Starts ask nobody, so it is the agent's `ravi` that notices, and leaves a mark in the workspace. An
agent can leave one as well: it gets one question to the service, about a key that is its own.
"""

import os

from ravi_agent import contract
from ravi_agent.container.ensure import provision_workspace
from ravi_agent.container.user import ActingAs
from ravi_agent.credential import container_credential
from ravi_agent.workspace.reader import mark_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ravi_agent.container.stop import StopWatch
    from ravi_agent.container.user import AgentUser
    from ravi_agent.identity import Identity
    from ravi_agent.log import Log
    from ravi_agent.settings import Settings

_ASK_TIMEOUT_S = 5.0


def replace_refused_key(
    settings: "Settings",
    environ: "Mapping[str, str]",
    identity: "Identity",
    user: "AgentUser | None",
    log: "Log",
    watch: "StopWatch",
    status: str | None,
) -> "Identity":
    """The identity with a new key; as it is where the old one is good, or nothing can be done.

    Raises any RaviError of provisioning.
    """
    from ravi_agent.service.keys import is_key_accepted

    is_good = is_key_accepted(settings.api_url, identity, timeout_s=_ASK_TIMEOUT_S)
    if is_good is None:
        return identity  # nobody can say now: the next start asks again
    if not is_good:
        why = f"the key of identity {identity.name} has been revoked, or has run out"
        if container_credential(environ) is None:
            log.warning(why, f"mount a management key at {contract.MANAGEMENT_KEY_PATH}: the next "
                        "start gets a new one")  # fmt: skip
            return identity
        if identity.name != settings.identity_name:
            log.warning(why, f"RAVI_IDENTITY_NAME={identity.name!r}: the next start gets a new one")
            return identity
        log.info(f"{why}: getting a new one")
        identity, _ = provision_workspace(
            settings, environ, user, log, watch, status, refused_key=identity.key
        )
    with ActingAs(user):
        try:
            os.unlink(mark_path(settings.workspace))
        except OSError:
            return identity  # it costs the next start a question
    return identity
