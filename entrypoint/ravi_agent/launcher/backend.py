"""The interface between the launcher's commands and an engine, and the engines there are.

An engine is imported when it is chosen: whoever runs on Docker needs no Kubernetes client.
"""

from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from types import ModuleType, TracebackType
from typing import Protocol, Self

from ravi_agent import extras
from ravi_agent.errors import RaviError, UsageError
from ravi_agent.launcher.model.container_status import ContainerStatus
from ravi_agent.launcher.model.findings import Finding, diagnose_account, failure
from ravi_agent.launcher.model.inventory import Inventory, ReapOptions, Removed
from ravi_agent.launcher.model.request import (
    Connection,
    DoctorTarget,
    InjectionOptions,
    LogOptions,
    RunRequest,
)
from ravi_agent.launcher.model.usage import Usage
from ravi_agent.launcher.planning.image_files import ProjectImage

DOCKER, KUBERNETES = "docker", "kubernetes"
# The extras that `pip` installs for each engine, and packages that are missing without them.
_EXTRAS = {DOCKER: "launch", KUBERNETES: "launch,kubernetes"}
_PACKAGES = frozenset({"docker", "kubernetes", "psutil", "requests", "urllib3", "yaml"})


class Backend(Protocol):
    """One engine: it carries out runs and knows those that are there. A context; closed at its end.

    Every method raises UsageError for a run or a task that is not there and EngineError where the
    engine does not answer or refuses.
    """

    def launch(self, request: RunRequest) -> int:
        """Carry out a run; the launcher's exit code.

        Raises RaviError before anything is created where the run cannot succeed.
        """

    def agents(self, run: str | None = None, tasks: Sequence[str] = ()) -> list[ContainerStatus]:
        """The agents of a run, of some of its tasks, or of all runs, in task order."""

    def describe(self, agents: Sequence[ContainerStatus]) -> list[ContainerStatus]:
        """The same agents with their email, restarts and why they ended, as far as is known."""

    def usage(self, agents: Sequence[ContainerStatus]) -> list[Usage]:
        """What those of them use that run; UsageError where the engine does not measure."""

    def logs(self, agents: Sequence[ContainerStatus], options: LogOptions) -> None:
        """Print what agents have written, each line behind its task's name."""

    def wait(self, run: str, tasks: Sequence[str]) -> int:
        """Until the agents have ended: 0 if every one ended with 0, else 1."""

    def stop(self, run: str, agents: Sequence[ContainerStatus], *, grace_s: int) -> None:
        """SIGTERM to all at once, and SIGKILL to what is there after `grace_s` seconds."""

    def remove(self, run: str, tasks: Sequence[str], *, is_forced: bool) -> Removed:
        """Remove agents, and with the last one all else of the run.

        Raises UsageError, with nothing removed, while one still runs and `is_forced` is not set.
        """

    def inventory(self, options: ReapOptions) -> Inventory:
        """What runs have left behind on this engine, and the identities that are in use."""

    def diagnose(self, target: DoctorTarget) -> Iterable[Finding]:
        """What stands in the way of a run on this engine, one finding a thing checked."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


def open_backend(name: str, connection: Connection) -> Backend:
    """Connect to the engine of that name.

    Raises UsageError for an unknown one, or for an option of the other; SettingsError where a
    Python package it needs is not installed; EngineError where it does not answer.
    """
    if name not in _EXTRAS:
        raise UsageError(
            f"--backend {name!r}", f"choose {' or '.join(_EXTRAS)}", f"--backend {DOCKER}"
        )
    backend: Backend = _load(name, "backend").open_backend(connection)
    return backend


def render(request: RunRequest, namespace: str | None) -> str:
    """A run as YAML for `kubectl apply`; no cluster is asked.

    Raises UsageError for a run that no Job can be, SettingsError as `open_backend` does.
    """
    text: str = _load(KUBERNETES, "render").render_request(request, namespace)
    return text


def render_injection(options: InjectionOptions) -> str:
    """The admission policy that gives pods an identity, as YAML; no cluster is asked."""
    text: str = _load(KUBERNETES, "installation").render_injection(options)
    return text


def install_injection(options: InjectionOptions, connection: Connection) -> list[str]:
    """Put that policy into the cluster; the names of what was applied.

    Raises UsageError where the cluster has no such policies, EngineError where it refuses.
    """
    applied: list[str] = _load(KUBERNETES, "installation").install_injection(options, connection)
    return applied


def build_images(
    images: Sequence[ProjectImage], base_image: str | None, connection: Connection
) -> Iterator[str]:
    """Build the project's images on a Docker engine; the name of each once it is there.

    Raises EngineError where one does not build, SettingsError where its files are not installed.
    """
    names: Iterator[str] = _load(DOCKER, "image_build").build_images(images, base_image, connection)
    return names


def built_images(
    images: Sequence[ProjectImage], connection: Connection
) -> list[tuple[ProjectImage, str, str]]:
    """Each image with the ID and size that a Docker engine has of it, or empty words."""
    rows: list[tuple[ProjectImage, str, str]]
    rows = _load(DOCKER, "image_build").built_images(images, connection)
    return rows


def _load(engine: str, module: str) -> ModuleType:
    try:
        return import_module(f"ravi_agent.launcher.{engine}.{module}")
    except ModuleNotFoundError as exc:
        if (exc.name or "").partition(".")[0] not in _PACKAGES:
            raise
        raise extras.missing(f"--backend {engine}", _EXTRAS[engine], str(exc.name)) from exc


def diagnose(name: str, connection: Connection, target: DoctorTarget) -> Iterator[Finding]:
    """All that `doctor` checks: the engine, the run on it, and the account."""
    try:
        with open_backend(name, connection) as backend:
            yield from backend.diagnose(target)
    except RaviError as exc:
        yield failure("engine", exc)
    if not target.is_local:  # the local Ravi is the engine's own
        yield from diagnose_account(target.environ, is_local=False)
