"""Fill /workspace as provisioning does, with an identity that exists nowhere."""

import sys

sys.path.append("/opt/ravi/lib")

from ravi_agent import contract
from ravi_agent.identity import Identity
from ravi_agent.workspace.claim import Claim

identity = Identity(
    uuid="00000000-0000-4000-8000-000000000000",
    name="task-conformance",
    email="task-conformance@example.com",
    phone=None,
    created_at="2026-01-01T00:00:00Z",
    key="ravi_id_conformance",
)
with Claim(contract.DEFAULT_WORKSPACE) as claim:
    if not claim.is_free():
        sys.exit("the workspace is taken")
    claim.save(identity, api_url=contract.DEFAULT_API_URL)
