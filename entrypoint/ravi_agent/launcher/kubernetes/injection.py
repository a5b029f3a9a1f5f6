"""An admission policy that gives labelled pods an identity: no webhook server, CEL alone.

https://kubernetes.io/docs/reference/access-authn-authz/mutating-admission-policy/
"""

import json

from ravi_agent import contract
from ravi_agent.launcher.kubernetes.cel import Expression, typed
from ravi_agent.launcher.kubernetes.names import (
    INIT,
    KEY_FOLDER,
    KEY_VOLUME,
    SECRET_KEY,
    Object,
)
from ravi_agent.launcher.kubernetes.pod_template import INIT_RESOURCES
from ravi_agent.launcher.model.request import InjectionOptions
from ravi_agent.settings import PHONE_POLICIES

NAME = "ravi-inject"
LABEL = "ravi.id/inject"
ANNOTATION_NAME = "ravi.id/name"
ANNOTATION_PHONE = "ravi.id/phone"
ANNOTATION_CONTAINER = "ravi.id/container"
# The group that owns the workspace of a pod that names none: that of the image `ravi-init`.
_GROUP = 65532
_GROUP_API = "admissionregistration.k8s.io"


def documents(options: InjectionOptions) -> list[Object]:
    """The policy that changes pods, the one that refuses wrong annotations, and their bindings."""
    mutating = {
        "apiVersion": f"{_GROUP_API}/{options.version}",
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": NAME},
        "spec": {
            "failurePolicy": "Fail",
            "reinvocationPolicy": "IfNeeded",
            "matchConstraints": _labelled_pods(),
            "matchConditions": [
                {
                    "name": "has-no-identity-yet",
                    "expression": "!has(object.spec.initContainers) ||"
                    f" !object.spec.initContainers.exists(c, c.name == '{INIT}')",
                }
            ],
            "variables": _VARIABLES,
            "mutations": [
                {
                    "patchType": "ApplyConfiguration",
                    "applyConfiguration": {"expression": typed("Object", _added(options))},
                },
                {"patchType": "JSONPatch", "jsonPatch": {"expression": _LISTS}},
            ],
        },
    }
    validating = {
        "apiVersion": f"{_GROUP_API}/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": NAME},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": _labelled_pods(),
            "variables": _VARIABLES[:1],
            "validations": _VALIDATIONS,
        },
    }
    return [
        mutating,
        _binding(mutating, options.namespace, {}),
        validating,
        _binding(validating, options.namespace, {"validationActions": ["Deny"]}),
    ]


def _labelled_pods() -> Object:
    return {
        "objectSelector": {"matchLabels": {LABEL: "true"}},
        "resourceRules": [
            {
                "apiGroups": [""],
                "apiVersions": ["v1"],
                "operations": ["CREATE"],
                "resources": ["pods"],
            }
        ],
    }


def _binding(policy: Object, namespace: str | None, more: Object) -> Object:
    spec: Object = {"policyName": NAME, **more}
    if namespace:
        # A label that every namespace has by itself.
        selector = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
        spec["matchResources"] = {"namespaceSelector": selector}
    return {
        "apiVersion": policy["apiVersion"],
        "kind": f"{policy['kind']}Binding",
        "metadata": {"name": f"{NAME}-{namespace}" if namespace else NAME},
        "spec": spec,
    }


# A pod that has a volume of its own at the workspace keeps it: an identity then outlives its pod.
_HAS_WORKSPACE = (
    "has(c.volumeMounts)"
    f" && c.volumeMounts.exists(m, m.mountPath == '{contract.DEFAULT_WORKSPACE}')"
)
_VARIABLES = [
    {
        "name": "annotations",
        "expression": "has(object.metadata.annotations) ? object.metadata.annotations : {}",
    },
    {
        "name": "containers",
        "expression": f"'{ANNOTATION_CONTAINER}' in variables.annotations"
        f" ? object.spec.containers.filter(c,"
        f" c.name in variables.annotations['{ANNOTATION_CONTAINER}'].split(','))"
        " : object.spec.containers",
    },
    {
        "name": "owners",
        "expression": f"object.spec.containers.filter(c, {_HAS_WORKSPACE})",
    },
    {
        "name": "volume",
        "expression": "size(variables.owners) == 0 ? 'ravi-workspace' : variables.owners[0]"
        f".volumeMounts.filter(m, m.mountPath == '{contract.DEFAULT_WORKSPACE}')[0].name",
    },
    {
        "name": "hasGroup",
        "expression": "has(object.spec.securityContext)"
        " && has(object.spec.securityContext.fsGroup)",
    },
]

# An apply configuration may not hold lists that do not merge. As the value of a patch the API
# server of 1.34 takes an empty list and an object; on a list of objects its handler panics.
_PATH = (
    f"'/spec/initContainers/' + string(object.spec.initContainers.map(c, c.name).indexOf('{INIT}'))"
)
_TYPE = "Object.spec.initContainers"
_SETTINGS = typed(f"{_TYPE}.envFrom", {"configMapRef": {"name": "ravi", "optional": True}})
_NONE = typed(f"{_TYPE}.securityContext.capabilities", {"drop": ["ALL"]})
_LISTS = f"""[
  JSONPatch{{op: "add", path: {_PATH} + '/envFrom', value: []}},
  JSONPatch{{op: "add", path: {_PATH} + '/envFrom/-', value: {_SETTINGS}}},
  JSONPatch{{op: "add", path: {_PATH} + '/securityContext/capabilities', value: {_NONE}}}
]"""

_VALIDATIONS = [
    {
        "expression": f"!('{ANNOTATION_CONTAINER}' in variables.annotations)"
        f" || variables.annotations['{ANNOTATION_CONTAINER}'].split(',')"
        ".all(n, object.spec.containers.exists(c, c.name == n))",
        "messageExpression": f"'annotation {ANNOTATION_CONTAINER}: the pod has no container '"
        f" + variables.annotations['{ANNOTATION_CONTAINER}']",
    },
    {
        "expression": f"!('{ANNOTATION_PHONE}' in variables.annotations)"
        f" || variables.annotations['{ANNOTATION_PHONE}'] in {json.dumps(list(PHONE_POLICIES))}",
        "message": f"annotation {ANNOTATION_PHONE}: choose {', '.join(PHONE_POLICIES[:-1])}"
        f" or {PHONE_POLICIES[-1]}",
    },
]


def _added(options: InjectionOptions) -> Object:
    spec: Object = {
        "initContainers": [_init(options)],
        "containers": _containers(options),
        "volumes": _volumes(options),
    }
    spec["securityContext"] = Expression(
        "variables.hasGroup ? Object.spec.securityContext{} : Object.spec.securityContext"
        f'{{fsGroup: {_GROUP}, fsGroupChangePolicy: "OnRootMismatch"}}'
    )
    return {"spec": spec}


def _init(options: InjectionOptions) -> Object:
    workspace = {"name": Expression("variables.volume"), "mountPath": contract.DEFAULT_WORKSPACE}
    path = "Object.spec.initContainers.env"
    env = typed(path, [{"name": "RAVI_MANAGEMENT_KEY_FILE", "value": f"{KEY_FOLDER}/{SECRET_KEY}"}])
    for annotation, variable in (
        (ANNOTATION_NAME, "RAVI_IDENTITY_NAME"),
        (ANNOTATION_PHONE, "RAVI_PHONE_POLICY"),
    ):
        value = Expression(f"variables.annotations['{annotation}']")
        given = typed(path, [{"name": variable, "value": value}])
        env += f"\n+ ('{annotation}' in variables.annotations ? {given} : [])"
    # On the node's network the host name is the node's.
    task = {"name": "TASK_ID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    is_on_host = "has(object.spec.hostNetwork) && object.spec.hostNetwork"
    env += f"\n+ ({is_on_host} ? {typed(path, [task])} : [])"
    return {
        "name": INIT,
        "image": options.image,
        "imagePullPolicy": "IfNotPresent",
        "env": Expression(env),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        # Maps of quantities, and no objects of a type.
        "resources": {
            kind: Expression(json.dumps(given)) for kind, given in INIT_RESOURCES.items()
        },
        "volumeMounts": [
            workspace,
            {"name": KEY_VOLUME, "mountPath": KEY_FOLDER, "readOnly": True},
        ],
    }


def _containers(options: InjectionOptions) -> Expression:
    """What each container gets, by its name: lists merge."""
    container = {
        "name": Expression("c.name"),
        "env": [_variable(options, name) for name in _names(options)],
        "volumeMounts": [
            {"name": Expression("variables.volume"), "mountPath": contract.DEFAULT_WORKSPACE}
        ],
    }
    return Expression(f"variables.containers.map(c, {typed('Object.spec.containers', container)})")


def _names(options: InjectionOptions) -> tuple[str, ...]:
    if not options.has_env_files:
        return ("RAVI_CONFIG_DIR",)
    return (*contract.AGENT_VARIABLES, contract.API_KEY_VARIABLE)


def _variable(options: InjectionOptions, name: str) -> Object:
    if not options.has_env_files:
        return {"name": name, "value": f"{contract.DEFAULT_WORKSPACE}/.ravi"}
    reference = {
        "volumeName": Expression("variables.volume"),
        "path": ".ravi/env",
        "key": name,
        "optional": True,
    }
    return {"name": name, "valueFrom": {"fileKeyRef": reference}}


def _volumes(options: InjectionOptions) -> Expression:
    path = "Object.spec.volumes"
    key = {
        "name": KEY_VOLUME,
        "secret": {
            "secretName": options.secret,
            "defaultMode": 0o440,
        },
    }
    workspace = {"name": "ravi-workspace", "emptyDir": {}}
    return Expression(
        f"{typed(path, [key])}\n+ (size(variables.owners) == 0 ? {typed(path, [workspace])} : [])"
    )
