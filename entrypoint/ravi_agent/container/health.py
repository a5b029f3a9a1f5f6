"""`ravi-health`, the image's HEALTHCHECK: 0 once the agent runs with its identity."""

import os
import sys

from ravi_agent import contract
from ravi_agent.container.status import is_running, read_status

PROGRAM = "ravi-health"


def main() -> None:
    """Console script: prints the phase; 0 while the agent runs, else 1."""
    workspace = os.environ.get("RAVI_WORKSPACE") or contract.DEFAULT_WORKSPACE
    for path in (contract.STATUS_PATH, os.path.join(workspace, contract.STATUS_FILE)):
        record = read_status(path)
        # One that an earlier start has left behind says nothing of this one.
        if record is not None and is_running(record):
            phase = record.get("phase")
            print(phase)  # noqa: T201 - `docker inspect` shows it
            sys.exit(0 if phase == "running" else 1)
    print("no status yet")  # noqa: T201
    sys.exit(1)
