"""The account as the launcher uses it: the service's address, seen from this host, and its key."""

from collections.abc import Mapping
from dataclasses import dataclass

from ravi_agent.credential import Credential, host_account


@dataclass(frozen=True, kw_only=True)
class Account:
    """url: the service's root as the host reaches it."""

    url: str
    credential: Credential


def find_account(environ: Mapping[str, str], *, is_local: bool) -> Account:
    """The account to use from this host. Raises SettingsError where none is configured."""
    url, credential = host_account(environ, is_local=is_local)
    return Account(url=url, credential=credential)
