"""The official CLI beside an agent: whose identity it would act with.

It reads `.ravi/config.json` in the current directory, else in the home directory, and nothing
else (ravi-hq/cli v0.6.2, internal/config/config.go). `cli_shim/ravi` runs it as the agent.
"""

import os

from ravi_agent import contract

SHIM_DIR = os.path.join(os.path.dirname(__file__), "cli_shim")


def find_gap(
    workspace: str, home: str | None, name: str, *, is_on_a_host: bool
) -> tuple[str, str] | None:
    """What to say, and the fix, where it would not act as the agent; None where it would.

    home: the agent's. name: its identity's. is_on_a_host: where it is worth a word, too, that the
    CLI would find no identity.
    """
    try:
        here = os.getcwd()
    except OSError:
        return None  # it has been removed
    for folder in (here, home or here):
        ravi_dir = os.path.join(folder, contract.RAVI_DIR)
        if not os.path.exists(os.path.join(ravi_dir, contract.CONFIG_FILE)):
            continue
        if os.path.samefile(ravi_dir, os.path.join(workspace, contract.RAVI_DIR)):
            return None
        effect = f"it reads {ravi_dir} and acts as somebody else than {name}"
        break
    else:
        if not is_on_a_host:
            return None
        effect = "it finds no identity"
    fix = f"start the agent in {workspace}, or set RAVI_CLI_SHIM=1"
    return f"an official `ravi` CLI in {here} does not look into {workspace}: {effect}", fix
