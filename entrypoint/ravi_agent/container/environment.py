"""What the agent gets: its environment, and its arguments with our variables in them."""

from ravi_agent.contract import (
    AGENT_VARIABLES,
    API_KEY_VARIABLE,
    DEFAULT_PATH,
    MANAGEMENT_KEY_PREFIX,
)
from ravi_agent.settings import VARIABLES
from ravi_agent.workspace.contents import agent_variables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ravi_agent.container.user import AgentUser
    from ravi_agent.identity import Identity
    from ravi_agent.settings import Settings


def agent_environment(
    environ: "Mapping[str, str]",
    settings: "Settings",
    identity: "Identity",
    user: "AgentUser | None",
) -> dict[str, str]:
    """What the agent gets: its own variables without our settings and keys, and its identity."""
    environment = {name: value for name, value in environ.items() if name not in VARIABLES}
    if environment.get(API_KEY_VARIABLE, "").startswith(MANAGEMENT_KEY_PREFIX):
        del environment[API_KEY_VARIABLE]  # where users of the SDK may keep the account's
    environment |= agent_variables(
        settings.workspace,
        identity,
        settings.api_url,
        has_api_key=settings.is_api_key_exported,
    )
    if user and user.home and environment.get("HOME", "/root") in {"/root", "/"}:
        environment["HOME"] = user.home  # Docker set root's
    if settings.has_cli_shim:
        from ravi_agent.container.official_cli import SHIM_DIR

        path = environment.get("PATH", DEFAULT_PATH)
        environment["PATH"] = f"{SHIM_DIR}:{path}"
    return environment


def expand(command: list[str], environment: "Mapping[str, str]") -> list[str]:
    """Replace `$(RAVI_EMAIL)` and its like as Kubernetes does; `$$(` stands for `$(`.

    Only our own variables, and only dollars before a parenthesis, so that what is meant for a
    shell (`$(date)`, `$$`) stays what it is.
    """
    return [_expand_argument(argument, environment) for argument in command]


def _expand_argument(argument: str, environment: "Mapping[str, str]") -> str:
    done = ""
    rest = argument
    while "$(" in rest:
        before, _, after = rest.partition("$(")
        text = before.rstrip("$")
        dollars = len(before) - len(text) + 1
        done += text + "$" * (dollars // 2)  # pairs stand for one, from the left
        name, closing, behind = after.partition(")")
        if dollars % 2 and closing and name in AGENT_VARIABLES:
            done += environment[name]
            rest = behind
        else:
            done += "$(" if dollars % 2 else "("
            rest = after
    return done + rest
