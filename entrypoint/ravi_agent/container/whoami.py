"""`ravi-whoami`: the identity of this container as one JSON line."""

import json
import os
import sys

from ravi_agent import contract

PROGRAM = "ravi-whoami"


def main() -> None:
    """Console script: 0 and the identity on standard output; 1 if there is none."""
    from ravi_agent.container.failure import run

    run(PROGRAM, whoami)


def whoami() -> int:
    """Print the identity that the environment or the workspace names."""
    default = os.path.join(
        os.environ.get("RAVI_WORKSPACE") or contract.DEFAULT_WORKSPACE, contract.RAVI_DIR
    )
    folder = os.environ.get("RAVI_CONFIG_DIR") or default
    path = os.path.join(folder, contract.IDENTITY_FILE)
    try:
        with open(path, encoding="utf-8") as file:
            identity = json.load(file)
    except (OSError, ValueError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "no JSON"
        sys.stderr.write(
            f"{PROGRAM}: error: no identity: {path}: {why}\n"
            "  fix: start the container through ravi-entrypoint\n"
        )
        return 1
    print(json.dumps(identity))  # noqa: T201 - this is the answer
    return 0
