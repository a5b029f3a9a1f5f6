"""The image `ravi-init` as a Pod Security `restricted` namespace runs it."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from conftest import MANAGEMENT_KEY
from engine.conftest import Ran, Run, Start
from ravi_agent.local.faults import Fault
from ravi_agent.local.server import LocalRavi

GROUP = 2000  # what fsGroup would say
RESTRICTED: dict[str, Any] = {
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    "hostname": "pod-7",
}


@pytest.fixture
def empty_dir(client: docker.DockerClient, run: Run) -> Iterator[dict[str, dict[str, str]]]:
    """What the kubelet makes of an emptyDir under fsGroup: root's, the group's, and setgid."""
    volume = client.volumes.create()
    # Without a copy of the image's directory, which would bring its mode along.
    mount = {str(volume.name): {"bind": "/workspace", "mode": "rw,nocopy"}}
    made = run(
        *("-c", f"chown 0:{GROUP} /workspace && chmod 2775 /workspace"),
        image="ravi-agent-base",
        entrypoint=["sh"],
        user="0",
        volumes=mount,
        with_key=False,
    )
    assert made.code == 0, made.stderr
    yield mount
    made.container.remove()
    for container in client.containers.list(all=True, filters={"volume": str(volume.name)}):
        container.remove(force=True)
    volume.remove()


@pytest.fixture
def termination_log(tmp_path: Path) -> Path:
    """What the kubelet mounts as /dev/termination-log."""
    path = tmp_path / "termination-log"
    path.touch()
    path.chmod(0o666)
    return path


def mounted(log: Path) -> dict[str, dict[str, str]]:
    return {str(log): {"bind": "/dev/termination-log", "mode": "rw"}}


@pytest.fixture
def key_file(key_file: Path) -> Path:
    """Readable as a Secret's file under fsGroup is."""
    key_file.chmod(0o444)
    return key_file


def test_another_user_reads_what_the_init_container_made(
    run: Run, empty_dir: dict[str, dict[str, str]], service: LocalRavi, termination_log: Path
) -> None:
    init = run(
        image="ravi-init",
        volumes=empty_dir | mounted(termination_log),
        group_add=[GROUP],
        **RESTRICTED,
    )
    assert (init.code, init.stdout) == (0, ""), init.stderr
    script = "id -u; echo $RAVI_IDENTITY_NAME; stat -c '%a %u %g' .ravi .ravi/*; cat .ravi/env"
    agent = run(
        *("sh", "-c", script),
        volumes=empty_dir,
        user="1234:1234",
        group_add=[GROUP],
        with_key=False,
        network_mode="none",
        **RESTRICTED,
    )

    assert agent.code == 0, agent.stderr
    uid, name, folder, *files = agent.stdout.splitlines()
    assert (uid, name) == ("1234", "task-pod-7")
    assert folder.removeprefix("2") == f"750 65532 {GROUP}"
    assert files[:3] == [f"640 65532 {GROUP}"] * 3
    assert "RAVI_IDENTITY_NAME='task-pod-7'" in files
    (record,) = service.store.identities()
    told = json.loads(termination_log.read_text())
    assert (told["uuid"], told["name"], told["email"]) == (record.uuid, "task-pod-7", record.email)
    assert set(told) == {"uuid", "name", "email", "phone", "created_at"}  # no key


def test_a_user_outside_the_group_is_told_why(
    run: Run, empty_dir: dict[str, dict[str, str]]
) -> None:
    run(image="ravi-init", volumes=empty_dir, group_add=[GROUP], **RESTRICTED)

    agent = run("true", volumes=empty_dir, user="1234:1234", with_key=False, **RESTRICTED)

    assert agent.code == 73
    assert "one fsGroup" in agent.stderr


def test_the_user_of_the_image_is_not_root(client: docker.DockerClient) -> None:
    config = client.images.get("ravi-init").attrs["Config"]

    assert config["User"] == "65532:65532"
    assert config["Entrypoint"] == ["/opt/ravi/bin/ravi-init"]


@pytest.mark.parametrize(
    ("fault", "options", "code", "why"),
    [
        (Fault(status=401, body={"detail": "no such token"}), {}, 77, "status 401"),
        (Fault(drop="before"), {}, 69, "no usable answer"),
        (None, {"with_key": False}, 78, "no management key"),
        (None, {"environment": {"RAVI_PHONE_POLICY": "maybe"}}, 78, "RAVI_PHONE_POLICY"),
    ],
    ids=["refused", "dropped", "no key", "bad setting"],
)
def test_kubernetes_is_told_why_it_failed(
    run: Run,
    service: LocalRavi,
    termination_log: Path,
    fault: Fault | None,
    options: dict[str, Any],
    code: int,
    why: str,
) -> None:
    if fault:
        service.faults.append(fault)
    environment = {"RAVI_PROVISION_TIMEOUT": "1", **options.pop("environment", {})}

    ran = run(
        image="ravi-init",
        volumes=mounted(termination_log),
        environment=environment,
        tmpfs={"/workspace": "mode=1777"},
        **options,
        **RESTRICTED,
    )

    assert ran.code == code, ran.stderr
    (message,) = termination_log.read_text().splitlines()
    assert message.startswith("ravi-init: error: ")
    assert why in message
    assert "; fix: " in message
    assert MANAGEMENT_KEY not in message


def test_kubernetes_is_told_why_an_agent_did_not_start(run: Run, termination_log: Path) -> None:
    ran = run("true", volumes=mounted(termination_log), with_key=False)

    assert ran.code == 78
    assert termination_log.read_text().startswith("ravi-entrypoint: error: no management key")


def test_a_stop_ends_it_while_the_service_hangs(start: Start, service: LocalRavi) -> None:
    service.faults.append(Fault(stall="before"))
    init = start(image="ravi-init", volumes={}, tmpfs={"/workspace": "mode=1777"})
    deadline = time.monotonic() + 30
    while not service.requests.entries and time.monotonic() < deadline:
        time.sleep(0.01)

    init.kill("SIGTERM")

    ran = Ran(init)
    assert (ran.code, ran.stdout) == (143, "")
