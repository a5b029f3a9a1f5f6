"""From one phase of PID 1 to the next, in the same process."""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

# The variables release needs. No key: it reads its file again.
ON_EXIT_VARIABLES = (
    "RAVI_ON_EXIT",
    "RAVI_WORKSPACE",
    "RAVI_API_URL",
    "RAVI_ALLOW_HTTP",
    "RAVI_MANAGEMENT_KEY_FILE",
    "RAVI_CREDENTIAL_FILES",
    "RAVI_AGENT_USER",
    "RAVI_LOG_LEVEL",
    "RAVI_LOG_FORMAT",
)


def exec_phase(phase: str, words: list[str], environment: dict[str, str]) -> "NoReturn":
    """Become that phase. Descriptors that Python opened close by themselves."""
    main_file = os.path.join(os.path.dirname(__file__), "exec_phase.py")
    os.execve(sys.executable, [sys.executable, "-IS", main_file, phase, *words], environment)
