"""The host's management key: from its variables, else from the Ravi CLI's own file."""

from collections.abc import Mapping

from ravi_agent.cli_config import home_folder, management_key
from ravi_agent.errors import SettingsError
from ravi_agent.settings import Credential, read_credential


def find_host_credential(environ: Mapping[str, str]) -> Credential:
    """Raises SettingsError where there is none, or two, or the file cannot be read."""
    credential = read_credential(environ) or management_key(home_folder(environ))
    if credential:
        return credential
    raise SettingsError(
        "no management key",
        "neither RAVI_MANAGEMENT_KEY_FILE nor ~/.ravi/config.json gives one",
        "export RAVI_MANAGEMENT_KEY_FILE=/path/to/key, or --local to try without an account",
    )
