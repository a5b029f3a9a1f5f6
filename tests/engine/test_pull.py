"""`--pull`: images that are not here, from a registry on loopback, which engines trust."""

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from engine.conftest import launch
from engine.registry import Registry


@pytest.fixture
def registry(client: docker.DockerClient) -> Iterator[Registry]:
    """A registry that has `ravi-agent-base`; what was pulled from it is gone afterwards."""
    with Registry(b"".join(client.images.get("ravi-agent-base").save())) as registry:
        yield registry
        for image in client.images.list():
            for tag in image.tags:
                if tag.startswith(registry.host):
                    client.images.remove(tag)


def test_an_image_that_is_missing_is_pulled_with_its_progress(
    environ: dict[str, str], run_name: str, registry: Registry, client: docker.DockerClient
) -> None:
    image = f"{registry.host}/agents/base:1"
    flags = ["--count", "1", "--name", run_name, "--image", image, "--rm"]

    planned = launch(environ, *flags, "--dry-run")
    assert f"image '{image}' is not here: it would be pulled" in planned.stderr
    assert registry.asked == []
    never = launch(environ, *flags, "--pull", "never", "--", "true", code=69)
    assert f"image '{image}' is not here: --pull never" in never.stderr
    assert registry.asked == []

    done = launch(environ, *flags, "--", "true")
    layers = len(client.images.get(image).attrs["RootFS"]["Layers"])
    assert f"pulling {image}: {layers} of {layers} layers" in done.stderr

    asked = len(registry.asked)
    launch(environ, *flags, "--", "true")
    assert len(registry.asked) == asked
    launch(environ, *flags, "--pull", "always", "--", "true")
    assert len(registry.asked) > asked


def test_an_image_that_nobody_has_is_said_before_anything_starts(
    environ: dict[str, str], run_name: str, registry: Registry
) -> None:
    image = f"{registry.host}/agents/base:missing"
    flags = ["--count", "1", "--name", run_name, "--image", image]

    done = launch(environ, *flags, "--", "true", code=69)

    assert f"image '{image}' is not here and cannot be pulled: manifest" in done.stderr


def test_an_image_is_pulled_where_the_helper_for_credentials_is_missing(
    environ: dict[str, str], run_name: str, registry: Registry, tmp_path: Path
) -> None:
    """As `docker pull` does: most images need no account."""
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker" / "config.json").write_text('{"credsStore": "nowhere"}')
    environ["DOCKER_CONFIG"] = str(tmp_path / "docker")
    image = f"{registry.host}/agents/base:1"

    flags = ["--count", "1", "--name", run_name, "--image", image, "--rm"]
    done = launch(environ, *flags, "--", "true")

    assert "pulling without an account" in done.stderr
    assert "docker-credential-nowhere" in done.stderr
