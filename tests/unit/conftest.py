"""What tests of the launcher on Kubernetes share: a fake API server, and a client of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fake_kubernetes.server import FakeKubernetes
from ravi_agent.launcher.kubernetes.api import KubernetesApi


@pytest.fixture
def fake() -> Iterator[FakeKubernetes]:
    """One whose every request the real one would take, too."""
    with FakeKubernetes() as server:
        yield server
    assert server.violations == []


@pytest.fixture
def api(fake: FakeKubernetes, tmp_path: Path) -> Iterator[KubernetesApi]:
    """A client of the fake."""
    config = tmp_path / "kubeconfig"
    config.write_text(fake.kubeconfig())
    found = KubernetesApi(config_file=str(config))
    yield found
    found.close()
