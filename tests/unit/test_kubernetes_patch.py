"""`--patch FILE`: a strategic merge onto the pod template."""

from pathlib import Path
from typing import Any

import pytest

from ravi_agent.errors import UsageError
from ravi_agent.launcher.kubernetes.patch import patched

Object = dict[str, Any]


def template() -> Object:
    return {
        "metadata": {"labels": {"id.ravi.run": "base"}, "annotations": {"id.ravi.count": "2"}},
        "spec": {
            "restartPolicy": "Never",
            "tolerations": [{"key": "a"}],
            "initContainers": [
                {
                    "name": "ravi-init",
                    "volumeMounts": [{"name": "ravi-key", "mountPath": "/run/ravi-key"}],
                }
            ],
            "containers": [
                {
                    "name": "agent",
                    "image": "x",
                    "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                    "volumeMounts": [{"name": "workspace", "mountPath": "/workspace"}],
                }
            ],
            "volumes": [{"name": "workspace", "emptyDir": {}}],
        },
    }


def patch(folder: Path, text: str) -> Object:
    file = folder / "patch.yaml"
    file.write_text(text)
    return patched(template(), str(file))


def test_maps_merge_and_a_null_removes(tmp_path: Path) -> None:
    spec = patch(tmp_path, "spec: {hostname: h, securityContext: {fsGroup: 5}, volumes: null}")[
        "spec"
    ]

    assert (spec["hostname"], spec["securityContext"]) == ("h", {"fsGroup": 5})
    assert "volumes" not in spec
    assert spec["containers"] == template()["spec"]["containers"]


def test_lists_merge_by_their_keys_and_others_are_replaced(tmp_path: Path) -> None:
    spec = patch(
        tmp_path,
        """
        spec:
          tolerations: [{key: b}]
          volumes: [{name: data, emptyDir: {}}]
          containers:
            - name: agent
              env: [{name: B, value: three}, {name: C, value: "4"}, {name: A, $patch: delete}]
              volumeMounts: [{mountPath: /data, name: data}]
            - {name: sidecar, image: y}
        """,
    )["spec"]

    assert spec["tolerations"] == [{"key": "b"}]
    assert [one["name"] for one in spec["volumes"]] == ["workspace", "data"]
    agent, sidecar = spec["containers"]
    assert agent["env"] == [{"name": "B", "value": "three"}, {"name": "C", "value": "4"}]
    assert [one["mountPath"] for one in agent["volumeMounts"]] == ["/workspace", "/data"]
    assert (agent["image"], sidecar) == ("x", {"name": "sidecar", "image": "y"})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a", "not a pod template"),
        ("kind: Pod", "not a pod template"),
        ("{", "not YAML"),
        ("spec: {a: &a [x], b: *a}", "it has aliases"),
        ("spec: {containers: [{image: x}]}", "an entry without 'name'"),
        ("spec: {$retainKeys: [a]}", "'$retainKeys' is not supported"),
        ("spec: {restartPolicy: Always}", "the run counts pods, not restarts"),
        ("metadata: {labels: {id.ravi.run: other}}", "it changes labels by which the run is found"),
        ("metadata: {annotations: null}", "it changes annotations by which the run is found"),
        (
            "spec: {initContainers: [{name: ravi-init, $patch: delete}]}",
            "it takes away 'ravi-init'",
        ),
        (
            "spec: {containers: [{name: agent, volumeMounts: [{name: ravi-key, mountPath: /k}]}]}",
            "container 'agent' would see the management key",
        ),
    ],
)
def test_what_the_run_relies_on_cannot_be_patched_away(
    tmp_path: Path, text: str, words: str
) -> None:
    with pytest.raises(UsageError) as caught:
        patch(tmp_path, text)

    assert words in str(caught.value)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        patched(template(), str(tmp_path / "none"))

    assert "No such file" in str(caught.value)
