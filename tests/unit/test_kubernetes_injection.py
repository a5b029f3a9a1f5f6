"""The admission policy that gives labelled pods an identity, as it is printed and applied."""

from typing import Any

import kubernetes_validate
import pytest
import yaml

from ravi_agent.launcher.kubernetes.cel import Expression, typed
from ravi_agent.launcher.kubernetes.installation import render_injection
from ravi_agent.launcher.model.request import InjectionOptions


def rendered(**changed: Any) -> list[dict[str, Any]]:
    options: dict[str, Any] = {
        "version": "v1beta1",
        "namespace": None,
        "image": "ravi-init",
        "secret": "ravi",
        "has_env_files": False,
    }
    text = render_injection(InjectionOptions(**(options | changed)))
    return list(yaml.safe_load_all(text))


@pytest.mark.parametrize("namespace", [None, "agents"])
@pytest.mark.parametrize(("version", "kubernetes"), [("v1beta1", "1.34"), ("v1", "1.37")])
def test_what_is_printed_is_valid(version: str, kubernetes: str, namespace: str | None) -> None:
    for one in rendered(version=version, namespace=namespace):
        kubernetes_validate.validate(one, kubernetes, strict=True)


def test_a_namespace_alone_has_its_own_binding() -> None:
    bindings = [one for one in rendered(namespace="agents") if one["kind"].endswith("Binding")]

    assert [one["metadata"]["name"] for one in bindings] == ["ravi-inject-agents"] * 2
    for one in bindings:
        assert one["spec"]["matchResources"]["namespaceSelector"] == {
            "matchLabels": {"kubernetes.io/metadata.name": "agents"}
        }


def test_the_management_key_is_mounted_in_the_init_container_alone() -> None:
    expression = rendered()[0]["spec"]["mutations"][0]["applyConfiguration"]["expression"]
    init, containers = expression.split("containers: variables.containers.map", 1)

    assert "/run/ravi-key" in init
    assert "/run/ravi-key" not in containers


def test_env_files_give_each_of_the_agents_variables() -> None:
    expression = rendered(has_env_files=True)[0]["spec"]["mutations"][0]["applyConfiguration"]

    for name in ("RAVI_EMAIL", "RAVI_PHONE", "RAVI_API_KEY"):
        assert f'key: "{name}"' in expression["expression"]


@pytest.mark.parametrize(
    ("value", "cel"),
    [
        ({"a": {"b": True}}, "Object{a: Object.a{b: true}}"),
        ({"a": [{"b": 7}]}, "Object{a: [Object.a{b: 7}]}"),
        ({"a": Expression("x.y")}, "Object{a: x.y}"),
        ({"a": 'say "x.y"'}, r'Object{a: "say \"x.y\""}'),
    ],
)
def test_a_mapping_is_an_object_of_the_type_of_its_place(value: object, cel: str) -> None:
    assert typed("Object", value) == cel
