"""Kubernetes manifests: the files, their schemas, and the rules of Pod Security `restricted`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

FOLDER = Path(__file__).parents[1] / "images/kubernetes"
FILES = sorted(FOLDER.glob("*.yaml"))
# From the first that knows fileKeyRef to the newest of the schemas.
VERSIONS = ("1.34", "1.35", "1.37")

Manifest = dict[str, Any]

_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
}


def read(path: Path) -> list[Manifest]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def check_schema(manifest: Manifest, version: str) -> None:
    """Raises ValidationError for a field that this Kubernetes has not, or of another type."""
    kubernetes_validate.validate(manifest, version, strict=True)


def pod_spec(manifest: Manifest) -> Manifest | None:
    """The spec of the pods a manifest makes, None where it makes none."""
    spec: Manifest
    match manifest["kind"]:
        case "Pod":
            spec = manifest["spec"]
        case "Job":
            spec = manifest["spec"]["template"]["spec"]
        case "CronJob":
            spec = manifest["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        case _:
            return None
    return spec


def containers(spec: Manifest) -> list[Manifest]:
    return [*spec.get("initContainers", []), *spec["containers"]]


def violations(spec: Manifest) -> list[str]:
    """What `restricted` refuses in a pod's spec.

    https://kubernetes.io/docs/concepts/security/pod-security-standards/
    """
    found = [f"{name} is set" for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    pod = spec.get("securityContext", {})
    if pod.get("sysctls"):
        found.append("sysctls are set")
    found += [
        f"volume {volume['name']} is of another kind"
        for volume in spec.get("volumes", [])
        if not set(volume) - {"name"} <= _VOLUMES
    ]
    for container in containers(spec):
        found += [f"{container['name']}: {text}" for text in _violations(container, pod)]
    return found


def _violations(container: Manifest, pod: Manifest) -> Iterator[str]:
    own = container.get("securityContext", {})
    context = {**pod, **own}
    if context.get("runAsNonRoot") is not True:
        yield "may run as root"
    if context.get("runAsUser") == 0:
        yield "runs as root"
    if context.get("seccompProfile", {}).get("type") not in {"RuntimeDefault", "Localhost"}:
        yield "has no seccomp profile"
    if own.get("privileged"):
        yield "is privileged"
    if own.get("procMount", "Default") != "Default":
        yield "sees all of /proc"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "may gain privileges"
    capabilities = own.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", []):
        yield "keeps capabilities"
    if not set(capabilities.get("add", [])) <= {"NET_BIND_SERVICE"}:
        yield "adds capabilities"
    if any(port.get("hostPort") for port in container.get("ports", [])):
        yield "takes a port of the host"


def can_write_root(spec: Manifest) -> list[str]:
    """The containers whose root file system is not read-only."""
    return [
        container["name"]
        for container in containers(spec)
        if container.get("securityContext", {}).get("readOnlyRootFilesystem") is not True
    ]
