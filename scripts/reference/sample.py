"""One small run and one identity, to read off them what runs and workspaces hold."""

import tempfile
from pathlib import Path

from ravi_agent import contract
from ravi_agent.identity import Identity
from ravi_agent.launcher.planning.plan import Plan, make_plan
from ravi_agent.launcher.planning.spec import RunSpec
from ravi_agent.workspace.claim import Claim

IDENTITY = Identity(
    uuid="0a1b2c3d-0000-4000-8000-000000000000",
    name="task-7",
    email="task-7@example.com",
    phone=None,
    created_at="2026-01-01T00:00:00Z",
    key="ravi_id_example",
)


def plan() -> Plan:
    """The plan of a run of one agent."""
    spec = RunSpec(image="ravi-agent-base", count=1, api_url=contract.DEFAULT_API_URL)
    return make_plan("nightly", spec, is_fresh=False)


def written_files(mode: int) -> dict[str, tuple[str, str]]:
    """Mode and text of each file in a workspace of that mode; the directory itself is `.`."""
    with tempfile.TemporaryDirectory() as workspace:
        Path(workspace).chmod(mode)
        with Claim(workspace) as claim:
            if not claim.is_free():
                raise AssertionError("nobody else can have it")
            claim.save(IDENTITY, api_url=contract.DEFAULT_API_URL)
        folder = Path(workspace, contract.RAVI_DIR)
        files = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
        return {
            name: (f"{(folder / name).stat().st_mode & 0o7777:04o}", text)
            for name, text in {".": "", **files}.items()
        }


def agent_variables() -> list[str]:
    """The variables that an agent of a provisioned workspace gets."""
    _, text = written_files(0o755)[contract.ENV_FILE]
    return [line.partition("=")[0] for line in text.splitlines()]
