"""The flags of runs on Kubernetes: of no meaning on Docker, and refused there."""

from collections.abc import Sequence
from dataclasses import dataclass

from ravi_agent.errors import UsageError
from ravi_agent.launcher.backend import DOCKER, KUBERNETES
from ravi_agent.launcher.model.request import JobOptions
from ravi_agent.launcher.planning.values import parse_seconds

RENDER = "render"  # the command that prints a run instead of carrying it out


@dataclass(frozen=True, kw_only=True)
class JobFlags:
    """As typed; None and empty where nothing was."""

    namespace: str | None
    secret: str | None
    init_image: str | None
    service_account: str | None
    node_selector: Sequence[str]
    toleration: Sequence[str]
    pull_secret: Sequence[str]
    successes: int | None
    deadline: str | None
    ttl: str | None

    def check(self, backend: str, host: str | None) -> bool:
        """Whether the run is one on Kubernetes; UsageError for flags of the other backend."""
        if backend not in {DOCKER, KUBERNETES}:
            raise UsageError(
                f"--backend {backend!r}", "choose docker or kubernetes", "--backend docker"
            )
        if backend == KUBERNETES:
            if host:
                raise UsageError("--host", "it names a Docker engine", "--context, or KUBECONFIG")
            return True
        for name, value in vars(self).items():
            if value:
                flag = f"--{name.replace('_', '-')}"
                raise UsageError(flag, "it is of runs on Kubernetes", "--backend kubernetes")
        return False

    def options(self) -> JobOptions:
        from ravi_agent.launcher.kubernetes.flags import parse_selector, parse_tolerations

        return JobOptions(
            secret=self.secret,
            init_image=self.init_image,
            successes=self.successes,
            deadline_s=_seconds("--deadline", self.deadline),
            ttl_s=_seconds("--ttl", self.ttl),
            node_selector=parse_selector(self.node_selector),
            tolerations=parse_tolerations(self.toleration),
            service_account=self.service_account,
            pull_secrets=self.pull_secret,
        )


def _seconds(flag: str, text: str | None) -> int | None:
    return None if text is None else parse_seconds(flag, text)
