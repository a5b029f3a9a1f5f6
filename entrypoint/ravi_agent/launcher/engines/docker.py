"""Docker, through its SDK's low-level calls: one request a step and no look-ups between."""

import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BufferedReader
from typing import Any

import docker
import docker.errors
import requests
from docker.types import DeviceRequest, LogConfig

from ravi_agent import contract
from ravi_agent.errors import EngineError
from ravi_agent.launcher.engines.docker_host import connect, engine_words
from ravi_agent.launcher.planning.plan import Plan, Task

# What PID 1 needs to step down from root and to signal the agent after it has; the agent itself
# gets none of it.
CAPABILITIES = ("CHOWN", "KILL", "SETGID", "SETUID")
# Writable on a read-only root, as podman's --read-only makes them; the workspace too, unless the
# user mounts one.
_SCRATCH = ("/run", "/tmp", contract.DEFAULT_WORKSPACE)  # noqa: S108 - paths in a container
_RECORD_LABEL = "id.ravi.record"
_BACK_POLL_S = 0.5


class EngineGoneError(EngineError):
    """The engine does not answer any more; what it was asked may or may not have been done."""


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
    """A container's output: a non-blocking socket, and what has been read of it already.

    owner: keeps a TLS socket open as long as it lives.
    """

    sock: socket.socket
    early: bytes
    owner: object = None


class DockerEngine:
    """One Docker engine. Safe to use from several threads.

    Raises EngineError for what the engine does not do, with its own words; EngineGoneError where it
    does not answer.
    """

    def __init__(
        self,
        *,
        connections: int,
        host: str | None = None,
        context: str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.client, self._tunnel = connect(
            os.environ if environ is None else environ,
            host=host,
            context=context,
            connections=connections,
        )
        self._api = self.client.api

    def close(self) -> None:
        self.client.close()
        if self._tunnel:
            self._tunnel.close()

    def launch(
        self, plan: Plan, task: Task, handover: bytes, network: str | None
    ) -> tuple[str, Attached]:
        """Create, attach, hand over, start: the container's id and its output.

        Where a step fails, what was created is removed before EngineError is raised.
        """
        container = self._create(plan, task, network)
        try:
            attached = self._attach(container, handover)
            self._api.start(container)
        except (docker.errors.APIError, requests.RequestException, OSError) as exc:
            with contextlib.suppress(EngineError):
                self.remove(container)
            what = f"container {plan.container_name(task)} did not start"
            raise _kind(exc)(what, engine_words(exc)) from None
        return container, attached

    def _create(self, plan: Plan, task: Task, network: str | None) -> str:
        options = plan.container
        host_config = self._api.create_host_config(
            network_mode=network,
            binds=list(task.volumes),
            cap_drop=["ALL"],
            cap_add=[*CAPABILITIES, *options.cap_add],
            security_opt=list(options.security_opt),
            pids_limit=options.pids_limit,
            nano_cpus=None if options.cpus is None else round(options.cpus * 1e9),
            mem_limit=options.memory,
            shm_size=options.shm_size,
            device_requests=_gpus(options.gpus),
            read_only=options.is_read_only,
            tmpfs=_scratch(task) if options.is_read_only else None,
            # A fleet that runs for days must not fill the disk with its logs.
            log_config=LogConfig(type="json-file", config={"max-size": "50m", "max-file": "2"}),
        )
        created = self._ask(
            f"container {plan.container_name(task)} cannot be created",
            lambda: self._api.create_container(
                task.image,
                command=None if task.command is None else list(task.command),
                name=plan.container_name(task),
                environment=plan.variables(task),
                labels=plan.labels_of(task),
                user=options.user,
                platform=options.platform,
                stdin_open=True,
                # The launcher hears of a start by itself; a check a container would cost a core.
                healthcheck={"test": ["NONE"]},
                host_config=host_config,
            ),
        )
        return str(created["Id"])

    def _attach(self, container: str, handover: bytes | None, *, logs: int = 0) -> Attached:
        params = {
            "stdin": int(handover is not None),
            "stdout": 1,
            "stderr": 1,
            "stream": 1,
            "logs": logs,
        }
        raw = self._api.attach_socket(container, params=params)
        # The SDK gives a SocketIO over a plain socket, and a TLS socket as it is.
        sock: socket.socket = getattr(raw, "_sock", raw)
        response = raw._response  # noqa: SLF001 - the SDK keeps the connection alive through it
        if handover is not None:
            sock.sendall(handover)  # some hundred bytes: they fit into any buffer
        sock.setblocking(False)
        early = _buffered(response.raw._fp.fp)  # noqa: SLF001
        if isinstance(sock, ssl.SSLSocket):  # it can be neither duplicated nor half closed
            return Attached(sock=sock, early=early, owner=response)
        duplicate = sock.dup()  # outlives the HTTP response that owns the original
        if handover is not None:
            duplicate.shutdown(socket.SHUT_WR)
        response.close()
        return Attached(sock=duplicate, early=early)

    def kill(self, container: str, signal: str) -> None:
        """Send a signal to PID 1, a paused one too; one that has ended or is gone needs none."""
        try:
            self._api.kill(container, signal)
        except docker.errors.APIError as exc:
            if exc.status_code not in {404, 409, 500}:
                raise EngineError(
                    f"container {container[:12]} cannot be signalled", engine_words(exc)
                ) from None
            if "paused" in engine_words(exc):
                self.unpause(container)
                self.kill(container, signal)
        except requests.RequestException as exc:
            raise _kind(exc)(
                f"container {container[:12]} cannot be signalled", engine_words(exc)
            ) from None

    def unpause(self, container: str) -> None:
        """Let a paused container go on; one that is not paused needs none."""
        self._ask(
            f"container {container[:12]} stays paused",
            lambda: self._api.unpause(container),
            fine=(404, 409, 500),
        )

    def remove(self, container: str) -> None:
        """Remove a container by id or name, running or not; one that is gone needs none."""
        self._ask(
            f"container {container[:12]} stays",
            lambda: self._api.remove_container(container, force=True, v=True),
            fine=(404, 409),
        )

    def containers(self, run: str | None = None) -> list[Existing]:
        """Every agent container of a run, or of all runs, in the order of their tasks."""
        label = contract.LABEL_INDEX if run is None else f"{contract.LABEL_RUN}={run}"
        found = self._ask(
            "containers cannot be listed",
            lambda: self._api.containers(all=True, filters={"label": label}),
        )
        existing = [_existing(summary) for summary in found]
        return sorted(existing, key=lambda one: (one.run, one.index))

    def exit_code(self, container: str) -> int | None:
        """The code a container has ended with, None while it runs."""
        state = self._ask(
            f"container {container[:12]}", lambda: self._api.inspect_container(container)
        )["State"]
        return None if state["Running"] else int(state["ExitCode"])

    def why_killed(self, container: str) -> str | None:
        """Why SIGKILL ended a container, if the engine knows."""
        found = self._ask(
            f"container {container[:12]}",
            lambda: self._api.inspect_container(container),
            fine=(404,),
        )
        if found is None or found["State"]["Status"] == "removing":
            return "its container was removed by somebody else"
        return "killed for want of memory" if found["State"]["OOMKilled"] else None

    def attach_running(self, container: str, *, has_past: bool) -> Attached:
        """What a running container will write, behind all that it has written or without that."""
        attached: Attached = self._ask(
            f"container {container[:12]} cannot be heard",
            lambda: self._attach(container, None, logs=int(has_past)),
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
            "event": ["die", "oom", "pause", "unpause"],
        }
        return self._ask(
            "the engine's events cannot be heard",
            lambda: self._api.events(filters=filters, decode=True),
        )

    def wait_until_back(self, is_over: threading.Event, timeout_s: float) -> bool:
        """Until an engine that went away answers again; False once it took too long, or is over."""
        for _ in range(int(timeout_s / _BACK_POLL_S)):
            if is_over.wait(_BACK_POLL_S):
                return False
            try:
                self._api.ping()
            except (docker.errors.DockerException, requests.RequestException, OSError):
                continue
            return True
        return False

    def save_record(self, run: str, record: str) -> None:
        """Keep a run's record with the engine: the labels of an empty volume have room for it."""
        name = _record_name(run)
        self._ask(f"run {run}", lambda: self._api.remove_volume(name), fine=(404,))
        labels = {contract.LABEL_RUN: run, _RECORD_LABEL: record}
        self._ask(f"run {run}", lambda: self._api.create_volume(name, labels=labels))

    def load_record(self, run: str) -> str | None:
        """The record that was kept for a run, None if there is none."""
        found = self._ask(
            f"run {run}", lambda: self._api.inspect_volume(_record_name(run)), fine=(404,)
        )
        record: str | None = found and (found["Labels"] or {}).get(_RECORD_LABEL)
        return record

    def forget(self, run: str) -> None:
        """Remove what a run has beside its containers: its record and its networks."""
        self._ask(f"run {run}", lambda: self._api.remove_volume(_record_name(run)), fine=(404, 409))
        filters = {"label": f"{contract.LABEL_RUN}={run}"}
        networks = self._ask(f"run {run}", lambda: self._api.networks(filters=filters))
        for network in networks:
            self._disconnect_all(network["Id"])
            self._ask(
                f"network {network['Name']}",
                lambda: self._api.remove_network(network["Id"]),  # noqa: B023 - called at once
                fine=(404,),
            )

    def _disconnect_all(self, network: str) -> None:
        """The local Ravi is on the agents' networks and outlives them."""
        found = self._ask("network", lambda: self._api.inspect_network(network), fine=(404,))
        for container in (found or {}).get("Containers") or {}:
            self._ask(
                f"network {network[:12]}",
                lambda: self._api.disconnect_container_from_network(container, network),  # noqa: B023
                fine=(404, 409, 500),
            )

    def _ask(self, what: str, call: Callable[[], Any], *, fine: tuple[int, ...] = ()) -> Any:
        """What `call` returns; EngineError where the engine says no, but for statuses `fine`."""
        try:
            return call()
        except docker.errors.APIError as exc:
            if exc.status_code not in fine:
                raise EngineError(what, engine_words(exc)) from None
        except requests.RequestException as exc:
            raise _kind(exc)(what, engine_words(exc)) from None
        return None


def _kind(exc: Exception) -> type[EngineError]:
    return EngineGoneError if isinstance(exc, requests.ConnectionError) else EngineError


def _buffered(reader: BufferedReader) -> bytes:
    """What came right behind the headers; the socket under the reader does not block."""
    try:
        return reader.peek()
    except ssl.SSLWantReadError:
        return b""


def _record_name(run: str) -> str:
    return f"ravi-run-{run}"


def _gpus(gpus: str | None) -> list[DeviceRequest] | None:
    """docker's `--gpus` as the API takes it; -1 is all (Docker Engine API, DeviceRequest)."""
    if gpus is None:
        return None
    if gpus.startswith("device="):
        ids = gpus.removeprefix("device=").split(",")
        return [DeviceRequest(device_ids=ids, capabilities=[["gpu"]])]
    return [DeviceRequest(count=-1 if gpus == "all" else int(gpus), capabilities=[["gpu"]])]


def _scratch(task: Task) -> dict[str, str]:
    mounted = {volume.split(":")[1] for volume in task.volumes}
    return {path: "mode=1777" for path in _SCRATCH if path not in mounted}


def _existing(summary: Mapping[str, Any]) -> Existing:
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
