"""Whom a call is about, which service it goes to and which key it carries."""

import contextlib
import json
import os
import re

from ravi_agent import contract
from ravi_agent.credential import (
    Credential,
    check_token,
    host_credential,
    no_host_credential,
    read_config,
)
from ravi_agent.credential_paths import home_folder
from ravi_agent.errors import RefusedError, SettingsError, WorkspaceError
from ravi_agent.plain_file import read_plain_file
from ravi_agent.service_url import check_service_url, read_service_url
from ravi_agent.workspace import trust

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from ravi_agent.service.api import RaviApi

_CALL_TIMEOUT_S = 30.0  # what the official CLI allows
_RECORD_LIMIT = 64 * 1024  # bytes of identity.json
_IDENTITY_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")


class Session:
    """The configuration that holds in a directory, and the calls it allows.

    `folder` is RAVI_CONFIG_DIR, else the nearest `.ravi` from `directory` upwards that holds a
    `config.json`, else `~/.ravi`. One that was merely found is not used where anybody may have put
    it there, in a repository or above a shared directory.
    directory: None where the current one has been removed.
    `with` closes the connections. Raises SettingsError, or WorkspaceError for a folder that
    somebody else chose.
    """

    def __init__(self, environ: "Mapping[str, str]", directory: str | None) -> None:
        self.environ = environ
        self._apis: dict[tuple[str, str | None], RaviApi] = {}
        home = home_folder(environ)
        chosen = environ.get("RAVI_CONFIG_DIR")
        found = None if chosen else _nearest(directory)
        self.folder = os.path.normpath(os.path.join(directory or "/", chosen or found or home))
        self.is_home = _is_same(self.folder, home)
        if found and not self.is_home:
            _check_owner(self.folder)
        self._path = os.path.join(self.folder, contract.CONFIG_FILE)
        config = read_config(self.folder)
        self.identity_uuid = config.get("identity_uuid")
        self.identity_name = config.get("identity_name")
        key = config.get("identity_key")
        self.identity_key = Credential(check_token(key, self._path), self._path) if key else None
        if self.identity_uuid and not _IDENTITY_HEADER.fullmatch(self.identity_uuid):
            raise SettingsError(self._path, "its identity_uuid is not a UUID", f"mend {self._path}")

    def __enter__(self) -> "Session":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: "TracebackType | None",
    ) -> None:
        for api in self._apis.values():
            api.close()

    def ask_account(self, method: str, path: str, body: dict[str, object] | None = None) -> object:
        """The answer to a call about the account. Raises any RaviError."""
        return _answer(self._api(self.account_credential(), None), method, path, body)

    def ask_identity(
        self,
        method: str,
        path: str,
        body: dict[str, object] | None = None,
        *,
        timeout_s: float | None = None,
    ) -> object:
        """The answer to a call about the identity; a list whole, also where it comes in pages.

        timeout_s: for all pages together. Raises any RaviError.
        """
        try:
            return _answer(self.identity_api(), method, path, body, timeout_s)
        except RefusedError as exc:
            if exc.status == 401 and self.identity_key:
                self._mark_refused()
                exc.fix = (
                    "restart the container, or run ravi-init again, with a management key: the "
                    f"key in {self._path} is replaced"
                )
                exc.restated(f"this identity's key has been revoked, or has run out: {exc.what}")
            raise

    def _mark_refused(self) -> None:
        """Have the next start look at the key; nothing where no start would."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        if os.path.exists(os.path.join(self.folder, contract.IDENTITY_FILE)):
            with contextlib.suppress(OSError):  # read-only: the message has to do
                path = os.path.join(self.folder, contract.KEY_REFUSED_FILE)
                os.close(os.open(path, flags, 0o600))

    def ask_either(self, method: str, path: str) -> object:
        """The answer to a call about the account, by the identity where the account has no key."""
        has_account = host_credential(self.environ, self.folder) or not self.identity_key
        ask = self.ask_account if has_account else self.ask_identity
        return ask(method, path)

    def identity_api(self) -> "RaviApi":
        """The service, called as the identity. Raises SettingsError where there is none."""
        if self.identity_key:
            return self._api(self.identity_key, self.identity_uuid)
        if not self.identity_uuid:
            raise SettingsError(
                "no identity",
                f"{self._path} names none",
                "export RAVI_CONFIG_DIR=WORKSPACE/.ravi, or run ravi-init in the workspace",
            )
        return self._api(self.account_credential(), self.identity_uuid)

    def account_credential(self) -> Credential:
        """What speaks for the account. Raises SettingsError."""
        credential = host_credential(self.environ, self.folder)
        if credential is None:
            raise no_host_credential()
        return credential

    def api_url(self, credential: Credential) -> str:
        """The service root for that key: never what a file says, but for the identity's own key.

        Raises SettingsError.
        """
        path = os.path.join(self.folder, contract.IDENTITY_FILE)
        recorded = _recorded_url(path)
        if self.environ.get("RAVI_API_URL") or not recorded:
            return read_service_url(self.environ)
        if credential is not self.identity_key and recorded != contract.DEFAULT_API_URL:
            raise SettingsError(
                path,
                "it would have the account's key sent to a service that nobody here has named",
                "export RAVI_API_URL=… with the address of the service that the key is for",
            )
        try:
            return check_service_url(recorded, self.environ.get("RAVI_ALLOW_HTTP") == "1")
        except ValueError as exc:
            # A URL with a user in it has a password there: show what stands behind it.
            shown = recorded.rpartition("@")[2]
            raise SettingsError(f"{path}: {shown!r}", str(exc), "export RAVI_API_URL=…") from exc

    def _api(self, credential: Credential, identity_uuid: str | None) -> "RaviApi":
        api_url = self.api_url(credential)
        from ravi_agent.service.api import RaviApi  # a wrong command line does not wait

        key = (credential.source, identity_uuid)
        if key not in self._apis:
            self._apis[key] = RaviApi(api_url, credential, identity_uuid=identity_uuid)
        return self._apis[key]


def _answer(
    api: "RaviApi",
    method: str,
    path: str,
    body: dict[str, object] | None,
    timeout_s: float | None = None,
) -> object:
    if method == "GET":
        return api.read(path) if timeout_s is None else api.read(path, timeout_s=timeout_s)
    return api.ask(method, path, body, timeout_s=timeout_s or _CALL_TIMEOUT_S)


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
        content, _ = read_plain_file(path, _RECORD_LIMIT)
        record = json.loads(content)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "it is not JSON"
        raise SettingsError(path, str(why), "export RAVI_API_URL=…") from exc
    url = record.get("api_url") if isinstance(record, dict) else None
    return url if isinstance(url, str) and url else None
