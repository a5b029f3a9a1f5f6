"""Variables: the settings, and what an agent finds in its environment."""

from ravi_agent import contract
from ravi_agent.settings import VARIABLES
from reference.markdown import capitalised, code, escaped, page, table
from reference.sample import agent_variables, plan

_AGENT_MEANINGS = {
    "RAVI_CONFIG_DIR": "path of `.ravi/`",
    "RAVI_EMAIL": "email address of the identity",
    "RAVI_PHONE": "its phone number; empty if it has none",
    "RAVI_IDENTITY_UUID": "its UUID",
    "RAVI_IDENTITY_NAME": "its name",
    "RAVI_API_URL": "service root",
    "RAVI_API_KEY": "its own key, which the official SDK reads; where the account has such keys",
}
_TASK_MEANINGS = {
    "TASK_ID": "id of the task",
    "TASK_INDEX": "its number, from 0",
    "TASK_COUNT": "number of tasks in the run",
    "RAVI_RUN": "name of the run",
}


def page_of_variables() -> str:
    """variables.md."""
    tasks_own = set(plan().variables(plan().tasks[0])) - {*VARIABLES, *contract.AGENT_VARIABLES}
    return page(
        "Variables",
        "## Settings",
        "Variables of the container. An empty one counts as unset. "
        "[Commands of the image](image-commands.md) lists the options of the same names.",
        table(
            ("variable", "default", "meaning"),
            (
                (code(name), code(default), escaped(capitalised(meaning)))
                for name, (default, meaning) in VARIABLES.items()
            ),
        ),
        "## What the agent gets",
        "The environment of the container without the settings above, and:",
        table(
            ("variable", "value"),
            ((code(name), capitalised(_AGENT_MEANINGS[name])) for name in agent_variables()),
        ),
        "In the arguments of the agent's command, `$(RAVI_EMAIL)` and the other names of this "
        "table are replaced, except that of a key. `$$(` stands for `$(`.",
        "## What `ravi-launch` adds",
        table(
            ("variable", "value"),
            (
                (code(name), capitalised(_TASK_MEANINGS[name]))
                for name in sorted(tasks_own, key=list(_TASK_MEANINGS).index)
            ),
        ),
    )
