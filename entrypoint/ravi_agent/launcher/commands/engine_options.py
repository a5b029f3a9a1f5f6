"""Which engine, and where it is: the flags that work before and after the command."""

from dataclasses import dataclass
from typing import Any

from ravi_agent.launcher.backend import DOCKER, KUBERNETES, Backend, open_backend
from ravi_agent.launcher.commands.flags import Group, flag
from ravi_agent.launcher.model.request import Connection


def host_flag(**parameter: Any) -> Any:
    """The field of a command that talks to a Docker engine: where that is."""
    return flag(
        "--host",
        "-H",
        metavar="URL",
        group=Group.ENGINE,
        default_text="as docker: DOCKER_HOST, or the current context",
        help="Docker engine to connect to: unix://, tcp:// or ssh://.",
        **parameter,
    )


def context_flag(help_text: str) -> Any:
    """The field of a command that takes an engine from its client's configuration."""
    return flag(
        "--context",
        "-c",
        metavar="NAME",
        group=Group.ENGINE,
        default_text="the current context",
        help=help_text,
    )


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """The engine that a command talks to."""

    backend: str = flag(
        "--backend",
        default=DOCKER,
        choices=(DOCKER, KUBERNETES),
        group=Group.ENGINE,
        help="Engine that runs the agents.",
    )
    host: str | None = host_flag(
        only_on=DOCKER,
        why="it is the address of a Docker engine; use --context or KUBECONFIG",
    )
    context: str | None = context_flag("Docker context, or context of the kubeconfig.")
    namespace: str | None = flag(
        "--namespace",
        "-n",
        metavar="NAME",
        group=Group.ENGINE,
        default_text="the namespace of the context",
        help="Kubernetes namespace.",
        only_on=KUBERNETES,
        why="only Kubernetes has namespaces",
    )

    def connection(self) -> Connection:
        return Connection(host=self.host, context=self.context, namespace=self.namespace)

    def open(self) -> Backend:
        """Connect to the engine; see `open_backend` for what it raises."""
        return open_backend(self.backend, self.connection())
