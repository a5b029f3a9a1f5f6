"""Looks into an image by a container of it that runs no agent."""

import base64
import io
import json
import os
import posixpath
import stat
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import docker.errors

from ravi_agent import contract
from ravi_agent.errors import EngineError
from ravi_agent.launcher.docker.calls import SDK_ERRORS, ask, engine_error
from ravi_agent.launcher.docker.container import container_settings
from ravi_agent.launcher.docker.engine import DockerEngine
from ravi_agent.launcher.planning.plan import Plan, Task

# Bits of Go's os.FileMode, which the engine's API gives (https://pkg.go.dev/io/fs#FileMode).
_DIRECTORY, _LINK = 1 << 31, 1 << 27
_LINKS = 16  # that are followed
_READ_LIMIT = 256 * 1024  # bytes of a file, and of what the archive has around it


@dataclass(frozen=True, kw_only=True)
class File:
    """What is at a path of the image, links followed. path: where it really is."""

    path: str
    is_directory: bool
    is_executable: bool


class Probe:
    """A context: the image behind a task's container, with all of that container's settings.

    An engine refuses most of what it refuses when a container is created: too little memory, a
    platform the image is not of, a capability it does not know. It refuses it here, once.
    """

    def __init__(self, engine: DockerEngine, plan: Plan, task: Task) -> None:
        self._api = engine.client.api
        self._engine = engine
        self._plan = plan
        self._task = task
        self._container = ""

    def __enter__(self) -> Self:
        """Raises EngineError where the engine takes no such container."""
        settings = self._settings()
        # The engine would mount them to look for a file.
        settings["host_config"].pop("Binds", None)
        self._container = self._create(settings)
        return self

    def start(self, entrypoint: str) -> None:
        """Start another such container, with the host's directories, for the entrypoint's version.

        Some settings are looked at no sooner: users, devices, limits, options of mounts and logs.
        Raises EngineError where the engine does not start it.
        """
        settings = self._settings() | {"entrypoint": [entrypoint], "command": ["--version"]}
        host = settings["host_config"]
        # The engine would make a directory that is not there.
        host["Binds"] = [one for one in host.get("Binds") or () if _is_there(one)]
        container = self._create(settings)
        try:
            self._ask(lambda: self._api.start(container))
        finally:
            self._engine.remove(container)

    def _settings(self) -> dict[str, Any]:
        """Of the agent's container, whose name, labels and volumes it does not have.

        Volumes would be made, and stay.
        """
        settings = container_settings(self._api, self._plan, self._task, "none")
        host = settings["host_config"]
        host["Mounts"] = [one for one in host.get("Mounts") or () if one["Type"] != "volume"]
        labels = {contract.LABEL_RUN: self._plan.run, contract.LABEL_PROBE: self._task.id}
        return settings | {"name": None, "labels": labels, "environment": {}}

    def _create(self, settings: Mapping[str, Any]) -> str:
        return str(self._ask(lambda: self._api.create_container(**settings))["Id"])

    def _ask(self, call: Callable[[], Any]) -> Any:
        return ask(f"image {self._task.image!r} with these settings", call)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._engine.remove(self._container)

    def find(self, path: str) -> File | None:
        """What is at an absolute path, None where nothing is. Raises EngineError."""
        for _ in range(_LINKS):
            found = self._stat(path)
            if found is None:
                return None
            mode = int(found["mode"])
            if not mode & _LINK:
                executable = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH
                return File(
                    path=path,
                    is_directory=bool(mode & _DIRECTORY),
                    is_executable=bool(mode & executable),
                )
            path = posixpath.join(posixpath.dirname(path), str(found["linkTarget"]))
        return None

    def _stat(self, path: str) -> Mapping[str, Any] | None:
        """The answer of `HEAD /containers/{id}/archive` (Docker Engine API)."""
        what = f"{path} in image {self._task.image!r}"
        url = f"{self._api.base_url}/v{self._api.api_version}/containers/{self._container}/archive"
        try:
            answer = self._api.head(url, params={"path": path}, timeout=self._api.timeout)
        except SDK_ERRORS as exc:
            raise engine_error(exc, what) from exc
        if answer.status_code == 404:
            if self._engine.is_there(self._container):
                return None
            self.__enter__()  # `docker container prune` has taken it
            return self._stat(path)
        try:
            answer.raise_for_status()
            found: Mapping[str, Any] = json.loads(
                base64.b64decode(answer.headers["X-Docker-Container-Path-Stat"])
            )
        except SDK_ERRORS as exc:
            raise engine_error(exc, what) from exc
        except (KeyError, ValueError) as exc:
            raise EngineError(what, "the engine's answer is not understood") from exc
        return found

    def read(self, file: File) -> bytes:
        """The beginning of a regular file, b"" for what is none. Raises EngineError."""
        what = f"{file.path} in image {self._task.image!r}"
        try:
            chunks, _ = self._api.get_archive(self._container, file.path)
            data = b""
            for chunk in chunks:
                data += chunk
                if len(data) > _READ_LIMIT:
                    break
            chunks.close()
            with tarfile.open(fileobj=io.BytesIO(data), mode="r|") as archive:
                member = archive.next()
                content = archive.extractfile(member) if member and member.isreg() else None
                return content.read(_READ_LIMIT // 2) if content else b""
        except docker.errors.NotFound:
            return b""
        except SDK_ERRORS as exc:
            raise engine_error(exc, what) from exc
        except tarfile.TarError as exc:
            raise EngineError(what, "it cannot be read") from exc


def _is_there(volume: str) -> bool:
    source = volume.partition(":")[0]
    return source.startswith("/") and os.path.exists(source)
