"""What the files of `.ravi/` hold, and the agent's variables, which say the same."""

import os

from ravi_agent import contract
from ravi_agent.small_json import write_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ravi_agent.identity import Identity


def agent_variables(
    path: str, identity: "Identity", api_url: str, *, has_api_key: bool
) -> dict[str, str]:
    """What the agent finds in its environment, and the `env` file holds.

    has_api_key: its identity's key too, where that is known.
    """
    values = (
        os.path.join(path, contract.RAVI_DIR),
        identity.email,
        identity.phone or "",
        identity.uuid,
        identity.name,
        api_url,
    )
    variables = dict(zip(contract.AGENT_VARIABLES, values, strict=True))
    if has_api_key and identity.key:
        variables[contract.API_KEY_VARIABLE] = identity.key
    return variables


def file_contents(
    path: str, identity: "Identity", api_url: str, *, has_api_key: bool
) -> dict[str, str]:
    """The text of each file by its name, in the order in which they are written."""
    config: dict[str, str | None] = {"identity_uuid": identity.uuid, "identity_name": identity.name}
    if identity.key:
        config["identity_key"] = identity.key
    variables = agent_variables(path, identity, api_url, has_api_key=has_api_key)
    return {
        contract.GITIGNORE_FILE: "*\n",
        contract.CONFIG_FILE: write_json(config, is_indented=True) + "\n",
        contract.ENV_FILE: "".join(f"{name}='{value}'\n" for name, value in variables.items()),
        contract.IDENTITY_FILE: write_json(
            {**identity.public(), "api_url": api_url}, is_indented=True
        )
        + "\n",
    }
