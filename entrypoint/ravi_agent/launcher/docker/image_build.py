"""Build the project's images with docker's own command line: only it speaks BuildKit."""

import os
import subprocess
from collections.abc import Iterator, Sequence

from ravi_agent import __version__
from ravi_agent.errors import EngineError
from ravi_agent.launcher.model.request import Connection
from ravi_agent.launcher.planning.image_files import ProjectImage, build_context

# The CA bundle of this host, for builds behind a proxy that opens TLS; it stays out of the images.
_CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
_LABELS = ("--label", f"org.opencontainers.image.version={__version__}")
_LISTED = "{{.Repository}}\t{{.ID}}\t{{.Size}}"


def build_images(
    images: Sequence[ProjectImage], base_image: str | None, connection: Connection
) -> Iterator[str]:
    """Build them in their order; the name of each once it is there.

    base_image: what ravi-agent-base stands on, None for its Dockerfile's choice. Raises
    EngineError where no docker has BuildKit or a build fails, SettingsError where there are no
    files to build from.
    """
    secret = ["--secret", f"id=ca,src={_CA_BUNDLE}"] if os.path.isfile(_CA_BUNDLE) else []
    docker = [_client(), *_engine(connection)]
    with build_context() as directory:
        for image in images:
            arguments = []
            if base_image and image.dockerfile == "Dockerfile":
                arguments = ["--build-arg", f"BASE_IMAGE={base_image}"]
            dockerfile = os.path.join(directory, image.dockerfile)
            line = [
                "build",
                "--tag",
                image.name,
                *_LABELS,
                *arguments,
                *secret,
                "--file",
                dockerfile,
            ]
            if _run([*docker, *line, directory]).returncode:
                raise EngineError(
                    f"image {image.name}",
                    "it does not build; docker says why above",
                    "docker pull python:3.13-slim-bookworm, or name another --base-image",
                )
            yield image.name


def built_images(
    images: Sequence[ProjectImage], connection: Connection
) -> list[tuple[ProjectImage, str, str]]:
    """Each with its ID and size as docker prints them, empty where the engine does not have it.

    Raises EngineError where there is no docker command, or no engine answers it.
    """
    list_images = ["docker", *_engine(connection), "image", "ls", "--format", _LISTED]
    done = _run(list_images, is_read=True)
    if done.returncode:
        raise EngineError("docker image ls", done.stderr.strip(), "docker info")
    found: dict[str, str] = {}
    for line in done.stdout.splitlines():
        name, _, rest = line.partition("\t")
        found.setdefault(name.removeprefix("localhost/"), rest)  # podman's word for no registry
    rows = []
    for image in images:
        identifier, _, size = found.get(image.name, "").partition("\t")
        rows.append((image, identifier, size))
    return rows


def _client() -> str:
    """A docker on PATH that has BuildKit: as a plug-in, or before version 23 built in."""
    found = [os.path.join(one, "docker") for one in os.get_exec_path()]
    for client in [one for one in found if os.access(one, os.X_OK)]:
        if _run([client, "buildx", "version"], is_read=True).returncode == 0:
            return client
        said = _run([client, "version", "--format", "{{.Client.Version}}"], is_read=True).stdout
        if said.partition(".")[0] in {"19", "20", "21", "22"}:
            return client
    raise EngineError(
        "docker", "no docker command with BuildKit is installed", "apt-get install docker-buildx"
    )


def _engine(connection: Connection) -> list[str]:
    """The flags that name the engine to docker."""
    if connection.host:
        return ["--host", connection.host]
    return ["--context", connection.context] if connection.context else []


def _run(line: Sequence[str], *, is_read: bool = False) -> "subprocess.CompletedProcess[str]":
    """Run docker; what it prints goes to the terminal unless it is read."""
    try:
        return subprocess.run(
            line,
            env={**os.environ, "DOCKER_BUILDKIT": "1"},  # clients before 23 have it off
            stdin=subprocess.DEVNULL,
            capture_output=is_read,
            text=True,
            check=False,
        )
    except OSError as exc:
        raise EngineError("docker", f"it cannot be run: {exc.strerror}", "docker version") from exc
