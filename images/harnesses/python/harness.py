"""One task, one Ravi identity, one workspace: harness.py TASK_ID WORKSPACE.

Runs `agent.py` of the workspace, and leaves with its code. Needs `ravi`.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path


def provision_workspace(task_id: str, config_dir: Path) -> dict[str, str]:
    """Create the task's identity and scope a config to it; the variables that the agent gets."""
    created = subprocess.run(
        ["ravi", "identity", "create", "--name", f"task-{task_id}", "--json"],
        stdout=subprocess.PIPE,
        check=True,
    )
    identity = json.loads(created.stdout)
    config = config_dir / "config.json"
    config.touch(0o600)
    config.write_text(json.dumps({"identity_uuid": identity["uuid"]}))
    return {
        "RAVI_CONFIG_DIR": str(config_dir),
        "RAVI_EMAIL": identity["inbox"],
        "RAVI_PHONE": identity["phone"] or "",  # null where the identity has none
    }


def run_agent(task_id: str, workspace: Path) -> int:
    """Run the workspace's agent as an identity of its own, and return its exit code."""
    config_dir = workspace / ".ravi"
    # Taken before anything is paid for: a second harness on the same workspace ends here.
    config_dir.mkdir(mode=0o700, parents=True)
    try:
        environment = {**os.environ, **provision_workspace(task_id, config_dir)}
        agent = [sys.executable, "agent.py"]
        code = subprocess.run(agent, cwd=workspace, env=environment, check=False).returncode
        return code if code >= 0 else 128 - code  # as a shell says that a signal ended it
    finally:
        shutil.rmtree(config_dir)


if __name__ == "__main__":
    _, task, directory = sys.argv
    sys.exit(run_agent(task, Path(directory).absolute()))
