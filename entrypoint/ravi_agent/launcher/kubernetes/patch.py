"""`--patch FILE`: a strategic merge onto the pod template, for all that has no flag."""

from collections.abc import Mapping
from typing import Any

import yaml

from ravi_agent.errors import UsageError
from ravi_agent.launcher.kubernetes.names import INIT, KEY_VOLUME, Object

_SIZE_LIMIT = 1024 * 1024  # bytes; a pod template is stored in etcd, which takes 1.5 MB
# By which field entries of a list are the same; every other list is replaced as a whole.
# `x-kubernetes-patch-merge-key` in https://github.com/kubernetes/kubernetes/blob/v1.34.4/api/openapi-spec/swagger.json
_MERGE_KEYS = {
    "containers": "name",
    "env": "name",
    "ephemeralContainers": "name",
    "hostAliases": "ip",
    "imagePullSecrets": "name",
    "initContainers": "name",
    "ports": "containerPort",
    "resourceClaims": "name",
    "topologySpreadConstraints": "topologyKey",
    "volumeDevices": "devicePath",
    "volumeMounts": "mountPath",
    "volumes": "name",
}
_DIRECTIVE = "$patch"


def read_patch(path: str) -> Object:
    """The patch in a file of YAML or JSON; raises UsageError."""
    what = f"--patch {path!r}"
    try:
        with open(path, "rb") as file:
            text = file.read(_SIZE_LIMIT + 1)
    except OSError as exc:
        raise UsageError(what, exc.strerror or str(exc), "--patch FILE") from exc
    if len(text) > _SIZE_LIMIT:
        raise UsageError(what, f"more than {_SIZE_LIMIT} bytes", "a smaller file")
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            raise UsageError(what, "it has aliases, which can stand for gigabytes", "write it out")
        patch = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as exc:
        words = " ".join(str(exc).split()) or "it is nested too deeply"
        raise UsageError(what, f"not YAML: {words}", "see `kubectl explain pod.spec`") from exc
    if not isinstance(patch, dict) or not patch.keys() <= {"metadata", "spec"}:
        raise UsageError(
            what,
            "not a pod template: `metadata` and `spec` alone",
            "for example: {spec: {priorityClassName: high}}",
        )
    return patch


def patched(template: Object, path: str) -> Object:
    """The pod template with the patch of that file on it.

    Raises UsageError where the file is not a patch, or would take from the run what it relies on.
    """
    merged: Object = _merge(template, read_patch(path), f"--patch {path!r}")
    _check(template, merged, f"--patch {path!r}")
    return merged


def _merge(base: Any, patch: Any, what: str) -> Any:
    if not isinstance(patch, Mapping):
        return patch
    directive = patch.get(_DIRECTIVE)
    strange = {str(key) for key in patch if str(key).startswith("$")} - {_DIRECTIVE}
    if strange or directive not in {None, "replace", "merge"}:
        said = f"$patch: {directive}" if not strange else min(strange)
        raise UsageError(what, f"{said!r} is not supported here", "$patch: replace, or delete")
    given = {key: value for key, value in patch.items() if key != _DIRECTIVE}
    merged = {} if directive == "replace" or not isinstance(base, Mapping) else dict(base)
    for key, value in given.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, list):
            merged[key] = _merge_list(merged.get(key), value, _MERGE_KEYS.get(key), what)
        else:
            merged[key] = _merge(merged.get(key), value, what)
    return merged


def _merge_list(base: Any, patch: list[Any], key: str | None, what: str) -> list[Any]:
    """Entries with the same `key` become one, new ones come last."""
    if key is None or not isinstance(base, list):
        base = []
    if key is None:
        return patch
    merged = list(base)
    for entry in patch:
        if not isinstance(entry, Mapping) or key not in entry:
            raise UsageError(what, f"an entry without {key!r}: {entry!r:.80}", f"{key}: …")
        places = [at for at, one in enumerate(merged) if one[key] == entry[key]]
        if entry.get(_DIRECTIVE) == "delete":
            merged = [one for one in merged if one[key] != entry[key]]
        elif places:
            merged[places[0]] = _merge(merged[places[0]], entry, what)
        else:
            merged.append(_merge({}, entry, what))
    return merged


def _check(template: Object, merged: Object, what: str) -> None:
    """What the launcher finds its pods by, and what keeps the key from the agent, stays."""
    for place in ("labels", "annotations"):
        ours, now = template["metadata"].get(place) or {}, merged["metadata"].get(place) or {}
        if changed := [name for name in ours if now.get(name) != ours[name]]:
            fix = f"leave out {changed[0]}"
            raise UsageError(what, f"it changes {place} by which the run is found", fix)
    spec = merged["spec"]
    names = {one.get("name") for one in spec.get("initContainers") or []}
    if INIT not in names:
        raise UsageError(what, f"it takes away {INIT!r}", f"leave out $patch for {INIT}")
    if spec.get("restartPolicy") != "Never":
        raise UsageError(what, "the run counts pods, not restarts", "leave out restartPolicy")
    for one in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        mounted = {mount.get("name") for mount in one.get("volumeMounts") or []}
        if one.get("name") != INIT and KEY_VOLUME in mounted:
            raise UsageError(
                what,
                f"container {one.get('name')!r} would see the management key",
                f"leave out the mount of {KEY_VOLUME!r}",
            )
