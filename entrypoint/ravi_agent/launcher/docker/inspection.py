"""What an engine says of a container, in its list and in full."""

from collections.abc import Mapping
from typing import Any

from ravi_agent import contract
from ravi_agent.launcher.model.container_status import ContainerStatus
from ravi_agent.launcher.planning.plan import container_name

# How SIGKILL and SIGTERM end a container.
KILLED, TERMINATED = contract.EXIT_SIGNAL_BASE + 9, contract.EXIT_SIGNAL_BASE + 15
# For an end that the engine has not seen: after a crash it says 0, at the zero time of Go.
UNKNOWN_CODE = 255
_NEVER = "0001-01-01"


def exit_code_of(state: Mapping[str, Any]) -> int | None:
    """The exit code that a container's state tells, None where it has not ended."""
    # A container that was never started has ended as little as one that runs.
    if state["Running"] or state.get("Status") in {"created", "restarting"}:
        return None
    return UNKNOWN_CODE if state["FinishedAt"].startswith(_NEVER) else int(state["ExitCode"])


def agent_of(summary: Mapping[str, Any]) -> ContainerStatus | None:
    """An agent as the engine's list has it; None for a container that is somebody else's.

    An image that was made of an agent's container has its labels, and so has what is started from
    it: ours has the name, too.
    """
    labels = summary["Labels"] or {}
    numbers = (labels.get(contract.LABEL_INDEX, ""), labels.get(contract.LABEL_COUNT, ""))
    if not labels.keys() >= contract.LABELS or not all(one.isdecimal() for one in numbers):
        return None
    name = container_name(labels[contract.LABEL_RUN], labels[contract.LABEL_TASK])
    if name not in [one.lstrip("/") for one in summary.get("Names") or ()]:
        return None
    exit_code = None
    if summary["State"] in {"exited", "dead"}:
        # "Exited (137) 2 minutes ago": the list has the code in no other place.
        code = summary["Status"].partition("(")[2].partition(")")[0]
        exit_code = int(code) if code.isdigit() else UNKNOWN_CODE
    return ContainerStatus(
        id=summary["Id"],
        run=labels[contract.LABEL_RUN],
        task=labels[contract.LABEL_TASK],
        index=int(labels[contract.LABEL_INDEX]),
        count=int(labels[contract.LABEL_COUNT]),
        identity_name=labels[contract.LABEL_IDENTITY_NAME],
        created_at=float(summary["Created"]),
        state=summary["State"],
        status=summary["Status"],
        exit_code=exit_code,
    )
