"""`ravi-health`, the image's HEALTHCHECK: 0 once the agent runs with its identity."""

import json
import os
import sys

from ravi_agent import contract

PROGRAM = "ravi-health"


def main() -> None:
    """Console script: prints the phase; 0 while the agent runs, else 1."""
    workspace = os.environ.get("RAVI_WORKSPACE") or contract.DEFAULT_WORKSPACE
    for path in (contract.STATUS_PATH, os.path.join(workspace, contract.STATUS_FILE)):
        try:
            with open(path, encoding="ascii") as file:
                phase = json.load(file)["phase"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        print(phase)  # noqa: T201 - `docker inspect` shows it
        sys.exit(0 if phase == "running" else 1)
    print("no status yet")  # noqa: T201
    sys.exit(1)
