"""The admission policy as YAML, or put into a cluster."""

from dataclasses import replace

from ravi_agent.errors import UsageError
from ravi_agent.launcher.kubernetes.api import KubernetesApi
from ravi_agent.launcher.kubernetes.injection import documents
from ravi_agent.launcher.kubernetes.render import to_yaml
from ravi_agent.launcher.model.request import Connection, InjectionOptions

# Kubernetes 1.34 and 1.35 have the first, behind the feature gate MutatingAdmissionPolicy.
VERSIONS = ("v1beta1", "v1")
_GROUP = "admissionregistration.k8s.io"


def render_injection(options: InjectionOptions) -> str:
    """The policies and their bindings as YAML for `kubectl apply`."""
    return (
        "# Each namespace with such pods needs the Secret that ravi-init reads the key from:\n"
        f"#   kubectl create secret generic {options.secret} --from-file=management_key=PATH\n"
        + to_yaml(documents(options))
    )


def install_injection(options: InjectionOptions, connection: Connection) -> list[str]:
    """Put the policies into the cluster, in its newest version of them; what was applied.

    Raises UsageError where the cluster has no such policies, EngineError where it does not answer
    or refuses.
    """
    api = KubernetesApi(context=connection.context, namespace=connection.namespace)
    try:
        served = [one for one in VERSIONS if api.serves(_GROUP, one, "mutatingadmissionpolicies")]
        if not served:
            raise UsageError(
                "kubernetes install",
                f"{api.version()} has no MutatingAdmissionPolicy: 1.34 and 1.35 need the feature"
                " gate of that name and --runtime-config"
                " admissionregistration.k8s.io/v1beta1=true",
                "add images/kubernetes/component to the `components` of your kustomization",
            )
        applied = documents(replace(options, version=served[-1]))
        for one in applied:
            api.apply_policy(one)
    finally:
        api.close()
    return [f"{one['kind']}/{one['metadata']['name']}" for one in applied]
