"""The flags of runs on Kubernetes: of no meaning on Docker, and refused there."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ravi_agent.errors import SettingsError, UsageError
from ravi_agent.launcher.planning.values import parse_seconds

if TYPE_CHECKING:
    from ravi_agent.launcher.docker.foreground import Request
    from ravi_agent.launcher.kubernetes.names import JobOptions
    from ravi_agent.launcher.show.answer import Wishes

DOCKER, KUBERNETES = "docker", "kubernetes"
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

    def carry_out(
        self, request: "Request", environ: Mapping[str, str], wishes: "Wishes", command: str | None
    ) -> int:
        """Carry out the run, or print it where the command is `render`; an exit code."""
        with kubernetes_client():
            from ravi_agent.launcher.kubernetes import foreground
            from ravi_agent.launcher.kubernetes.render import render

        options = self._options()
        if command != RENDER:
            return foreground.launch_job(request, options, environ, wishes, self.namespace)
        if request.is_new:
            raise UsageError(RENDER, "a run without a name is never the same", "--name nightly")
        print(render(foreground.plan_of(request), options, self.namespace), end="")
        return 0

    def _options(self) -> "JobOptions":
        from ravi_agent.launcher.kubernetes.flags import parse_selector, parse_tolerations
        from ravi_agent.launcher.kubernetes.names import INIT_IMAGE, JobOptions

        return JobOptions(
            secret=self.secret,
            init_image=self.init_image or INIT_IMAGE,
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


@contextmanager
def kubernetes_client() -> Iterator[None]:
    """Say what to install where the client for Kubernetes is not there."""
    try:
        yield
    except ModuleNotFoundError as exc:
        if exc.name not in {"kubernetes", "yaml", "urllib3"}:
            raise
        raise SettingsError(
            "--backend kubernetes",
            f"the Python package {exc.name!r} is not installed",
            "pip install 'ravi-agent-base[launch,kubernetes]'",
        ) from None
