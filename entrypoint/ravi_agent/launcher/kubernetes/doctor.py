"""What would stop a run in a namespace, found without starting one."""

from collections.abc import Iterator

from ravi_agent.launcher.kubernetes.api import KubernetesApi
from ravi_agent.launcher.model.findings import Finding, attempt
from ravi_agent.launcher.model.request import DoctorTarget


def diagnose(api: KubernetesApi, target: DoctorTarget) -> Iterator[Finding]:
    """One finding for each thing checked."""
    del target
    yield attempt("cluster", lambda: str(api.list("jobs")))
