"""`ravi-whoami`: the identity of this container as one JSON line."""

import json
import os
import sys

from ravi_agent import contract
from ravi_agent.container.answer import write_answer
from ravi_agent.plain_file import read_plain_file

PROGRAM = "ravi-whoami"
_FILE_LIMIT = 64 * 1024  # bytes; an identity.json has some hundred


def main() -> None:
    """Console script: 0 and the identity on standard output; 1 if there is none."""
    from ravi_agent.container.failure import run

    run(PROGRAM, lambda: whoami(sys.argv[1:]))


def whoami(argv: list[str]) -> int:
    """Print the identity that the environment or the workspace names. Raises UsageError."""
    if argv:
        from ravi_agent.container.arguments import Parser

        parser = Parser(prog=PROGRAM, description="Print this container's identity as JSON.")
        parser.add_version()
        parser.parse_args(argv)
    default = os.path.join(
        os.environ.get("RAVI_WORKSPACE") or contract.DEFAULT_WORKSPACE, contract.RAVI_DIR
    )
    folder = os.environ.get("RAVI_CONFIG_DIR") or default
    path = os.path.join(folder, contract.IDENTITY_FILE)
    try:
        identity = json.loads(read_plain_file(path, _FILE_LIMIT)[0])
    except (OSError, ValueError, RecursionError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else "not JSON"
        sys.stderr.write(
            f"{PROGRAM}: error: no identity: {path}: {why}\n"
            "  fix: start the container through ravi-entrypoint\n"
        )
        return 1
    write_answer(f"{json.dumps(identity)}\n")
    return 0
