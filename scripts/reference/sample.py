"""One small run and one identity, to read off them what runs and workspaces hold."""

from ravi_agent import contract
from ravi_agent.identity import Identity
from ravi_agent.launcher.planning.plan import Plan, make_plan
from ravi_agent.launcher.planning.spec import RunSpec

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
