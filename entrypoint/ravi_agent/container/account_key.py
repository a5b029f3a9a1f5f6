"""Whether a key of the account may be in this process: in its memory, or in its environment.

Where none was ever there, PID 1 goes on as it is. Else only execve(2) takes the key out of its
memory and out of /proc/1/environ. In doubt, one was there.
"""

import os
import sys

from ravi_agent.contract import AGENT_VARIABLES, MANAGEMENT_KEY_PREFIX
from ravi_agent.key_traces import TRACES
from ravi_agent.settings import VARIABLES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# A file's variable may hold the key itself, by mistake.
_CREDENTIALS = frozenset(
    {
        "RAVI_MANAGEMENT_KEY",
        "RAVI_MANAGEMENT_KEY_FILE",
        "RAVI_ACCESS_TOKEN",
        "RAVI_ACCESS_TOKEN_FILE",
    }
)
# What the agent does not get, or gets with another value, although it is no secret.
_HARMLESS = frozenset({*VARIABLES, *AGENT_VARIABLES, "HOME", "PATH"}) - _CREDENTIALS
_SERVICE = "ravi_agent.service"  # whatever talks to the service, with a key or for one


def find_trace(entries: "Iterable[bytes] | None", environment: "Mapping[str, str]") -> str | None:
    """Where a key may have come from; None where this process has never had one.

    entries: what it was started with, as the kernel still shows it; None where that cannot be
    read. environment: what the agent gets.
    """
    if TRACES:
        return TRACES[0]
    if _SERVICE in sys.modules:
        return _SERVICE
    if entries is None:
        return "the environment"
    for entry in entries:
        name, separator, value = os.fsdecode(entry).partition("=")
        if not value and separator:
            continue
        is_withheld = environment.get(name) != value and name not in _HARMLESS
        if is_withheld or name in _CREDENTIALS or MANAGEMENT_KEY_PREFIX in value:
            return name
    return None
