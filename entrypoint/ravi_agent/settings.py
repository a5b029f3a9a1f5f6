"""What a start is asked to do, read once from an explicit mapping of variables."""

import os

from ravi_agent import contract
from ravi_agent.errors import SettingsError
from ravi_agent.identity import is_plain
from ravi_agent.log import LEVELS, Log
from ravi_agent.service_url import read_service_url
from ravi_agent.setting_values import (
    CredentialFile,
    absolute_path,
    credential_files,
    exit_remap,
    lifetime,
    limit,
    one_of,
    seconds,
    signal_map,
    skill_files,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import TypeVar

    T = TypeVar("T")

# Every variable this package reads, in the order of the reference: default, meaning.
VARIABLES = {
    "RAVI_API_URL": (
        contract.DEFAULT_API_URL,
        "service root; `http://` only to loopback, a private address or a name without a dot",
    ),
    "RAVI_ALLOW_HTTP": ("", "`1` allows plain `http://` to any host"),
    "RAVI_MANAGEMENT_KEY": ("", "management key of the account; better given as a file"),
    "RAVI_MANAGEMENT_KEY_FILE": (
        contract.MANAGEMENT_KEY_PATH,
        "file that holds the management key",
    ),
    "RAVI_ACCESS_TOKEN": ("", "access token of an older account, instead of a key"),
    "RAVI_ACCESS_TOKEN_FILE": ("", "file that holds the access token"),
    "RAVI_WORKSPACE": (contract.DEFAULT_WORKSPACE, "directory of the agent, an absolute path"),
    "RAVI_IDENTITY_NAME": (
        "task-$TASK_ID, else task-<hostname>",
        "name of the identity to adopt or create",
    ),
    "RAVI_NAME_PREFIX": ("task-", "prefix of default names"),
    "RAVI_PHONE_POLICY": (
        "auto",
        "`auto` (ask for a number, go on without if refused), `require` or `never`",
    ),
    "RAVI_MAX_IDENTITIES": (
        "100",
        "identities a host may create in an hour, and in the run `RAVI_RUN`; or `unlimited`",
    ),
    "RAVI_PROVISION_TIMEOUT": ("60", "seconds for everything before the agent starts"),
    "RAVI_GRACE": (
        "8",
        "seconds from the first stop signal, or from the end of the agent, to SIGKILL",
    ),
    "RAVI_TIMEOUT": (
        "",
        "seconds after which a running agent is stopped; the container then ends with 124",
    ),
    "RAVI_SIGNAL_SCOPE": (
        "stop",
        "`stop` (stop signals to the agent's group, others to it alone), `agent` or `group`",
    ),
    "RAVI_SIGNAL_MAP": ("", "pairs of signals to rewrite, `TERM:INT,HUP:0`; 0 drops one"),
    "RAVI_EXIT_REMAP": ("", "pairs of exit codes to rewrite, `143:0`"),
    "RAVI_DIE_WITH_PARENT": (
        "",
        "`1` stops the agent once the process that started the entrypoint has ended; for hosts",
    ),
    "RAVI_START_HOOK": ("", "program to run before the agent and as its user; it has to succeed"),
    "RAVI_STOP_HOOK": ("", "program to run at a stop, before the agent gets the signal"),
    "RAVI_ON_EXIT": (
        "keep",
        "`keep`, `forget` (revoke the key, remove `.ravi/`) or `delete` (the identity too)",
    ),
    "RAVI_EXPORT_API_KEY": ("1", "`0` keeps the identity's own key out of the agent's environment"),
    "RAVI_CLI_SHIM": (
        "",
        "`1` has the next `ravi` on the agent's PATH act as its identity in every directory",
    ),
    "RAVI_CREDENTIAL_FILES": (
        "",
        "list of `lalph`, `PATH:json`, `PATH:dotenv`, `PATH:yaml-front-matter`",
    ),
    "RAVI_SKILL": (
        "",
        "list of `claude`, `codex`, `cursor`: put the skill file where they look in the workspace",
    ),
    "RAVI_CONFIRM_ABOVE": ("100", "identities that `ravi-launch` creates without asking"),
    "RAVI_AGENT_USER": ("agent", "user of the agent if PID 1 is root: a name, `uid` or `uid:gid`"),
    "RAVI_REMOVE_KEY_FILE": ("", "`1` removes the key's file once the identity is there"),
    "RAVI_NO_NEW_PRIVS": (
        "1",
        "setuid programs and capabilities of files are void in a container; `0` allows sudo",
    ),
    "RAVI_LOG_FORMAT": ("text", "`text` or `json`"),
    "RAVI_LOG_LEVEL": ("info", "`debug`, `info`, `warning` or `error`"),
    contract.HANDOVER_VARIABLE: ("", "`stdin` if the launcher hands over there; it sets this"),
}
# Set by us or by the launcher for the agent to read, never settings of ours.
_FOR_THE_AGENT = frozenset({*contract.AGENT_VARIABLES, contract.API_KEY_VARIABLE, "RAVI_RUN"})

PHONE_REQUIRE, PHONE_NEVER = "require", "never"
PHONE_POLICIES = ("auto", PHONE_REQUIRE, PHONE_NEVER)
ON_EXIT_KEEP, ON_EXIT_DELETE = "keep", "delete"


class Settings:
    """One start's settings; raises SettingsError naming the first variable that is wrong.

    Holds no key. `is_name_asked_for` tells a name somebody gave from one made of the host's or,
    where `is_name_of_workspace`, of the workspace's.
    """

    def __init__(self, environ: "Mapping[str, str]") -> None:
        def given(name: str) -> str:
            return value_of(environ, name)

        def parsed(name: str, parse: "Callable[[str], T]") -> "T":
            try:
                return parse(given(name))
            except ValueError as exc:
                raise SettingsError(f"{name}={given(name)!r}", str(exc), _fix(name)) from exc

        self.log_format: str = parsed("RAVI_LOG_FORMAT", one_of(("text", "json")))
        self.log_level: str = parsed("RAVI_LOG_LEVEL", one_of(LEVELS))
        self.api_url: str = read_service_url(environ)
        self.workspace: str = parsed("RAVI_WORKSPACE", absolute_path)
        self.phone_policy: str = parsed("RAVI_PHONE_POLICY", one_of(PHONE_POLICIES))
        self.provision_timeout_s: float = parsed("RAVI_PROVISION_TIMEOUT", seconds)
        self.max_identities: int | None = parsed("RAVI_MAX_IDENTITIES", limit)
        self.is_max_identities_asked_for = bool(environ.get("RAVI_MAX_IDENTITIES"))
        self.grace_s: float = parsed("RAVI_GRACE", seconds)
        self.timeout_s: float | None = parsed("RAVI_TIMEOUT", lifetime)
        if environ.get("RAVI_SIGNAL_SCOPE") == "child":
            raise SettingsError(
                "RAVI_SIGNAL_SCOPE='child'", "it is now called agent", "RAVI_SIGNAL_SCOPE=agent"
            )
        self.signal_scope: str = parsed("RAVI_SIGNAL_SCOPE", one_of(("stop", "agent", "group")))
        self.signal_map: dict[int, int] = parsed("RAVI_SIGNAL_MAP", signal_map)
        self.exit_remap: dict[int, int] = parsed("RAVI_EXIT_REMAP", exit_remap)
        self.dies_with_parent: bool = parsed("RAVI_DIE_WITH_PARENT", one_of(("", "0", "1"))) == "1"
        self.start_hook: str | None = environ.get("RAVI_START_HOOK") or None
        self.stop_hook: str | None = environ.get("RAVI_STOP_HOOK") or None
        self.on_exit: str = parsed("RAVI_ON_EXIT", one_of((ON_EXIT_KEEP, "forget", ON_EXIT_DELETE)))
        self.credential_files: list[CredentialFile] = parsed(
            "RAVI_CREDENTIAL_FILES", lambda text: credential_files(text, self.workspace)
        )
        self.skill_files: list[str] = parsed("RAVI_SKILL", skill_files)
        self.is_api_key_exported = parsed("RAVI_EXPORT_API_KEY", one_of(("1", "0"))) == "1"
        self.has_cli_shim = parsed("RAVI_CLI_SHIM", one_of(("", "0", "1"))) == "1"
        self.removes_key_file = parsed("RAVI_REMOVE_KEY_FILE", one_of(("", "0", "1"))) == "1"
        self.has_no_new_privs = parsed("RAVI_NO_NEW_PRIVS", one_of(("1", "0"))) == "1"
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
        self.name_prefix: str = given("RAVI_NAME_PREFIX")
        self.is_name_asked_for = bool(asked or task)
        self.is_name_of_workspace = False
        self.identity_name: str = asked or self.name_prefix + (task or os.uname().nodename)
        variable = "RAVI_IDENTITY_NAME"
        if not asked:
            variable = task_source if is_plain(self.name_prefix) else "RAVI_NAME_PREFIX"
        _check_name(self.identity_name, variable)

    def name_after(self, key: str) -> None:
        """Name a new identity by the prefix and the workspace's key.

        A workspace that has an identity keeps it. Raises SettingsError for a prefix too long.
        """
        self.take_name(self.name_prefix + key)
        _check_name(self.identity_name, "RAVI_NAME_PREFIX")

    def take_name(self, name: str) -> None:
        """Name a new identity so, though nobody asked for that name."""
        self.identity_name = name
        self.is_name_asked_for = False
        self.is_name_of_workspace = True

    @property
    def is_name_of_host(self) -> bool:
        """Whether the name is made of the host's alone, which other agents may have, too."""
        return not (self.is_name_asked_for or self.is_name_of_workspace)

    @property
    def asked_name(self) -> str | None:
        """The name that a workspace's identity must have; None where nobody asked for one."""
        return self.identity_name if self.is_name_asked_for else None

    def log_for(self, program: str) -> Log:
        """The log of a program, as these settings want it."""
        return Log(program, level=self.log_level, is_json=self.log_format == "json")


def value_of(environ: "Mapping[str, str]", name: str) -> str:
    """What a variable is set to, else its default; not checked."""
    return environ.get(name) or VARIABLES[name][0]


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


def _check_name(name: str, variable: str) -> None:
    if not is_plain(name) or len(name) > 255:
        raise SettingsError(
            f"{variable}={name!r}",
            "a name is at most 255 printable characters without a single quote",
            f"set {variable} to such a name",
        )


def _fix(name: str) -> str:
    default = VARIABLES[name][0]
    return f"unset {name}" + (f" for {default}" if default else "")
