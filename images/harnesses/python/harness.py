"""One task, one Ravi identity, one workspace: harness.py TASK_ID WORKSPACE.

Runs `agent.py` of the workspace, and leaves with its code. Needs `ravi`.
"""

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path


def check_trusted(workspace: Path, program: Path) -> None:
    """End where another user can decide what runs: the agent can call with the account's key."""
    if not program.is_file():
        sys.exit(f"harness.py: error: {program}: no program\n  fix: put your agent there")
    for path in (program, workspace, *workspace.parents):
        status = path.stat()
        is_open = status.st_mode & stat.S_IWOTH
        if path in workspace.parents:  # in /tmp, nobody can replace what is somebody else's
            is_open = is_open and not status.st_mode & stat.S_ISVTX
        if is_open or status.st_uid not in {0, os.getuid()}:
            sys.exit(
                f"harness.py: error: {path}: another user can decide what runs there\n"
                "  fix: harness.py TASK_ID DIRECTORY, one that only you can write"
            )


def provision_workspace(task_id: str, config_dir: Path) -> dict[str, str]:
    """Create the task's identity and scope a config to it; the variables that the agent gets."""
    created = subprocess.run(
        ["ravi", "identity", "create", "--name", f"task-{task_id}"],
        stdout=subprocess.PIPE,
        check=True,
    )
    identity = json.loads(created.stdout)
    config = config_dir / "config.json"
    config.touch(0o600)
    config.write_text(json.dumps(scope_to(identity["uuid"])))
    return {
        "RAVI_CONFIG_DIR": str(config_dir),
        "RAVI_EMAIL": identity["inbox"],
        "RAVI_PHONE": identity["phone"] or "",  # null where the identity has none
    }


def scope_to(uuid: str) -> dict[str, str]:
    """The configuration that makes `ravi` act as this identity alone."""
    version = subprocess.run(["ravi", "version"], stdout=subprocess.PIPE, check=True).stdout
    if b"ravi-agent-base" in version:
        return {"identity_uuid": uuid}
    # The official CLI needs the identity's key, and rewrites the configuration it read to get one.
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, ".ravi", "config.json")
        config.parent.mkdir(mode=0o700)
        config.touch(0o600)
        config.write_text(Path("~/.ravi/config.json").expanduser().read_text())
        use = ["ravi", "identity", "use", uuid]
        subprocess.run(use, cwd=folder, stdout=subprocess.DEVNULL, check=True)
        written = json.loads(config.read_text())
    return {name: written[name] for name in ("identity_uuid", "identity_name", "identity_key")}


def run_agent(task_id: str, workspace: Path) -> int:
    """Run the workspace's agent as an identity of its own, and return its exit code."""
    check_trusted(workspace, workspace / "agent.py")
    config_dir = workspace / ".ravi"
    # Taken before anything is paid for: a second harness on the same workspace ends here.
    config_dir.mkdir(mode=0o700)
    try:
        environment = {**os.environ, **provision_workspace(task_id, config_dir)}
        agent = [sys.executable, "agent.py"]
        code = subprocess.run(agent, cwd=workspace, env=environment, check=False).returncode
        return code if code >= 0 else 128 - code  # as a shell says that a signal ended it
    finally:
        shutil.rmtree(config_dir)


if __name__ == "__main__":
    _, task, directory = sys.argv
    sys.exit(run_agent(task, Path(directory).resolve()))
