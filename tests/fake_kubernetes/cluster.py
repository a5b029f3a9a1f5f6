"""What a Kubernetes API server keeps: objects, their versions, and what has changed since.

Only what the launcher uses, but that as strictly as the real one: every object is checked against
the published schemas and against the rules of Jobs that schemas cannot say.
"""

import base64
import copy
import itertools
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import kubernetes_validate

VERSION = "1.35"
KINDS = {
    "jobs": ("batch/v1", "Job"),
    "pods": ("v1", "Pod"),
    "secrets": ("v1", "Secret"),
    "configmaps": ("v1", "ConfigMap"),
    "events": ("v1", "Event"),
    "networkpolicies": ("networking.k8s.io/v1", "NetworkPolicy"),
    "resourcequotas": ("v1", "ResourceQuota"),
}
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_CONFIG_LIMIT = 1 << 20  # bytes in a ConfigMap or Secret

Object = dict[str, Any]


class RefusalError(Exception):
    """What the server answers instead: a Status."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status: Object = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            "code": code,
        }


def not_found(resource: str, name: str) -> RefusalError:
    return RefusalError(404, "NotFound", f'{resource} "{name}" not found')


@dataclass
class Change:
    version: int
    resource: str
    type: str
    object: Object  # for its name and labels: the rest may have changed since
    text: str


@dataclass
class Cluster:
    """All of it is guarded by `changed`, which is notified of every change."""

    namespaces: set[str] = field(default_factory=lambda: {"default"})
    namespace_labels: dict[str, str] = field(default_factory=dict)
    objects: dict[tuple[str, str, str], Object] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    logs: dict[str, bytes] = field(default_factory=dict)
    watchers: set[str] = field(default_factory=set)
    # Versions up to this one are forgotten: 410 to whoever asks for what came after them.
    oldest: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)
    # Called with each Job that is made or changed: what plays the controllers.
    on_job: Callable[[Object], None] = field(default=lambda _: None)
    _versions: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1000))
    _last: int = 999

    def create(self, namespace: str, resource: str, body: Object) -> Object:
        with self.changed:
            self._check_namespace(namespace)
            one = copy.deepcopy(body)
            metadata = one.setdefault("metadata", {})
            metadata["namespace"] = namespace
            check(resource, one)
            key = (resource, namespace, metadata["name"])
            if key in self.objects:
                raise RefusalError(
                    409, "AlreadyExists", f'{resource} "{metadata["name"]}" already exists'
                )
            metadata["uid"] = f"00000000-0000-4000-8000-{len(self.changes):012d}"
            metadata["creationTimestamp"] = now()
            if "stringData" in one:
                data = one.setdefault("data", {})
                for name, text in one.pop("stringData").items():
                    data[name] = base64.b64encode(text.encode()).decode()
            if resource == "jobs":
                one["status"] = {}
            self.put(resource, one, "ADDED")
        if resource == "jobs":
            self.on_job(one)
        return copy.deepcopy(one)

    def get(self, namespace: str, resource: str, name: str) -> Object:
        with self.changed:
            self._check_namespace(namespace)
            if resource == "namespaces":
                metadata = {"name": name, "labels": dict(self.namespace_labels)}
                return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
            try:
                return copy.deepcopy(self.objects[resource, namespace, name])
            except KeyError:
                raise not_found(resource, name) from None

    def list(self, namespace: str, resource: str) -> tuple[list[Object], int]:
        with self.changed:
            found = [
                one
                for (kind, place, _), one in sorted(self.objects.items())
                if (kind, place) == (resource, namespace)
            ]
            return found, self._last

    def patch(self, namespace: str, resource: str, name: str, patch: Object) -> Object:
        with self.changed:
            one = self.get(namespace, resource, name)
            _merge(one, patch)
            check(resource, one)
            self.put(resource, one, "MODIFIED")
        if resource == "jobs":
            self.on_job(one)
        return one

    def put(self, resource: str, one: Object, kind: str = "MODIFIED") -> None:
        """Store an object as it is now, and tell the watches."""
        with self.changed:
            metadata = one["metadata"]
            key = (resource, metadata["namespace"], metadata["name"])
            self._last = next(self._versions)
            metadata["resourceVersion"] = str(self._last)
            if kind == "DELETED":
                self.objects.pop(key, None)
            else:
                self.objects[key] = one
            text = json.dumps(one)
            self.changes.append(Change(self._last, resource, kind, one, text))
            self.changed.notify_all()

    def delete(self, namespace: str, resource: str, name: str) -> Object:
        with self.changed:
            one = self.get(namespace, resource, name)
            self.put(resource, one, "DELETED")
            # The garbage collector: what the object owned goes with it.
            for (kind, place, other), owned in list(self.objects.items()):
                owners = owned["metadata"].get("ownerReferences") or []
                if any(owner["uid"] == one["metadata"]["uid"] for owner in owners):
                    self.delete(place, kind, other)
        return one

    def forget(self) -> None:
        """As a server whose history is compacted: every version so far is too old for a watch."""
        with self.changed:
            self.oldest = self._last
            self.changes.clear()
            self.changed.notify_all()

    def _check_namespace(self, namespace: str) -> None:
        if namespace not in self.namespaces:
            raise not_found("namespaces", namespace)


def check(resource: str, one: Object) -> None:
    """Raises RefusalError for what the API server would not take."""
    api_version, kind = KINDS[resource]
    if (one.get("apiVersion"), one.get("kind")) != (api_version, kind):
        raise RefusalError(400, "BadRequest", f"{resource} are of {api_version} {kind}")
    check_schema(one)
    if problems := list(_problems(resource, one)):
        name = one["metadata"].get("name")
        raise RefusalError(422, "Invalid", f'{kind} "{name}" is invalid: {"; ".join(problems)}')


def check_schema(one: Object) -> None:
    """Raises RefusalError for what the published schema does not have."""
    try:
        kubernetes_validate.validate(one, VERSION, strict=True)
    except kubernetes_validate.ValidationError as exc:
        where = ".".join(map(str, exc.path))
        raise RefusalError(
            400, "BadRequest", f"strict decoding error: {where}: {exc.message}"
        ) from exc


def _problems(resource: str, one: Object) -> "list[str]":
    name = one["metadata"].get("name", "")
    found = []
    if not all(_LABEL.fullmatch(part) for part in name.split(".")) or len(name) > 253:
        found.append("metadata.name: a lowercase RFC 1123 subdomain")
    for key, value in (one["metadata"].get("labels") or {}).items():
        if not re.fullmatch(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?", value):
            found.append(f"metadata.labels.{key}: Invalid value: {value!r}")
    if resource in {"configmaps", "secrets"}:
        if sum(len(key) + len(value) for key, value in one.get("data", {}).items()) > _CONFIG_LIMIT:
            found.append("data: Too long: may not be more than 1048576 bytes")
        found += [
            f"data[{key}]: Invalid value"
            for key in one.get("data", {})
            if not re.fullmatch(r"[-._a-zA-Z0-9]+", key)
        ]
    if resource == "jobs":
        found += _job_problems(name, one["spec"])
    return found


def _job_problems(name: str, spec: Object) -> "list[str]":
    found = []
    pod = spec["template"]["spec"]
    is_indexed = spec.get("completionMode") == "Indexed"
    last = f"{name}-{(spec.get('completions') or 1) - 1}"
    if is_indexed and not _LABEL.fullmatch(last):
        found.append(f"metadata.name: {last!r} is no host name of 63 characters")
    if spec.get("backoffLimitPerIndex") is not None and not is_indexed:
        found.append("spec.backoffLimitPerIndex: requires indexed completion mode")
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        found.append("spec.backoffLimitPerIndex: Required value: with maxFailedIndexes")
    if pod.get("restartPolicy") not in {"Never", "OnFailure"}:
        found.append("spec.template.spec.restartPolicy: Required value")
    needs_never = [
        field
        for field in ("backoffLimitPerIndex", "podFailurePolicy")
        if spec.get(field) is not None
    ]
    if needs_never and pod.get("restartPolicy") != "Never":
        found.append(f"spec.{needs_never[0]}: only with restartPolicy Never")
    if spec.get("podFailurePolicy") and spec.get("podReplacementPolicy", "Failed") != "Failed":
        found.append("spec.podReplacementPolicy: must be Failed with podFailurePolicy")
    if spec.get("successPolicy") and not is_indexed:
        found.append("spec.successPolicy: requires indexed completion mode")
    volumes = {volume["name"] for volume in pod.get("volumes", [])}
    names = set()
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        names.add(container["name"])
        found += [
            f"volumeMounts: Not found: {mount['name']!r}"
            for mount in container.get("volumeMounts", [])
            if mount["name"] not in volumes
        ]
    for rule in (spec.get("podFailurePolicy") or {}).get("rules", []):
        codes = rule.get("onExitCodes") or {}
        if codes.get("containerName", pod["containers"][0]["name"]) not in names:
            found.append("spec.podFailurePolicy.rules.onExitCodes.containerName: unknown")
        if codes.get("operator") == "In" and 0 in codes["values"]:
            found.append("spec.podFailurePolicy.rules.onExitCodes.values: must not be 0")
    return found


def _merge(target: Object, patch: Object) -> None:
    """RFC 7386."""
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        else:
            target[key] = value


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
