"""`config.json` as the Ravi CLI keeps it: which account, which identity."""

import json
import os

from ravi_agent import contract
from ravi_agent.errors import SettingsError
from ravi_agent.settings import Credential, check_token

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def home_folder(environ: "Mapping[str, str]") -> str:
    """Where the CLI keeps what holds for the whole account, `~/.ravi`."""
    return os.path.join(environ.get("HOME") or "/", contract.RAVI_DIR)


def read_config(folder: str) -> dict[str, str]:
    """The texts of a directory's `config.json`, empty ones left out; {} where there is none.

    Raises SettingsError for one that cannot be read. The result may hold keys.
    """
    path = os.path.join(folder, contract.CONFIG_FILE)
    try:
        with open(path, encoding="utf-8") as file:
            record = json.load(file)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as exc:
        raise SettingsError(path, str(exc.strerror), f"make {path} readable") from None
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        raise SettingsError(path, "it is no JSON object", f"mend or remove {path}")
    return {name: text for name, text in record.items() if isinstance(text, str) and text}


def management_key(folder: str) -> Credential | None:
    """The account's key of a directory's `config.json`. Raises SettingsError."""
    key = read_config(folder).get("management_key")
    path = os.path.join(folder, contract.CONFIG_FILE)
    return Credential(check_token(key, path), path) if key else None
