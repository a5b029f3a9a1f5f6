"""The manifests in `images/kubernetes/`, run for real."""

import pytest

from manifests import FOLDER
from pods.conftest import MANAGEMENT_KEY, Play, podman
from ravi_agent.local.faults import Fault
from ravi_agent.local.server import LocalRavi


@pytest.mark.parametrize("name", ["agent-base", "any-image"])
def test_an_agent_has_the_identity_that_its_init_container_made(
    play: Play, service: LocalRavi, name: str
) -> None:
    pod = play(FOLDER / f"{name}.yaml")

    assert pod.wait("agent") == 0, pod.logs("agent")
    (identity,) = service.store.identities()
    assert identity.name == f"task-{pod.name}"  # the pod's name is its host's
    assert identity.email in pod.logs("agent")
    assert MANAGEMENT_KEY not in pod.logs("agent")
    agent = pod.inspect("agent")
    assert MANAGEMENT_KEY not in str(agent)
    assert {mount["Destination"] for mount in agent["Mounts"]} == {"/workspace"}


def test_a_pod_of_the_same_name_adopts(play: Play, service: LocalRavi) -> None:
    manifest = FOLDER / "agent-base.yaml"
    first = play(manifest)
    first.wait("agent")
    said = first.logs("agent")
    podman("pod", "rm", "--force", "--time", "0", first.name)
    podman("volume", "rm", "--all")  # an emptyDir ends with its pod
    podman("secret", "rm", "--all")

    second = play(manifest)

    assert second.wait("agent") == 0
    assert second.logs("agent").splitlines()[-1] == said.splitlines()[-1]
    assert len(service.store.identities()) == 1


def test_a_restarted_agent_asks_nobody(play: Play, service: LocalRavi) -> None:
    pod = play(FOLDER / "agent-base.yaml")
    pod.wait("agent")
    asked = len(service.requests.entries)

    podman("start", f"{pod.name}-agent")

    assert pod.wait("agent") == 0
    assert pod.logs("agent").count("I am ") == 2
    assert len(service.requests.entries) == asked


def test_a_wrong_key_ends_the_init_container_with_77(play: Play, service: LocalRavi) -> None:
    pod = play(FOLDER / "agent-base.yaml", key="ravimgmtWRONG0123456789abcde", code=125)

    assert "exited with code 77" in pod.output
    said = pod.logs("ravi-init")
    assert "ravi-init: error: " in said
    assert "status 401" in said
    assert "  fix: " in said
    assert "WRONG" not in said
    assert pod.inspect("agent")["State"]["Status"] == "created"  # it never ran
    assert service.store.identities() == []


def test_a_service_that_is_away_ends_the_init_container_with_69(
    play: Play, service: LocalRavi
) -> None:
    service.faults.append(Fault(drop="before"))

    pod = play(FOLDER / "agent-base.yaml", code=125)

    assert "exited with code 69" in pod.output
