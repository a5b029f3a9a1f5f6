"""Docker, through its SDK's low-level calls: one request a step and no look-ups between."""

import contextlib
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import docker
import docker.errors
import requests
from docker.types import LogConfig

from ravi_agent import contract
from ravi_agent.errors import EngineError, UsageError
from ravi_agent.launcher.plan import Plan, Task

CALL_TIMEOUT_S = 120  # an engine that starts fifty containers at once takes its time
# What PID 1 needs to step down from root and to signal the agent after it has; the agent itself
# gets none of it.
CAPABILITIES = ("CHOWN", "KILL", "SETGID", "SETUID")
PIDS_LIMIT = 4096


@dataclass(frozen=True, kw_only=True)
class Existing:
    """A container of a run as the engine has it; `exit_code` None while it runs."""

    id: str
    run: str
    task: str
    index: int
    count: int
    identity_name: str
    created_at: float  # Unix seconds
    state: str
    status: str  # in the engine's words: "Up 3 minutes"
    exit_code: int | None


@dataclass(frozen=True, kw_only=True)
class Attached:
    """A container's output: a non-blocking socket, and what has been read of it already."""

    sock: socket.socket
    early: bytes


class DockerEngine:
    """One Docker engine. Safe to use from several threads.

    Raises EngineError for what the engine does not do, with its own words.
    """

    def __init__(self, *, connections: int) -> None:
        try:
            self.client = docker.DockerClient.from_env(
                timeout=CALL_TIMEOUT_S, max_pool_size=connections
            )
            self._api = self.client.api
            self._api.ping()
        except (docker.errors.DockerException, requests.RequestException, OSError) as exc:
            raise EngineError(
                "no Docker engine answers",
                engine_words(exc),
                "start Docker, or set DOCKER_HOST to one that runs",
            ) from None

    def close(self) -> None:
        self.client.close()

    def check_image(self, image: str) -> None:
        """Make sure the image is here and starts our entrypoint, pulling it if need be.

        Any other program would find the management key on its standard input.
        """
        config = self._image_config(image)
        if config is None:
            self._pull(image)
            config = self._image_config(image) or {}
        entrypoint = config.get("Entrypoint") or [""]
        if entrypoint[0].rpartition("/")[2] != "ravi-entrypoint":
            raise UsageError(
                f"image {image!r}",
                f"its entrypoint is {entrypoint[0] or 'none'!r}, not ravi-entrypoint",
                "build it FROM ravi-agent-base, without an ENTRYPOINT of its own",
            )

    def _image_config(self, image: str) -> dict[str, Any] | None:
        found = self._ask(f"image {image!r}", lambda: self.client.images.get(image), fine=(404,))
        return found.attrs["Config"] if found else None

    def _pull(self, image: str) -> None:
        try:
            self.client.images.pull(image)
        except docker.errors.APIError as exc:
            raise EngineError(
                f"image {image!r} is not here and cannot be pulled",
                engine_words(exc),
                "check the spelling, or build it (`make images` builds ravi-agent-base)",
            ) from None

    def launch(self, plan: Plan, task: Task, handover: bytes) -> tuple[str, Attached]:
        """Create, attach, hand over, start: the container's id and its output.

        Where a step fails, what was created is removed before EngineError is raised.
        """
        container = self._create(plan, task)
        try:
            attached = self._attach(container)
            attached.sock.sendall(handover)  # some hundred bytes: they fit into any buffer
            attached.sock.shutdown(socket.SHUT_WR)
            self._api.start(container)
        except (docker.errors.APIError, requests.RequestException, OSError) as exc:
            with contextlib.suppress(EngineError):
                self.remove(container)
            raise EngineError(
                f"container {plan.container_name(task)} did not start", engine_words(exc)
            ) from None
        return container, attached

    def _create(self, plan: Plan, task: Task) -> str:
        host_config = self._api.create_host_config(
            network_mode=plan.network,
            cap_drop=["ALL"],
            cap_add=list(CAPABILITIES),
            security_opt=["no-new-privileges"],
            pids_limit=PIDS_LIMIT,
            # A fleet that runs for days must not fill the disk with its logs.
            log_config=LogConfig(type="json-file", config={"max-size": "50m", "max-file": "2"}),
        )
        try:
            created = self._api.create_container(
                plan.image,
                command=list(plan.command) if plan.command is not None else None,
                name=plan.container_name(task),
                environment=plan.variables(task),
                labels=plan.labels | plan.labels_of(task),
                stdin_open=True,
                # The launcher hears of a start by itself; a check a container would cost a core.
                healthcheck={"test": ["NONE"]},
                host_config=host_config,
            )
        except (docker.errors.APIError, requests.RequestException) as exc:
            raise EngineError(
                f"container {plan.container_name(task)} cannot be created", engine_words(exc)
            ) from None
        return str(created["Id"])

    def _attach(self, container: str, *, stdin: int = 1, logs: int = 0) -> Attached:
        params = {"stdin": stdin, "stdout": 1, "stderr": 1, "stream": 1, "logs": logs}
        raw = self._api.attach_socket(container, params=params)
        sock: socket.socket = getattr(raw, "_sock", raw)  # `raw` is a SocketIO over it
        duplicate = sock.dup()  # outlives the HTTP response that owns the original
        duplicate.setblocking(False)
        response = raw._response  # noqa: SLF001 - the SDK keeps the connection alive through it
        # What came right behind the headers stands in the response's buffer.
        early = response.raw._fp.fp.peek()  # noqa: SLF001
        response.close()
        return Attached(sock=duplicate, early=early)

    def kill(self, container: str, signal: str) -> None:
        """Send a signal to PID 1; one that has ended or is gone needs none."""
        self._ask(
            f"container {container[:12]} cannot be signalled",
            lambda: self._api.kill(container, signal),
            fine=(404, 409),
        )

    def remove(self, container: str) -> None:
        """Remove a container, running or not; one that is gone needs none."""
        self._ask(
            f"container {container[:12]} stays",
            lambda: self._api.remove_container(container, force=True, v=True),
            fine=(404, 409),
        )

    def containers(self, run: str | None = None) -> list[Existing]:
        """Every agent container of a run, or of all runs, in the order of their tasks."""
        label = contract.LABEL_RUN if run is None else f"{contract.LABEL_RUN}={run}"
        found = self._ask(
            "containers cannot be listed",
            lambda: self._api.containers(all=True, filters={"label": label}),
        )
        existing = [self._existing(summary) for summary in found]
        return sorted(existing, key=lambda one: (one.run, one.index))

    def _existing(self, summary: Mapping[str, Any]) -> Existing:
        labels = summary["Labels"]
        exit_code = None
        if summary["State"] in {"exited", "dead"}:
            # "Exited (137) 2 minutes ago": the list has the code in no other place.
            code = summary["Status"].partition("(")[2].partition(")")[0]
            exit_code = int(code) if code.isdigit() else 255
        return Existing(
            id=summary["Id"],
            run=labels[contract.LABEL_RUN],
            task=labels[contract.LABEL_TASK],
            index=int(labels[contract.LABEL_INDEX]),
            count=int(labels[contract.LABEL_COUNT]),
            identity_name=labels[contract.LABEL_IDENTITY_NAME],
            created_at=float(summary["Created"]),
            state=summary["State"],
            status=summary["Status"],
            exit_code=exit_code,
        )

    def exit_code(self, container: str) -> int | None:
        """The code a container has ended with, None while it runs."""
        state = self._ask(
            f"container {container[:12]}", lambda: self._api.inspect_container(container)
        )["State"]
        return None if state["Running"] else int(state["ExitCode"])

    def attach_running(self, container: str) -> Attached:
        """What a running container has written and will write."""
        attached: Attached = self._ask(
            f"container {container[:12]} cannot be heard",
            lambda: self._attach(container, stdin=0, logs=1),
        )
        return attached

    def ready_line(self, container: str) -> bytes | None:
        """The line by which the container said that its agent was about to start, if it did."""
        log: bytes = self._ask(
            f"container {container[:12]} has no log",
            lambda: self._api.logs(container, stdout=False, stderr=True, tail="all"),
        )
        prefix = contract.READY_PREFIX.encode()
        return next((line for line in log.splitlines() if line.startswith(prefix)), None)

    def logs(self, container: str, *, tail: int | None, since: int | None, follow: bool) -> Any:
        """Chunks of output: a stream of bytes, standard output and error together."""
        return self._ask(
            f"container {container[:12]} has no log",
            lambda: self._api.logs(
                container,
                stream=True,
                follow=follow,
                tail="all" if tail is None else tail,
                since=since,
            ),
        )

    def listen(self, run: str) -> Any:
        """The engine's events of a run's containers, as they come, from now on."""
        filters = {
            "type": "container",
            "label": f"{contract.LABEL_RUN}={run}",
            "event": ["die", "oom"],
        }
        return self._api.events(filters=filters, decode=True)

    def _ask(self, what: str, call: Callable[[], Any], *, fine: tuple[int, ...] = ()) -> Any:
        """What `call` returns; EngineError where the engine says no, but for statuses `fine`."""
        try:
            return call()
        except docker.errors.APIError as exc:
            if exc.status_code not in fine:
                raise EngineError(what, engine_words(exc)) from None
        except requests.RequestException as exc:
            raise EngineError(what, engine_words(exc)) from None
        return None


def engine_words(exc: Exception) -> str:
    """The engine's own reason on one line."""
    text = exc.explanation if isinstance(exc, docker.errors.APIError) else str(exc)
    return " ".join(str(text or type(exc).__name__).split())
