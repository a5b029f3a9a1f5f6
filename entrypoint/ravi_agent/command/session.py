"""Whom a call is about, which service it goes to and which key it carries."""

import json
import os
import re

from ravi_agent import contract
from ravi_agent.credential import (
    Credential,
    check_token,
    home_folder,
    host_credential,
    no_host_credential,
    read_config,
)
from ravi_agent.errors import RefusedError, SettingsError, WorkspaceError
from ravi_agent.service_url import check_service_url
from ravi_agent.workspace import trust

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_IDENTITY_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")


class Session:
    """The configuration that holds in a directory, and the calls it allows.

    `folder` is RAVI_CONFIG_DIR, else the nearest `.ravi` from `directory` upwards that holds a
    `config.json`, else `~/.ravi`. One that was merely found is not trusted with the account's
    key: anybody may have put it there, in a repository or above a shared directory.
    directory: None where the current one has been removed.
    Raises SettingsError, or WorkspaceError for a folder that somebody else chose.
    """

    def __init__(self, environ: "Mapping[str, str]", directory: str | None) -> None:
        self._environ = environ
        home = home_folder(environ)
        chosen = environ.get("RAVI_CONFIG_DIR")
        found = None if chosen else _nearest(directory)
        self.folder = os.path.normpath(os.path.join(directory or "/", chosen or found or home))
        self._is_only_found = bool(found) and not _is_same(self.folder, home)
        if self._is_only_found:
            _check_owner(self.folder)
        self._path = os.path.join(self.folder, contract.CONFIG_FILE)
        config = read_config(self.folder)
        self.identity_uuid = config.get("identity_uuid")
        self.identity_name = config.get("identity_name")
        key = config.get("identity_key")
        self.identity_key = Credential(check_token(key, self._path), self._path) if key else None
        if self.identity_uuid and not _IDENTITY_HEADER.fullmatch(self.identity_uuid):
            raise SettingsError(self._path, "its identity_uuid is no UUID", f"mend {self._path}")

    def ask_account(self, method: str, path: str, body: dict[str, object] | None = None) -> object:
        """The answer to a call about the account. Raises any RaviError."""
        credential = self.account_credential()
        return self._ask(credential, None, method, path, body)

    def ask_identity(self, method: str, path: str, body: dict[str, object] | None = None) -> object:
        """The answer to a call about the identity. Raises any RaviError."""
        if self.identity_key:
            try:
                return self._ask(self.identity_key, None, method, path, body)
            except RefusedError as exc:
                if exc.status == 401:
                    exc.fix = f"provision again (ravi-init): the key in {self._path} is not valid"
                raise
        if not self.identity_uuid:
            raise SettingsError(
                "no identity",
                f"{self._path} names none",
                "export RAVI_CONFIG_DIR=WORKSPACE/.ravi, or run ravi-init in the workspace",
            )
        return self._ask(self.account_credential(), self.identity_uuid, method, path, body)

    def account_credential(self) -> Credential:
        """What speaks for the account: the variables, this folder's key, then that of `~/.ravi`."""
        credential = host_credential(self._environ, self.folder)
        if credential is None:
            raise no_host_credential()
        return credential

    def api_url(self, credential: Credential) -> str:
        """The service root for that key. Raises SettingsError."""
        source, url = "RAVI_API_URL", self._environ.get("RAVI_API_URL")
        if not url:
            source = os.path.join(self.folder, contract.IDENTITY_FILE)
            url = _recorded_url(source)
            is_foreign = url not in {None, contract.DEFAULT_API_URL}
            if is_foreign and self._is_only_found and credential.source != self._path:
                raise SettingsError(
                    source,
                    "it would have the account's key sent to a service that nobody here has named",
                    f"export RAVI_CONFIG_DIR={self.folder} or RAVI_API_URL if you trust it",
                )
        url = url or contract.DEFAULT_API_URL
        try:
            return check_service_url(url, self._environ.get("RAVI_ALLOW_HTTP") == "1")
        except ValueError as exc:
            # A URL with a user in it has a password there: show what stands behind it.
            shown = url.rpartition("@")[2]
            raise SettingsError(f"{source}={shown!r}", str(exc), "export RAVI_API_URL=…") from None

    def _ask(
        self,
        credential: Credential,
        identity_uuid: str | None,
        method: str,
        path: str,
        body: dict[str, object] | None,
    ) -> object:
        api_url = self.api_url(credential)
        from ravi_agent.service.api import RaviApi  # a wrong command line does not wait for httpx

        with RaviApi(api_url, credential, identity_uuid=identity_uuid) as api:
            return api.ask(method, path, body)


def _is_same(one: str, other: str) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def _nearest(directory: str | None) -> str | None:
    while directory:
        folder = os.path.join(directory, contract.RAVI_DIR)
        if os.path.isfile(os.path.join(folder, contract.CONFIG_FILE)):
            return folder
        above = os.path.dirname(directory)
        directory = above if above != directory else None
    return None


def _check_owner(folder: str) -> None:
    if why := trust.why_not_found_one(folder):
        raise WorkspaceError(
            f"{folder} is not used", why, f"export RAVI_CONFIG_DIR={folder} if you trust it"
        )


def _recorded_url(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8") as file:
            record = json.load(file)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "it is no JSON"
        raise SettingsError(path, str(why), "export RAVI_API_URL=…") from None
    url = record.get("api_url") if isinstance(record, dict) else None
    return url if isinstance(url, str) and url else None
