"""What a start is asked to do, read once from an explicit mapping of variables."""

import os

from ravi_agent import contract
from ravi_agent.errors import SettingsError
from ravi_agent.identity import is_plain
from ravi_agent.log import LEVELS, Log
from ravi_agent.service_url import check_service_url
from ravi_agent.setting_values import (
    CredentialFile,
    absolute_path,
    credential_files,
    exit_remap,
    one_of,
    seconds,
    signal_map,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import TypeVar

    T = TypeVar("T")

# Every variable this package reads, in the order of the README's table: default, meaning.
VARIABLES = {
    "RAVI_API_URL": (contract.DEFAULT_API_URL, "service root"),
    "RAVI_ALLOW_HTTP": ("", "`1` allows plain `http://` to any host"),
    "RAVI_MANAGEMENT_KEY": ("", "the account's key; better given as a file"),
    "RAVI_MANAGEMENT_KEY_FILE": (contract.MANAGEMENT_KEY_PATH, "file that holds it"),
    "RAVI_ACCESS_TOKEN": ("", "access token of an older account"),
    "RAVI_ACCESS_TOKEN_FILE": ("", "file that holds it"),
    "RAVI_WORKSPACE": (contract.DEFAULT_WORKSPACE, "the agent's directory"),
    "RAVI_IDENTITY_NAME": ("task-$TASK_ID, else task-<hostname>", "the name to adopt by"),
    "RAVI_NAME_PREFIX": ("task-", "what default names begin with"),
    "RAVI_PHONE_POLICY": ("auto", "`auto`, `require` or `never`"),
    "RAVI_PROVISION_TIMEOUT": ("60", "seconds for everything before the agent starts"),
    "RAVI_GRACE": ("8", "seconds from the first stop signal to SIGKILL"),
    "RAVI_SIGNAL_SCOPE": (
        "stop",
        "`stop` (stop signals to the agent's group, others to it alone), `agent` or `group`",
    ),
    "RAVI_SIGNAL_MAP": ("", "rewrite signals, `TERM:INT,HUP:0`; 0 drops one"),
    "RAVI_EXIT_REMAP": ("", "rewrite exit codes, `143:0`"),
    "RAVI_ON_EXIT": ("keep", "`keep`, `forget` (remove `.ravi/`) or `delete` (the identity too)"),
    "RAVI_CREDENTIAL_FILES": ("", "`lalph`, or PATH:`json`, `dotenv`, `yaml-front-matter`; a list"),
    "RAVI_AGENT_USER": ("agent", "whom the agent runs as when PID 1 is root"),
    "RAVI_LOG_FORMAT": ("text", "`text` or `json`, on standard error"),
    "RAVI_LOG_LEVEL": ("info", "`debug`, `info`, `warning` or `error`"),
    contract.HANDOVER_VARIABLE: ("", "`stdin`: the launcher hands over there"),
}
_AUTH_FILE = ".ravi/auth.json"  # in the home of whoever provisions
# Set by us or by the launcher for the agent to read, never settings of ours.
_FOR_THE_AGENT = frozenset({*contract.AGENT_VARIABLES, "RAVI_RUN"})

PHONE_REQUIRE, PHONE_NEVER = "require", "never"
ON_EXIT_KEEP, ON_EXIT_DELETE = "keep", "delete"


class Settings:
    """One start's settings; raises SettingsError naming the first variable that is wrong.

    Holds no key. `is_name_asked_for` tells a name somebody gave from one made of the host's.
    """

    def __init__(self, environ: "Mapping[str, str]") -> None:
        def given(name: str) -> str:
            return environ.get(name) or VARIABLES[name][0]

        def parsed(name: str, parse: "Callable[[str], T]") -> "T":
            try:
                return parse(given(name))
            except ValueError as exc:
                # A URL with a user in it has a password there: show what stands behind it.
                shown = given(name).rpartition("@")[2]
                raise SettingsError(f"{name}={shown!r}", str(exc), _fix(name)) from None

        self.log_format: str = parsed("RAVI_LOG_FORMAT", one_of(("text", "json")))
        self.log_level: str = parsed("RAVI_LOG_LEVEL", one_of(LEVELS))
        is_http_allowed = environ.get("RAVI_ALLOW_HTTP") == "1"
        self.api_url: str = parsed(
            "RAVI_API_URL", lambda url: check_service_url(url, is_http_allowed)
        )
        self.workspace: str = parsed("RAVI_WORKSPACE", absolute_path)
        self.phone_policy: str = parsed(
            "RAVI_PHONE_POLICY", one_of(("auto", PHONE_REQUIRE, PHONE_NEVER))
        )
        self.provision_timeout_s: float = parsed("RAVI_PROVISION_TIMEOUT", seconds)
        self.grace_s: float = parsed("RAVI_GRACE", seconds)
        if environ.get("RAVI_SIGNAL_SCOPE") == "child":
            raise SettingsError(
                "RAVI_SIGNAL_SCOPE='child'", "it is now called agent", "RAVI_SIGNAL_SCOPE=agent"
            )
        self.signal_scope: str = parsed("RAVI_SIGNAL_SCOPE", one_of(("stop", "agent", "group")))
        self.signal_map: dict[int, int] = parsed("RAVI_SIGNAL_MAP", signal_map)
        self.exit_remap: dict[int, int] = parsed("RAVI_EXIT_REMAP", exit_remap)
        self.on_exit: str = parsed("RAVI_ON_EXIT", one_of((ON_EXIT_KEEP, "forget", ON_EXIT_DELETE)))
        self.credential_files: list[CredentialFile] = parsed(
            "RAVI_CREDENTIAL_FILES", lambda text: credential_files(text, self.workspace)
        )
        self.agent_user: str = given("RAVI_AGENT_USER")
        self.is_agent_user_asked_for = bool(environ.get("RAVI_AGENT_USER"))
        self.is_handover_expected = (
            parsed(contract.HANDOVER_VARIABLE, one_of(("", "stdin"))) == "stdin"
        )
        asked = environ.get("RAVI_IDENTITY_NAME") or ""
        task, task_source = environ.get("TASK_ID") or "", "TASK_ID"
        if not task and environ.get("JOB_NAME") and environ.get("JOB_COMPLETION_INDEX"):
            # An Indexed Job of Kubernetes: the same name as its pods' hosts have by default.
            task, task_source = (
                f"{environ['JOB_NAME']}-{environ['JOB_COMPLETION_INDEX']}",
                "JOB_NAME",
            )
        prefix = given("RAVI_NAME_PREFIX")
        self.is_name_asked_for = bool(asked or task)
        self.identity_name: str = asked or prefix + (task or os.uname().nodename)
        if not is_plain(self.identity_name) or len(self.identity_name) > 255:
            variable = "RAVI_IDENTITY_NAME"
            if not asked:
                variable = task_source if is_plain(prefix) else "RAVI_NAME_PREFIX"
            raise SettingsError(
                f"{variable}={self.identity_name!r}",
                "a name is at most 255 printable characters without a single quote",
                f"set {variable} to such a name",
            )

    @property
    def asked_name(self) -> str | None:
        """The name that a workspace's identity must have; None where nobody asked for one."""
        return self.identity_name if self.is_name_asked_for else None

    def log_for(self, program: str) -> Log:
        """The log of a program, as these settings want it."""
        return Log(program, level=self.log_level, is_json=self.log_format == "json")


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


def read_credential(environ: "Mapping[str, str]") -> Credential | None:
    """The account's credential, or None where no variable and no file gives one.

    Raises SettingsError where two sources are given, or the one given cannot be read.
    """
    key = _given_or_file(environ, "RAVI_MANAGEMENT_KEY")
    token = _given_or_file(environ, "RAVI_ACCESS_TOKEN")
    if key and token:
        raise SettingsError(
            "credential given twice", f"{key.source} and {token.source}", f"unset {token.source}"
        )
    if key or token:
        return key or token
    if os.path.exists(contract.MANAGEMENT_KEY_PATH):
        return _from_file(contract.MANAGEMENT_KEY_PATH, contract.MANAGEMENT_KEY_PATH)
    return _from_auth_file(os.path.join(environ.get("HOME") or "/", _AUTH_FILE))


def key_path(environ: "Mapping[str, str]") -> str:
    """Where the management key's file is, if there is one."""
    return environ.get("RAVI_MANAGEMENT_KEY_FILE") or contract.MANAGEMENT_KEY_PATH


def no_credential() -> SettingsError:
    """The error for a start that needs a management key and has none."""
    return SettingsError(
        "no management key",
        f"neither RAVI_MANAGEMENT_KEY_FILE nor {contract.MANAGEMENT_KEY_PATH} is there",
        f"docker run -v /path/to/key:{contract.MANAGEMENT_KEY_PATH}:ro …",
    )


def check_token(token: str, source: str) -> str:
    """The token without the white space around it; raises SettingsError, never showing it."""
    token = token.strip()
    if not token:
        raise SettingsError(f"{source}", "holds no key", f"write the key to {source}")
    if not (token.isascii() and token.isprintable()) or " " in token or len(token) > 16 * 1024:
        raise SettingsError(
            f"{source}", "holds something that is no key", "give one key on one line"
        )
    return token


def unknown_variables(environ: "Iterable[str]") -> list[tuple[str, str]]:
    """Pairs of a `RAVI_…` variable that nobody reads and the setting it was likely meant as."""
    unknown = [
        name
        for name in environ
        if name.startswith("RAVI_") and name not in VARIABLES and name not in _FOR_THE_AGENT
    ]
    if not unknown:
        return []
    import difflib  # only a misspelt start pays for it

    return [
        (name, near[0])
        for name in unknown
        if (near := difflib.get_close_matches(name, VARIABLES, n=1, cutoff=0.85))
    ]


def _given_or_file(environ: "Mapping[str, str]", name: str) -> Credential | None:
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
        return Credential(check_token(value, name), name)
    return _from_file(path, file_name) if path else None


def _from_file(path: str, source: str) -> Credential:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            text = file.read(32 * 1024)
    except OSError as exc:
        raise SettingsError(
            source, f"{path}: {exc.strerror}", f"mount a file this user can read at {path}"
        ) from None
    return Credential(check_token(text, path), source)


def _from_auth_file(path: str) -> Credential | None:
    """What older official CLIs keep: `access_token`, `refresh_token`, `expires_at` (ISO 8601)."""
    import json
    from datetime import datetime

    try:
        with open(path, encoding="utf-8") as file:
            record = json.load(file)
        token, refresh = record.get("access_token"), record.get("refresh_token")
        expires = record.get("expires_at")
        expires_at = datetime.fromisoformat(expires).timestamp() if expires else None
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise SettingsError(path, str(exc.strerror), f"make {path} readable") from None
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise SettingsError(path, "is no auth.json of the Ravi CLI", "log in again") from None
    if not isinstance(token, str) or not token:
        return None
    return Credential(
        check_token(token, path),
        path,
        refresh_token=check_token(refresh, path) if isinstance(refresh, str) and refresh else None,
        expires_at=expires_at,
    )


def _fix(name: str) -> str:
    default = VARIABLES[name][0]
    return f"unset {name}" + (f" for {default}" if default else "")
