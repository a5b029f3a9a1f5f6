"""Docker, through its SDK's low-level calls: one request a step and no look-ups between."""

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import docker.errors

from ravi_agent import contract
from ravi_agent.errors import EngineError
from ravi_agent.launcher.docker.attach import Attached, attach, attach_log
from ravi_agent.launcher.docker.calls import (
    SDK_ERRORS,
    EngineGoneError,
    NameTakenError,
    PrunedError,
    StartUnknownError,
    ask,
    ask_for_stream,
    engine_error,
    engine_words,
)
from ravi_agent.launcher.docker.container import container_settings
from ravi_agent.launcher.docker.host import connect
from ravi_agent.launcher.docker.inspection import KILLED, agent_of, exit_code_of
from ravi_agent.launcher.model.container_status import ContainerStatus
from ravi_agent.launcher.planning.plan import Plan, Task

_BACK_POLL_S = 0.5
_LINE_LIMIT = 64 * 1024  # bytes; a ready line has some hundred
_PRUNED_TIMES, _PRUNED_WAIT_S = 20, 0.1


class DockerEngine:
    """One Docker engine. Safe to use from several threads.

    Raises EngineError for what the engine does not do, with its own words; EngineGoneError where it
    does not answer.
    """

    def __init__(
        self, *, connections: int, host: str | None = None, context: str | None = None
    ) -> None:
        self.client, self._tunnel = connect(
            os.environ, host=host, context=context, connections=connections
        )
        self._api = self.client.api
        self.is_on_this_host = self._api.has_quick_way and self._tunnel is None

    def close(self) -> None:
        self.client.close()
        if self._tunnel:
            self._tunnel.close()

    def version(self) -> str:
        """The engine's version and API version."""
        found = ask("the engine's version", self._api.version)
        return f"Docker {found['Version']}, API {found['ApiVersion']}"

    def launch(
        self, plan: Plan, task: Task, handover: bytes, network: str | None
    ) -> tuple[str, Attached]:
        """Create, attach, hand over, start: the container's id and its output.

        Where the engine refuses a step, what was created is removed before EngineError is raised;
        StartUnknownError where it does not answer.
        """
        is_pruned = False
        for _ in range(_PRUNED_TIMES):
            try:
                container = self._create(plan, task, network)
                return container, self._start(plan, task, container, handover)
            except PrunedError:
                is_pruned = True
            except NameTakenError:
                if not is_pruned:  # else it is on its way out
                    raise
            time.sleep(_PRUNED_WAIT_S)
        raise EngineError(
            f"container {plan.container_name(task)} did not start",
            "somebody removes it each time before it is started",
        )

    def _start(self, plan: Plan, task: Task, container: str, handover: bytes) -> Attached:
        """Raises PrunedError where the container is gone: a prune takes what has not started yet.

        Else as `launch` does.
        """
        what = f"container {plan.container_name(task)} did not start"
        try:
            attached = attach(self._api, container, handover)
            self._api.start(container)
        except docker.errors.APIError as exc:
            if not self.is_there(container):
                raise PrunedError(what, engine_words(exc)) from exc
            self.remove(container)
            raise engine_error(exc, what) from exc
        except (*SDK_ERRORS, OSError) as exc:
            error = engine_error(exc, what)
            if isinstance(error, EngineGoneError):
                raise StartUnknownError(what, error.why, container=container) from exc
            with contextlib.suppress(EngineError):
                self.remove(container)
            raise error from exc
        return attached

    def is_there(self, container: str) -> bool:
        """Whether a container is there, and not about to go."""
        what = f"container {container[:12]}"
        found = ask(what, lambda: self._api.inspect_container(container), fine=(404,)) or {}
        state = found.get("State", {})
        return bool(state) and not state.get("Dead") and state.get("Status") != "removing"

    def _create(self, plan: Plan, task: Task, network: str | None) -> str:
        what = f"container {plan.container_name(task)} cannot be created"
        settings = container_settings(self._api, plan, task, network)
        try:
            created = self._api.create_container(**settings)
        except docker.errors.APIError as exc:
            if exc.status_code == HTTPStatus.CONFLICT:
                raise NameTakenError(what, engine_words(exc)) from exc
            raise engine_error(exc, what) from exc
        except SDK_ERRORS as exc:
            raise engine_error(exc, what) from exc
        return str(created["Id"])

    def kill(self, container: str, signal: str) -> None:
        """Send a signal to PID 1, a paused one too; one that has ended or is gone needs none."""
        try:
            self._api.kill(container, signal)
        except docker.errors.APIError as exc:
            if exc.status_code not in {404, 409, 500}:
                raise EngineError(
                    f"container {container[:12]} cannot be signalled", engine_words(exc)
                ) from exc
            if "paused" in engine_words(exc):
                self.unpause(container)
                self.kill(container, signal)
        except SDK_ERRORS as exc:
            raise engine_error(exc, f"container {container[:12]} cannot be signalled") from exc

    def unpause(self, container: str) -> None:
        """Let a paused container go on; one that is not paused needs none."""
        ask(
            f"container {container[:12]} stays paused",
            lambda: self._api.unpause(container),
            fine=(404, 409, 500),
        )

    def remove(self, container: str) -> None:
        """Remove a container by id or name, running or not; one that is gone needs none."""
        ask(
            f"container {container[:12]} stays",
            lambda: self._api.remove_container(container, force=True, v=True),
            fine=(404, 409),
        )

    def remove_agent(self, plan: Plan, task: Task) -> bool:
        """Remove a task's container by its name, unless it is somebody else's of that name.

        Whether there was one.
        """
        name = plan.container_name(task)
        found = ask(f"container {name}", lambda: self._api.inspect_container(name), fine=(404,))
        own = plan.labels_of(task)
        labels = (found or {}).get("Config", {}).get("Labels") or {}
        is_ours = all(labels.get(key) == own[key] for key in contract.LABELS)
        if is_ours:
            self.remove(str(found["Id"]))
        return is_ours

    def containers(self, run: str | None = None, *, is_all: bool = True) -> list[ContainerStatus]:
        """The agent containers of a run, or of all runs, in the order of their tasks.

        is_all: also those that do not run.
        """
        label = contract.LABEL_INDEX if run is None else f"{contract.LABEL_RUN}={run}"
        found = ask(
            "containers cannot be listed",
            lambda: self._api.containers(all=is_all, filters={"label": label}),
        )
        existing = [one for summary in found if (one := agent_of(summary))]
        return sorted(existing, key=lambda one: (one.run, one.index))

    def probes(self, before: float) -> list[str]:
        """Containers made to look into an image before that time (Unix seconds), still there."""
        found = ask(
            "containers cannot be listed",
            lambda: self._api.containers(all=True, filters={"label": contract.LABEL_PROBE}),
        )
        return [str(one["Id"]) for one in found if one["Created"] < before]

    def exit_code(self, container: str) -> int | None:
        """The code a container has ended with, None while it runs."""
        found = ask(f"container {container[:12]}", lambda: self._api.inspect_container(container))
        return exit_code_of(found["State"])

    def exit_code_if_there(self, container: str) -> int | None:
        """The same, and the code of SIGKILL for a container that is gone: somebody removed it."""
        found = ask(
            f"container {container[:12]}",
            lambda: self._api.inspect_container(container),
            fine=(404,),
        )
        return KILLED if found is None else exit_code_of(found["State"])

    def why_killed(self, container: str) -> str | None:
        """Why SIGKILL ended a container, if the engine knows."""
        found = ask(
            f"container {container[:12]}",
            lambda: self._api.inspect_container(container),
            fine=(404,),
        )
        if found is None or found["State"]["Status"] == "removing":
            return "its container was removed by somebody else"
        return "killed for want of memory" if found["State"]["OOMKilled"] else None

    def attach_running(self, container: str) -> Attached:
        """What a running container will write."""
        attached: Attached = ask(
            f"container {container[:12]} cannot be heard",
            lambda: attach(self._api, container, None),
        )
        return attached

    def open_log(self, container: str, *, is_following: bool) -> Attached:
        """All that a container has written; following, until it ends."""
        attached: Attached = ask(
            f"container {container[:12]} has no log",
            lambda: attach_log(self._api, container, is_following=is_following),
        )
        return attached

    def ready_line(self, container: str, *, within: float = float("inf")) -> bytes | None:
        """The line that says the agent is about to start, if it is in so many bytes of the log."""
        log = self.logs(container, tail=None, since=None, follow=False, stdout=False)
        prefix = contract.READY_PREFIX.encode()
        rest, size = b"", 0
        for chunk in log:
            if size > within:
                return None
            size += len(chunk)
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if line.startswith(prefix):
                    return line
            rest = rest[:_LINE_LIMIT]  # a log may be larger than the memory
        return None

    def logs(
        self,
        container: str,
        *,
        tail: int | None,
        since: float | None,
        follow: bool,
        stdout: bool = True,
    ) -> Iterator[bytes]:
        """What a container has written, or writes, in parts: `Frame`s, but for a terminal's."""
        return ask_for_stream(
            f"container {container[:12]} has no log",
            lambda: self._api.logs(
                container,
                stdout=stdout,
                stream=True,
                follow=follow,
                tail="all" if tail is None else tail,
                since=since,
            ),
        )

    def listen(self) -> Any:
        """The engine's events of containers and volumes, as they come, from now on.

        Of all of them: volumes' events do not have their labels, and podman compares names of
        events that it does not send.
        """
        filters = {"type": ["container", "volume"]}
        return ask(
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
            except (*SDK_ERRORS, OSError):
                continue
            return True
        return False
