"""`ravi-launch kubernetes install`: give pods an identity by a label on them."""

from dataclasses import dataclass

from ravi_agent.errors import UsageError
from ravi_agent.launcher import backend
from ravi_agent.launcher.commands.engine_options import context_flag
from ravi_agent.launcher.commands.flags import Call, Command, Group, argument, flag
from ravi_agent.launcher.model.request import Connection, InjectionOptions


@dataclass(frozen=True, kw_only=True)
class KubernetesCommandOptions:
    """What is installed, and where."""

    action: str = argument(
        "install",
        choices=("install",),
        help="Print the admission policy that gives labelled pods an identity.",
    )
    is_applied: bool = flag("--apply", default=False, help="Put it into the cluster instead.")
    image: str = flag(
        "--init-image", default="ravi-init", metavar="IMAGE", help="Image of the init container."
    )
    secret: str = flag(
        "--secret",
        default="ravi",
        metavar="NAME",
        help="Secret in the pods' namespace that has the management key as management_key.",
    )
    has_env_files: bool = flag(
        "--env-files",
        default=False,
        help="Let Kubernetes read the containers' variables from the workspace: 1.35 and later.",
    )
    version: str | None = flag(
        "--api-version",
        choices=("v1beta1", "v1"),
        default_text="v1beta1; with --apply the cluster's newest",
        help="Version of MutatingAdmissionPolicy.",
    )
    context: str | None = context_flag("Context of the kubeconfig; with --apply.")
    namespace: str | None = flag(
        "--namespace",
        "-n",
        metavar="NAME",
        group=Group.ENGINE,
        default_text="all namespaces",
        help="Change the pods of this namespace alone.",
    )


def kubernetes(options: KubernetesCommandOptions, _: Call) -> int:
    """Print YAML, or apply it and print the names of its objects; always 0."""
    policy = InjectionOptions(
        version=options.version or "v1beta1",
        namespace=options.namespace,
        image=options.image,
        secret=options.secret,
        has_env_files=options.has_env_files,
    )
    if not options.is_applied:
        if options.context is not None:
            raise UsageError("--context", "no cluster is asked without --apply", "--apply")
        print(backend.render_injection(policy), end="")
        return 0
    if options.version is not None:
        raise UsageError("--api-version", "with --apply the cluster chooses it", "--apply alone")
    for name in backend.install_injection(policy, Connection(context=options.context)):
        print(f"{name} applied")
    return 0


COMMAND = Command(
    name="kubernetes",
    summary="Install the admission policy that gives labelled pods an identity",
    options=KubernetesCommandOptions,
    execute=kubernetes,
)
