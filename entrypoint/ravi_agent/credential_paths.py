"""The files that may hold the account's credential; `credential` reads them."""

import os

from ravi_agent import contract

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

AUTH_FILE = "auth.json"


def credential_paths(environ: "Mapping[str, str]") -> list[str]:
    """Every file that may hold the account's credential, whether it is used or not."""
    named = (environ.get("RAVI_MANAGEMENT_KEY_FILE"), environ.get("RAVI_ACCESS_TOKEN_FILE"))
    home = home_folder(environ)
    return [
        *(path for path in named if path),
        contract.MANAGEMENT_KEY_PATH,
        os.path.join(home, AUTH_FILE),
    ]


def key_path(environ: "Mapping[str, str]") -> str:
    """Where the management key's file is, if there is one."""
    return environ.get("RAVI_MANAGEMENT_KEY_FILE") or contract.MANAGEMENT_KEY_PATH


def home_folder(environ: "Mapping[str, str]") -> str:
    """Where the CLI keeps what belongs to the whole account: `~/.ravi`."""
    return os.path.join(environ.get("HOME") or "/", contract.RAVI_DIR)
