"""The manifests in `images/kubernetes/`: valid, restricted, and the key in one container alone."""

import copy
import json
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from manifests import (
    FILES,
    FOLDER,
    VERSIONS,
    Manifest,
    can_write_root,
    check_schema,
    containers,
    pod_spec,
    read,
    violations,
)
from ravi_agent import contract

ALL = [pytest.param(path, id=path.stem) for path in FILES]
AGENTS = ("agent-base", "any-image", "env-files")


def spec_of(name: str) -> Manifest:
    (spec,) = [spec for manifest in read(FOLDER / f"{name}.yaml") if (spec := pod_spec(manifest))]
    return spec


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", ALL)
def test_a_manifest_is_valid(path: Path, version: str) -> None:
    for manifest in read(path):
        check_schema(manifest, version)


def test_a_wrong_field_would_be_seen() -> None:
    """The negative control of the schemas."""
    (manifest,) = read(FOLDER / "agent-base.yaml")
    manifest["spec"]["containers"][0]["volumeMount"] = []

    with pytest.raises(kubernetes_validate.ValidationError):
        check_schema(manifest, VERSIONS[0])


@pytest.mark.parametrize("path", ALL)
def test_every_container_is_restricted(path: Path) -> None:
    specs = [spec for manifest in read(path) if (spec := pod_spec(manifest))]

    assert specs
    assert [violations(spec) + can_write_root(spec) for spec in specs] == [[] for _ in specs]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("hostNetwork",), True),
        (("hostPID",), True),
        (("hostIPC",), True),
        (("securityContext", "runAsNonRoot"), False),
        (("securityContext", "runAsUser"), 0),
        (("securityContext", "seccompProfile"), {"type": "Unconfined"}),
        (("securityContext", "sysctls"), [{"name": "kernel.msgmax", "value": "1"}]),
        (("volumes", 0), {"name": "workspace", "hostPath": {"path": "/"}}),
        (("initContainers", 0, "securityContext"), {}),
        (("containers", 0, "securityContext", "privileged"), True),
        (("containers", 0, "securityContext", "procMount"), "Unmasked"),
        (("containers", 0, "securityContext", "allowPrivilegeEscalation"), True),
        (("containers", 0, "securityContext", "capabilities"), {"drop": ["KILL"]}),
        (("containers", 0, "securityContext", "capabilities", "add"), ["SYS_ADMIN"]),
        (("containers", 0, "securityContext", "runAsUser"), 0),
        (("containers", 0, "ports"), [{"containerPort": 80, "hostPort": 80}]),
    ],
    ids=lambda value: value[-1] if isinstance(value, tuple) else "",
)
def test_what_is_not_restricted_would_be_seen(place: tuple[str | int, ...], value: Any) -> None:
    spec = copy.deepcopy(spec_of("agent-base"))
    node: Any = spec
    for step in place[:-1]:
        node = node[step]
    node[place[-1]] = value

    assert violations(spec)


def test_a_root_file_system_that_can_be_written_would_be_seen() -> None:
    spec = json.loads(json.dumps(spec_of("agent-base")))  # the file's anchors share an object
    spec["containers"][0]["securityContext"]["readOnlyRootFilesystem"] = False

    assert can_write_root(spec) == ["agent"]


@pytest.mark.parametrize("name", AGENTS)
def test_the_key_is_mounted_into_the_init_container_alone(name: str) -> None:
    spec = spec_of(name)
    (secret,) = [volume["name"] for volume in spec["volumes"] if "secret" in volume]
    (init,) = spec["initContainers"]

    assert [
        container["name"]
        for container in containers(spec)
        if secret in {mount["name"] for mount in container["volumeMounts"]}
    ] == [init["name"]]
    assert init["image"] == "ravi-init"
    assert {"name": "workspace", "mountPath": contract.DEFAULT_WORKSPACE} in init["volumeMounts"]
    assert "secretKeyRef" not in str(spec)


def test_env_files_brings_every_variable_of_the_agent() -> None:
    (agent,) = spec_of("env-files")["containers"]
    sources = {one["name"]: one["valueFrom"]["fileKeyRef"] for one in agent["env"]}

    assert tuple(sources) == contract.AGENT_VARIABLES
    assert sources == {
        name: {
            "volumeName": "workspace",
            "path": f"{contract.RAVI_DIR}/{contract.ENV_FILE}",
            "key": name,
        }
        for name in contract.AGENT_VARIABLES
    }


def test_no_container_of_the_compose_example_restarts_for_ever() -> None:
    text = (Path(__file__).parents[2] / "images/compose/compose.yaml").read_text()

    restarts = [line.split(": ", 1)[1] for line in text.splitlines() if "restart:" in line]
    assert restarts == ["on-failure:5"]
