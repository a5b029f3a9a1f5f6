"""`ravi-launch render`: print a run as Kubernetes manifests."""

from dataclasses import dataclass, field

from ravi_agent.errors import UsageError
from ravi_agent.launcher import backend
from ravi_agent.launcher.backend import KUBERNETES
from ravi_agent.launcher.commands.container_options import ContainerFlags
from ravi_agent.launcher.commands.engine_options import EngineOptions
from ravi_agent.launcher.commands.flags import Call, Command, Group, flag
from ravi_agent.launcher.commands.kubernetes_options import KubernetesOptions
from ravi_agent.launcher.commands.run import RunOptions
from ravi_agent.launcher.commands.run_options import AgentOptions, FailureOptions, ServiceOptions


@dataclass(frozen=True, kw_only=True)
class RenderOptions:
    """The options of a run that its manifests show. No cluster is asked."""

    agents: AgentOptions = field(default_factory=AgentOptions)
    service: ServiceOptions = field(default_factory=ServiceOptions)
    failure: FailureOptions = field(default_factory=FailureOptions)
    container: ContainerFlags = field(default_factory=ContainerFlags)
    kubernetes: KubernetesOptions = field(default_factory=KubernetesOptions)
    backend: str = flag(
        "--backend",
        default=KUBERNETES,
        choices=(KUBERNETES,),
        group=Group.ENGINE,
        help="Engine that the manifests are for.",
    )
    namespace: str | None = flag(
        "--namespace",
        "-n",
        metavar="NAME",
        group=Group.ENGINE,
        default_text="none in the manifests",
        help="Kubernetes namespace.",
    )


def render(options: RenderOptions, call: Call) -> int:
    """Print YAML for `kubectl apply`; always 0."""
    if options.agents.name is None:
        raise UsageError(
            "render",
            "without --name, each render would be another run",
            "ravi-launch render --count 50 --name nightly",
        )
    request = RunOptions(
        agents=options.agents,
        service=options.service,
        failure=options.failure,
        container=options.container,
        kubernetes=options.kubernetes,
        engine=EngineOptions(backend=options.backend),
    ).request(call)
    print(backend.render(request, options.namespace), end="")
    return 0


COMMAND = Command(
    name="render",
    summary="Print a run as Kubernetes manifests for kubectl apply",
    options=RenderOptions,
    execute=render,
    has_command=True,
)
