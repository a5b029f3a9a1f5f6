"""The account as the launcher uses it: the service's address seen from the host, and the key."""

from collections.abc import Mapping
from dataclasses import dataclass

from ravi_agent.launcher.host_key import find_host_credential
from ravi_agent.settings import Credential, Settings

# The local Ravi: a container of this name, its port published on the host's loopback.
LOCAL_NAME = "ravi-local"
LOCAL_PORT = 8787
LOCAL_NETWORK = "ravi"
LOCAL_URL = f"http://{LOCAL_NAME}:{LOCAL_PORT}"  # as agents on its network see it
LOCAL_HOST_URL = f"http://127.0.0.1:{LOCAL_PORT}"
LOCAL_CREDENTIAL = Credential("ravi_mgmt_local", "--local")


@dataclass(frozen=True, kw_only=True)
class Account:
    """url: the service's root as the host sees it."""

    url: str
    credential: Credential


def find_account(environ: Mapping[str, str], *, is_local: bool) -> Account:
    """The account to use from this host. Raises SettingsError where none is configured."""
    if is_local:
        return Account(url=LOCAL_HOST_URL, credential=LOCAL_CREDENTIAL)
    return Account(url=Settings(environ).api_url, credential=find_host_credential(environ))
