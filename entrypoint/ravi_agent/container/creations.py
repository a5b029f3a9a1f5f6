"""Who is asked on a host before an identity is paid for: its ledger."""

from ravi_agent.errors import SettingsError
from ravi_agent.workspace.quota import Quota

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ravi_agent.settings import Settings


class HostCreations:
    """Asks the host's ledger before an identity is created (`Creations`).

    Without a ledger a limit that somebody asked for cannot be kept, and nothing is created.
    """

    def __init__(self, settings: "Settings", environ: "Mapping[str, str]") -> None:
        self._is_asked_for = settings.is_max_identities_asked_for
        self._quota = Quota(
            environ,
            settings.max_identities,
            api_url=settings.api_url,
            workspace=settings.workspace,
        )

    def reserve(self, name: str) -> None:
        """Raises LimitError where the host has created enough, SettingsError without a ledger."""
        try:
            self._quota.reserve(name)
        except OSError as exc:
            if self._is_asked_for:
                raise SettingsError(
                    "RAVI_MAX_IDENTITIES",
                    f"the ledger, where identities are counted, cannot be used: {exc}",
                    "set XDG_STATE_HOME to a directory that can be written",
                ) from exc

    def cancel(self, name: str) -> None:
        """Give a reservation back, where one could be made."""
        try:
            self._quota.cancel(name)
        except OSError:
            return  # it counts for an hour
