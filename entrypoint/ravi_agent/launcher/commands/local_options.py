"""Whether the service is the local Ravi, and where it is published on the host."""

from collections.abc import Mapping
from dataclasses import dataclass

from ravi_agent import contract
from ravi_agent.errors import UsageError
from ravi_agent.launcher.backend import DOCKER, KUBERNETES
from ravi_agent.launcher.commands.flags import Group, flag
from ravi_agent.launcher.commands.run_options import ServiceOptions

ENGINES = (DOCKER, KUBERNETES)
_WHY = "the local Ravi runs on a Docker engine"


@dataclass(frozen=True, kw_only=True)
class LocalOptions:
    """Whether the service is the local Ravi."""

    is_local: bool = flag(
        "--local",
        default=False,
        group=Group.IDENTITIES,
        help="Use a local Ravi: no account needed, identities are not real.",
        only_on=DOCKER,
        why=_WHY,
        fixed_on=ENGINES,
    )

    def check(self, service: ServiceOptions) -> None:
        """Raises UsageError where two services are named."""
        if self.is_local and service.api_url:
            raise UsageError(
                "--local and --api-url", "both say which Ravi to use", "leave one of them out"
            )


@dataclass(frozen=True, kw_only=True)
class LocalPortOptions(LocalOptions):
    """The same, and the port on which it is found."""

    local_port: int | None = flag(
        "--local-port",
        metavar="PORT",
        minimum=1,
        group=Group.IDENTITIES,
        default_text=str(contract.LOCAL_PORT),
        variable="RAVI_LOCAL_PORT",
        help="Port of 127.0.0.1 on which --local publishes the local Ravi.",
        only_on=DOCKER,
        why=_WHY,
    )

    def check(self, service: ServiceOptions) -> None:
        """Raises UsageError as before, and for a port of none."""
        super().check(service)
        self._check_port("--local-port", self.local_port)

    def environ(self, environ: Mapping[str, str]) -> dict[str, str]:
        """The host's variables, with what the flags say instead."""
        chosen = {"RAVI_LOCAL_PORT": str(self.local_port)} if self.local_port else {}
        return {**environ, **chosen}

    def _check_port(self, name: str, port: int | None) -> None:
        if port is None:
            return
        if not self.is_local:
            raise UsageError(f"{name} {port}", "there is no local Ravi", f"--local {name} {port}")
        if port > 65535:
            raise UsageError(f"{name} {port}", "not a port", f"{name} {contract.LOCAL_PORT}")


@dataclass(frozen=True, kw_only=True)
class StartLocalOptions(LocalPortOptions):
    """The same, where the local Ravi is started."""

    local_smtp_port: int | None = flag(
        "--local-smtp-port",
        metavar="PORT",
        minimum=1,
        group=Group.IDENTITIES,
        default_text=str(contract.LOCAL_SMTP_PORT),
        variable="RAVI_LOCAL_SMTP_PORT",
        help="Port of 127.0.0.1 on which --local publishes its SMTP server.",
        only_on=DOCKER,
        why=_WHY,
    )

    def check(self, service: ServiceOptions) -> None:
        super().check(service)
        self._check_port("--local-smtp-port", self.local_smtp_port)

    def environ(self, environ: Mapping[str, str]) -> dict[str, str]:
        chosen = {"RAVI_LOCAL_SMTP_PORT": str(self.local_smtp_port)} if self.local_smtp_port else {}
        return {**super().environ(environ), **chosen}
