"""A workspace that is provisioned already: all that most starts need of it."""

from ravi_agent.container.user import ActingAs
from ravi_agent.workspace import reader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ravi_agent.container.user import AgentUser
    from ravi_agent.identity import Identity
    from ravi_agent.settings import Settings

# Where an identity came from: FOUND is the workspace, which the agent can write.
FOUND, CREATED, ADOPTED, HANDED_OVER = "found", "created", "adopted", "handed over"


def load_provisioned(
    settings: "Settings", user: "AgentUser | None", *, is_owner_checked: bool = True
) -> "Identity | None":
    """The identity that is there already: offline, without a key, in a millisecond."""
    with ActingAs(user):
        return reader.load(
            settings.workspace,
            name=settings.asked_name,
            api_url=settings.api_url,
            is_owner_checked=is_owner_checked,
        )
