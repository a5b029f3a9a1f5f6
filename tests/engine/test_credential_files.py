"""Files of other forms in a container: made with the identity, kept over a restart, taken back."""

import json
from pathlib import Path

import yaml

from engine.conftest import Ran, Run
from ravi_agent.local.server import LocalRavi

FILES = {"RAVI_CREDENTIAL_FILES": "lalph,WORKFLOW.md:yaml-front-matter"}
WORKFLOW = "---\r\n# mine\r\ntracker: x\r\n---\r\nPrompt\r\n"


def project(tmp_path: Path) -> Path:
    """A directory of the agent's user with a workflow in it."""
    path = tmp_path / "project"
    path.mkdir()
    path.chmod(0o777)
    (path / "WORKFLOW.md").write_bytes(WORKFLOW.encode())
    (path / "WORKFLOW.md").chmod(0o644)
    return path


def test_the_agent_finds_them_and_a_restart_makes_one_again(
    run: Run, service: LocalRavi, tmp_path: Path
) -> None:
    path = project(tmp_path)
    volumes = {str(path): {"bind": "/workspace", "mode": "rw"}}
    ran = run("sh", "-c", "cat .lalph/ravi.json; rm -r .lalph", environment=FILES, volumes=volumes)

    (identity,) = service.store.identities()
    fields = {
        "identity_uuid": identity.uuid,
        "email": identity.email,
        "phone": identity.phone,
        "config_dir": "/workspace/.ravi",
    }
    assert ran.code == 0, ran.stderr
    assert json.loads(ran.stdout) == fields
    merged = (path / "WORKFLOW.md").read_bytes().decode()
    assert merged.startswith("---\r\n# mine\r\ntracker: x\r\nravi:\r\n")
    assert yaml.safe_load(merged.split("---\r\n")[1])["ravi"] == fields
    calls = len(service.requests.entries)

    ran.container.restart()

    assert Ran(ran.container).stdout == 2 * ran.stdout
    assert len(service.requests.entries) == calls


def test_a_container_that_forgets_takes_them_back(run: Run, tmp_path: Path) -> None:
    path = project(tmp_path)
    volumes = {str(path): {"bind": "/workspace", "mode": "rw"}}
    environment = {**FILES, "RAVI_ON_EXIT": "forget"}

    ran = run("sh", "-c", "test -f .lalph/ravi.json", environment=environment, volumes=volumes)

    assert ran.code == 0, ran.stderr
    assert [entry.name for entry in path.iterdir()] == ["WORKFLOW.md"]
    assert (path / "WORKFLOW.md").read_bytes().decode() == WORKFLOW
