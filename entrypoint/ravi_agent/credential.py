"""The account's credential, and every place where one is looked for.

In a container (`container_credential`), the first that is there:

1. the variables RAVI_MANAGEMENT_KEY, RAVI_MANAGEMENT_KEY_FILE, RAVI_ACCESS_TOKEN and
   RAVI_ACCESS_TOKEN_FILE; two of them are an error
2. the file /run/secrets/ravi_management_key
3. `access_token` in ~/.ravi/auth.json, where older official CLIs keep it

On a host (`host_credential`), the same, then:

4. `management_key` in config.json of the directory that RAVI_CONFIG_DIR names
5. `management_key` in ~/.ravi/config.json, where the official CLI keeps it

A credential belongs to one service: RAVI_API_URL of the environment it was found with, else the
default. No file of a workspace says where it is sent.
"""

import os

from ravi_agent import contract
from ravi_agent.credential_paths import AUTH_FILE, home_folder
from ravi_agent.errors import SettingsError
from ravi_agent.key_traces import note_trace
from ravi_agent.plain_file import read_plain_file
from ravi_agent.small_json import read_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_FILE_LIMIT = 256 * 1024  # bytes; a config.json has some hundred
_TOKEN_LIMIT = 16 * 1024  # characters
_EXPORT = "export RAVI_MANAGEMENT_KEY_FILE=/path/to/key"


class Credential:
    """A token that speaks for the account, and the variable or file it came from.

    Older accounts have access tokens that expire: `expires_at` in Unix seconds, None where that
    is not known, and a `refresh_token` to get the next one with.
    """

    __slots__ = ("expires_at", "refresh_token", "source", "token")

    def __init__(
        self,
        token: str,
        source: str,
        *,
        refresh_token: str | None = None,
        expires_at: float | None = None,
    ) -> None:
        self.token = token
        self.source = source
        self.refresh_token = refresh_token
        self.expires_at = expires_at

    def __repr__(self) -> str:
        return f"Credential(<hidden> from {self.source})"


def container_credential(environ: "Mapping[str, str]") -> Credential | None:
    """The account's credential in a container, None where no place has one.

    Raises SettingsError where two variables give one, or what is there cannot be read.
    """
    key = _from_variables(environ, "RAVI_MANAGEMENT_KEY")
    token = _from_variables(environ, "RAVI_ACCESS_TOKEN")
    if key and token:
        raise SettingsError(
            "credential given twice", f"{key.source} and {token.source}", f"unset {token.source}"
        )
    if key or token:
        return key or token
    if os.path.exists(contract.MANAGEMENT_KEY_PATH):
        return _from_key_file(contract.MANAGEMENT_KEY_PATH, contract.MANAGEMENT_KEY_PATH)
    return _from_auth_file(os.path.join(home_folder(environ), AUTH_FILE))


def host_credential(environ: "Mapping[str, str]", folder: str | None = None) -> Credential | None:
    """The account's credential on a host, None where no place has one.

    folder: the directory that RAVI_CONFIG_DIR names. Raises SettingsError as
    `container_credential` does.
    """
    return (
        container_credential(environ)
        or (_from_config(folder) if folder else None)
        or _from_config(home_folder(environ))
    )


def local_credential() -> Credential:
    """The management key of the local Ravi that `--local` starts: no secret."""
    return Credential(contract.LOCAL_MANAGEMENT_KEY, "--local")


def local_host_url(port: int) -> str:
    """The root of the local Ravi on the host that its engine is on."""
    return f"http://127.0.0.1:{port}"


def local_port(environ: "Mapping[str, str]", variable: str = "RAVI_LOCAL_PORT") -> int | None:
    """The port on the host that a variable asks for; None where it does not.

    Raises SettingsError for what is not a port.
    """
    text = environ.get(variable, "")
    if not text:
        return None
    port = int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 0
    if not 0 < port < 65536:
        raise SettingsError(f"{variable}={text}", "not a port", f"{variable}={contract.LOCAL_PORT}")
    return port


def host_account(environ: "Mapping[str, str]", *, is_local: bool) -> tuple[str, Credential]:
    """The service root as the host reaches it, and the account's credential there.

    is_local: the local Ravi that `--local` starts, on the port that RAVI_LOCAL_PORT names. Raises
    SettingsError where there is no credential, and as `local_port` and `host_credential` do.
    """
    if is_local:
        return local_host_url(local_port(environ) or contract.LOCAL_PORT), local_credential()
    from ravi_agent.service_url import read_service_url

    credential = host_credential(environ)
    if credential is None:
        raise no_host_credential(can_be_local=True)
    return read_service_url(environ), credential


def no_container_credential() -> SettingsError:
    """The error for a start in a container that needs a credential and has none."""
    return SettingsError(
        "no management key",
        f"RAVI_MANAGEMENT_KEY_FILE is not set and {contract.MANAGEMENT_KEY_PATH} does not exist",
        f"docker run -v /path/to/key:{contract.MANAGEMENT_KEY_PATH}:ro …, or on a host: {_EXPORT}",
    )


def no_host_credential(*, can_be_local: bool = False) -> SettingsError:
    """The error for a command on a host that needs a credential and has none.

    can_be_local: the command has `--local`.
    """
    return SettingsError(
        "no management key",
        "it is in no RAVI_ variable, ~/.ravi/config.json or ~/.ravi/auth.json",
        f"{_EXPORT}, or add --local to try without an account" if can_be_local else _EXPORT,
    )


def check_token(token: str, source: str) -> str:
    """The token without the white space around it; raises SettingsError, never showing it."""
    token = token.strip()
    if not token:
        raise SettingsError(source, "it holds no key", f"write the key to {source}")
    is_one_word = token.isascii() and token.isprintable() and " " not in token
    if not is_one_word or len(token) > _TOKEN_LIMIT:
        raise SettingsError(
            source, "what it holds does not look like a key", "give one key on one line"
        )
    return token


def read_config(folder: str) -> dict[str, str]:
    """The non-empty strings of a directory's `config.json`; {} where there is none.

    Raises SettingsError for one that cannot be read. The result may hold keys.
    """
    path = os.path.join(folder, contract.CONFIG_FILE)
    record = _read_record(path)
    if record is None:
        return {}
    return {name: text for name, text in record.items() if isinstance(text, str) and text}


def _from_config(folder: str) -> Credential | None:
    key = read_config(folder).get("management_key")
    path = os.path.join(folder, contract.CONFIG_FILE)
    return Credential(check_token(key, path), path) if key else None


def _from_variables(environ: "Mapping[str, str]", name: str) -> Credential | None:
    file_name = f"{name}_FILE"
    value, path = environ.get(name), environ.get(file_name)
    if path and not path.startswith("/"):  # the phases of PID 1 have different directories
        raise SettingsError(
            f"{file_name}={path!r}", "not an absolute path", f"{file_name}=/path/to/key"
        )
    if value and path:
        raise SettingsError(
            "credential given twice", f"both {name} and {file_name} are set", f"unset {name}"
        )
    if value:
        note_trace(name)
        return Credential(check_token(value, name), name)
    return _from_key_file(path, file_name) if path else None


def _from_key_file(path: str, source: str) -> Credential:
    note_trace(path)
    try:
        # Whoever gives the key names the file, and may well give a pipe: `<(pass show ravi)`.
        with open(path, encoding="ascii", errors="replace") as file:
            text = file.read(2 * _TOKEN_LIMIT)
    except (OSError, ValueError) as exc:
        why = str(exc.strerror) if isinstance(exc, OSError) else "not a path"
        raise SettingsError(
            source, f"{path}: {why}", f"mount a file this user can read at {path}"
        ) from exc
    return Credential(check_token(text, path), source)


def _from_auth_file(path: str) -> Credential | None:
    """`access_token`, `refresh_token`, `expires_at` (ISO 8601) of older official CLIs."""
    record = _read_record(path)
    if record is None:
        return None
    token, refresh = record.get("access_token"), record.get("refresh_token")
    if not isinstance(token, str) or not token:
        return None
    return Credential(
        check_token(token, path),
        path,
        refresh_token=check_token(refresh, path) if isinstance(refresh, str) and refresh else None,
        expires_at=_unix_time(record.get("expires_at"), path),
    )


def _unix_time(text: object, path: str) -> float | None:
    from datetime import datetime

    if not text:
        return None
    try:
        return datetime.fromisoformat(text).timestamp()  # type: ignore[arg-type] # or TypeError
    except (ValueError, TypeError, OverflowError, OSError) as exc:
        raise SettingsError(path, "its expires_at is not a date", "log in again") from exc


def _read_record(path: str) -> dict[str, object] | None:
    """The JSON object in one of the CLI's files, None where there is no such file."""
    note_trace(path)
    try:
        data, _ = read_plain_file(path, _FILE_LIMIT, is_link_followed=True)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as exc:
        raise SettingsError(path, str(exc.strerror), f"make {path} readable") from exc
    try:
        record = read_json(data)
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        # Without its cause, whose text could quote a key.
        raise SettingsError(path, "not a JSON object", f"correct or remove {path}") from None
    return record
