"""The host's management key: from its variables, else from the Ravi CLI's own file."""

import json
import os
from collections.abc import Mapping

from ravi_agent.errors import SettingsError
from ravi_agent.settings import Credential, check_token, read_credential

CLI_CONFIG = "~/.ravi/config.json"


def find_host_credential(environ: Mapping[str, str]) -> Credential:
    """Raises SettingsError where there is none, or two, or the file cannot be read."""
    credential = read_credential(environ)
    if credential:
        return credential
    path = os.path.expanduser(CLI_CONFIG)
    try:
        with open(path, encoding="utf-8") as file:
            config = json.load(file)
        key = config.get("management_key") if isinstance(config, dict) else None
    except FileNotFoundError:
        key = None
    except (OSError, ValueError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "it is no JSON"
        raise SettingsError(CLI_CONFIG, str(why), "export RAVI_MANAGEMENT_KEY_FILE=…") from None
    if isinstance(key, str) and key:
        return Credential(check_token(key, CLI_CONFIG), CLI_CONFIG)
    raise SettingsError(
        "no management key",
        f"neither RAVI_MANAGEMENT_KEY_FILE nor {CLI_CONFIG} gives one",
        "export RAVI_MANAGEMENT_KEY_FILE=/path/to/key, or --local to try without an account",
    )
