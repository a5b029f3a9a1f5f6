"""Which Docker engine is meant, and a client for it: sockets, TCP with TLS, contexts and ssh."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import docker
import docker.errors
import docker.utils

from ravi_agent.errors import EngineError, UsageError
from ravi_agent.launcher.docker.calls import SDK_ERRORS, engine_words, fix_for
from ravi_agent.launcher.docker.context import read_context
from ravi_agent.launcher.docker.socket_api import SocketClient

CALL_TIMEOUT_S = 120  # an engine that starts fifty containers at once takes its time
_REMOTE_SOCKET = "/var/run/docker.sock"


class SshTunnel:
    """A Unix socket here that leads to the engine of another host, through one ssh connection.

    OpenSSH forwards the socket (ssh(1), -L), so that every call and every attached container
    goes through it as through the engine's own. The tunnel ends with this process, however that
    ends: `cat` on the other side reads the pipe that it holds.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if not parts.hostname:
            raise UsageError(f"engine {url!r}", "it names no host", "ssh://user@host")
        self._directory = tempfile.mkdtemp(prefix="ravi-launch-")
        socket = os.path.join(self._directory, "docker.sock")
        host = f"{parts.username}@{parts.hostname}" if parts.username else parts.hostname
        port = ["-p", str(parts.port)] if parts.port else []
        remote = parts.path if parts.path not in {"", "/"} else _REMOTE_SOCKET
        options = ["-T", "-o", "ExitOnForwardFailure=yes", "-L", f"{socket}:{remote}", *port]
        try:
            self._ssh = subprocess.Popen(
                ["ssh", *options, "--", host, "echo up; exec cat"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        except FileNotFoundError as exc:
            raise EngineError(f"engine {url}", "ssh is not here", "install an ssh client") from exc
        self.url = f"unix://{socket}"
        # The forwarding stands before the command runs: its first line says both.
        if not self._ssh.stdout or self._ssh.stdout.readline() != b"up\n":
            self.close()
            raise EngineError(
                f"engine {url}", "ssh did not get there; it says why above", f"ssh {host} docker ps"
            )

    def close(self) -> None:
        """End the connection; what goes through it ends too."""
        for pipe in (self._ssh.stdin, self._ssh.stdout):
            if pipe:
                pipe.close()
        self._ssh.terminate()
        self._ssh.wait()
        shutil.rmtree(self._directory, ignore_errors=True)


def connect(
    environ: Mapping[str, str], *, host: str | None, context: str | None, connections: int
) -> tuple[SocketClient, SshTunnel | None]:
    """A client for the engine that docker's own command line would take, and its tunnel if any.

    host over context over DOCKER_HOST over DOCKER_CONTEXT over the context in use. Raises
    EngineError where it does not answer, UsageError for a context that is not there.
    """
    params = _parameters(environ, host, context)
    url = str(params.get("base_url") or "")
    tunnel = SshTunnel(url) if url.startswith("ssh://") else None
    if tunnel:
        params["base_url"] = tunnel.url
    try:
        client = SocketClient(timeout=CALL_TIMEOUT_S, max_pool_size=connections, **params)
        client.api.ping()
    except (*SDK_ERRORS, OSError) as exc:
        if tunnel:
            tunnel.close()
        raise EngineError(
            "no Docker engine answers" + (f" at {url}" if url else ""),
            engine_words(exc),
            fix_for(exc) or "start Docker, or name one that runs: --host, --context or DOCKER_HOST",
        ) from exc
    return client, tunnel


def _parameters(
    environ: Mapping[str, str], host: str | None, context: str | None
) -> dict[str, Any]:
    named_host = host or (None if context else environ.get("DOCKER_HOST"))
    if named_host:
        try:
            return {**docker.utils.kwargs_from_env({**environ, "DOCKER_HOST": named_host})}
        except docker.errors.TLSParameterError as exc:
            raise EngineError(
                f"engine {named_host}", engine_words(exc), "set DOCKER_CERT_PATH"
            ) from exc
    return read_context(environ, context or environ.get("DOCKER_CONTEXT") or None)
