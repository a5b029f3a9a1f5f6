"""A run on a real cluster, from its Job to its removal."""

import json

from cluster.conftest import Cluster, Launcher
from ravi_agent.local.server import LocalRavi


def test_every_agent_has_an_identity_of_its_own_and_is_heard(
    launcher: Launcher, service: LocalRavi
) -> None:
    ended = launcher.run(
        *("--count", "3", "--output", "json", "--", "sh", "-c", 'echo "I am $RAVI_EMAIL"')
    )

    agents = json.loads(ended.stdout)["agents"]
    emails = {one.name: one.email for one in service.store.identities()}
    assert len(set(emails.values())) == 3
    assert {one["identity"]["email"] for one in agents} == set(emails.values())
    for email in emails.values():
        assert f"I am {email}" in ended.stderr


def test_no_secret_outlives_its_run(launcher: Launcher, cluster: Cluster) -> None:
    launcher.run("--count", "1", "--name", "one", "--", "true")
    launcher.run("rm", "one")

    cluster.kubectl("wait", "--for=delete", "job/ravi-agent-one", "--timeout=60s", code=None)
    assert cluster.get("secrets,jobs,configmaps", "-l", "id.ravi.run")["items"] == []
