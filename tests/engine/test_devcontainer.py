"""The example of images/devcontainer, with the dev containers' own command line."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from conftest import MANAGEMENT_KEY
from ravi_agent.local.server import LocalRavi

EXAMPLE = Path(__file__).parents[2] / "images/devcontainer"
DEVCONTAINER = Path(sys.prefix) / "devcontainer/node_modules/.bin/devcontainer"

Devcontainer = Callable[..., str]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Somebody's project with the example in it."""
    path = tmp_path / "project"
    shutil.copytree(EXAMPLE, path / ".devcontainer")
    (path / "file").write_text("text\n")
    return path


@pytest.fixture
def devcontainer(
    client: docker.DockerClient, environ: dict[str, str], project: Path, key_file: Path
) -> Iterator[Devcontainer]:
    assert DEVCONTAINER.exists(), "no dev containers' command line here: scripts/tools"
    key_file.chmod(0)  # only root reads it

    def devcontainer(verb: str, *arguments: str) -> str:
        return subprocess.run(
            [DEVCONTAINER, verb, "--workspace-folder", project, *arguments],
            env=environ,
            stdout=subprocess.PIPE,
            text=True,
            timeout=110,
            check=True,
        ).stdout

    yield devcontainer
    label = f"devcontainer.local_folder={project}"
    for container in client.containers.list(all=True, filters={"label": label}):
        image = container.attrs["Config"]["Image"]
        container.remove(force=True, v=True)
        client.images.remove(image, force=True)


@pytest.mark.timeout(300)
def test_a_dev_container_has_an_identity_and_keeps_it_when_it_is_built_anew(
    devcontainer: Devcontainer, service: LocalRavi
) -> None:
    up = ("up", "--buildkit", "never")
    devcontainer(*up)
    said = devcontainer("exec", "sh", "-c", "ravi-whoami; id -un; echo $RAVI_EMAIL; env")

    (identity,) = service.store.identities()
    whoami, user, email, *environment = said.splitlines()
    assert (json.loads(whoami)["uuid"], user, email) == (identity.uuid, "agent", identity.email)
    assert MANAGEMENT_KEY not in str(environment)
    calls = len(service.requests.entries)

    devcontainer(*up, "--remove-existing-container")

    assert json.loads(devcontainer("exec", "ravi-whoami"))["uuid"] == identity.uuid
    assert len(service.requests.entries) == calls


@pytest.mark.parametrize("path", [None, "/nonexistent"], ids=["unset", "no file"])
def test_a_key_that_is_not_given_is_a_sentence_and_not_an_empty_mount(
    environ: dict[str, str], project: Path, path: str | None
) -> None:
    assert DEVCONTAINER.exists(), "no dev containers' command line here: scripts/tools"
    given = {name: value for name, value in environ.items() if name != "RAVI_MANAGEMENT_KEY_FILE"}
    if path:
        given["RAVI_MANAGEMENT_KEY_FILE"] = path

    done = subprocess.run(
        [DEVCONTAINER, "up", "--buildkit", "never", "--workspace-folder", project],
        env=given,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )

    assert done.returncode == 1
    said = "error: no management key: RAVI_MANAGEMENT_KEY_FILE names no file on this host\n  fix: "
    assert said in done.stderr
    assert "source=," not in done.stderr
