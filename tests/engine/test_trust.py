"""The agent attacks whatever holds the account's key, in the built image.

Each test plays the agent: it rewrites what it owns, and root then does what an operator does.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from docker.models.containers import Container

from conftest import MANAGEMENT_KEY
from engine.conftest import Ran, Run, Start, execute, launch, wait_for_output
from ravi_agent.identity import Identity
from ravi_agent.local.server import LocalRavi
from ravi_agent.service.keys import is_key_accepted

pytestmark = pytest.mark.engine

# Answers every request, and writes down what came in its Authorization header.
LISTENER = """
import http.server
class Taker(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print("TOOK", self.headers.get("Authorization"), flush=True)
        self.send_response(200); self.end_headers(); self.wfile.write(b"[]")
    do_POST = do_DELETE = do_GET
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", 8000), Taker)
print("up", flush=True)
server.serve_forever()
"""
FORGE = """
import json, pathlib
for file in ("env", "identity.json"):
    path = pathlib.Path("/workspace/.ravi", file)
    text = path.read_text()
    if file == "env":
        lines = [l for l in text.splitlines() if not l.startswith("RAVI_API_URL=")]
        path.write_text("\\n".join(lines) + "\\nRAVI_API_URL='http://127.0.0.1:8000'\\n")
    else:
        path.write_text(json.dumps({**json.loads(text), "api_url": "http://127.0.0.1:8000"}))
"""


@pytest.fixture
def container(start: Start) -> Container:
    """A container whose agent listens, and has put itself in the service's place in its files."""
    started = start("python3", "-c", f"{FORGE}\n{LISTENER}")
    wait_for_output(started, "up")
    return started


@pytest.mark.parametrize(
    "command",
    [
        "ravi identity list",
        "RAVI_CONFIG_DIR=/workspace/.ravi ravi identity list",
        "ravi-entrypoint --check",
        "ravi-init",
        "ravi-release --delete",
    ],
)
def test_the_account_s_key_does_not_go_where_the_agent_says(
    container: Container, command: str
) -> None:
    for shell in ("-lc", "-c"):
        container.exec_run(["sh", shell, f"cd /workspace; {command}"], user="root")

    assert b"TOOK" not in container.logs(stdout=True, stderr=False)


def test_root_s_login_shell_gets_what_pid_1_knew(container: Container, service: LocalRavi) -> None:
    answer = execute(container, "sh", "-lc", "echo $RAVI_API_URL $RAVI_EMAIL ${RAVI_API_KEY-none}")

    assert answer == f"{service.url} {service.store.identities()[0].email} none"


@pytest.mark.parametrize(
    "put", ["mkfifo env", "ln -s /dev/zero env", "ln -s /proc/1/environ env", "mkdir env"]
)
def test_nothing_in_place_of_the_agent_s_file_holds_root_s_login_shell(
    start: Start, put: str
) -> None:
    started = start("sh", "-c", f"cd .ravi && rm env && {put} && echo up; exec sleep 600")
    wait_for_output(started, "up")

    answer = execute(started, "timeout", "10", "sh", "-lc", "echo through")

    assert answer == "through"


# Passes for the entrypoint of ravi-agent-base to whoever looks for its name, or into it.
THIEF = """#!/bin/sh
# from ravi_agent.container.boot import main
read -r line
echo "TOOK $line"
"""


@pytest.fixture
def thief(client: docker.DockerClient, tmp_path: Path) -> Iterator[str]:
    """An image that keeps what comes on its standard input."""
    (tmp_path / "image").mkdir()
    (tmp_path / "image/ravi-entrypoint").write_text(THIEF)
    (tmp_path / "image/ravi-entrypoint").chmod(0o755)
    (tmp_path / "image/Dockerfile").write_text(
        "FROM ravi-agent-base\nCOPY ravi-entrypoint /usr/bin/ravi-entrypoint\n"
        'ENTRYPOINT ["/usr/bin/ravi-entrypoint"]\n'
    )
    tag = f"ravi-agent-test-thief-{os.getpid()}"
    client.images.build(path=str(tmp_path / "image"), tag=tag, rm=True)
    yield tag
    client.images.remove(tag, force=True)


def test_an_image_is_given_its_identity_and_not_the_account_s_key_unless_that_is_asked_for(
    environ: dict[str, str], run_name: str, thief: str
) -> None:
    arguments = ["--count=1", "--name", run_name, "--image", thief, "--rm"]
    command = ["--", "true"]

    by_default = launch(environ, *arguments, *command)
    assert '0000 | TOOK {"identity": ' in by_default.stdout
    assert MANAGEMENT_KEY not in by_default.stdout

    asked_for = launch(environ, *arguments, "--provision=container", *command)
    assert f'0000 | TOOK {{"management_key": "{MANAGEMENT_KEY}"' in asked_for.stdout
    warning = f"--provision container gives the account's management key to {thief}"
    assert warning in asked_for.stderr
    assert warning not in by_default.stderr


@pytest.mark.parametrize("way", ["rm", "--rm", "rm, with no key on the host"])
@pytest.mark.parametrize("provision", ["host", "container"])
def test_the_keys_of_a_run_end_with_its_containers(
    environ: dict[str, str], run_name: str, service: LocalRavi, way: str, provision: str
) -> None:
    arguments = ["--count=2", "--name", run_name, *(["--rm"] if way == "--rm" else [])]
    arguments += ["--provision", provision]
    ran = launch(environ, *arguments, "--", "sh", "-c", "echo $RAVI_API_KEY")
    keys = [line.split(" | ")[1] for line in ran.stdout.splitlines() if " | ravi_id_" in line]
    assert len(keys) == 2
    said = ran.stderr
    if way != "--rm":
        given = dict(environ)
        if way != "rm":
            del given["RAVI_MANAGEMENT_KEY_FILE"]
        said = launch(given, "rm", run_name).stderr

    are_good = [
        is_key_accepted(
            service.url,
            Identity(uuid=one.uuid, name="", email="", phone=None, created_at="", key=key),
            timeout_s=30,
        )
        for key in keys
        for one in service.store.identities()
    ]
    assert any(are_good) == (way == "rm, with no key on the host")
    assert ("stay: this host has no key for" in said) == any(are_good)
    done = json.loads(launch(environ, "audit", "--filter", f"run={run_name}", "-ojson").stdout)
    expected = {"create": 2, "key": 2, **({} if any(are_good) else {"revoke": 2})}
    assert Counter(one["action"] for one in done) == expected


def test_a_forged_uuid_is_not_deleted_at_the_exit(run: Run, service: LocalRavi) -> None:
    victim = service.store.create(name="task-victim", email=None, with_phone=False)
    forge = (
        "import json, pathlib; p = pathlib.Path('.ravi/identity.json');"
        f"p.write_text(json.dumps({{**json.loads(p.read_text()), 'uuid': '{victim.uuid}'}}))"
    )

    ran = run("python3", "-c", forge, environment={"RAVI_ON_EXIT": "delete"})

    assert ran.code == 0
    assert [one.uuid for one in service.store.identities()] == [victim.uuid]


def test_a_forged_workspace_deletes_nobody_else_after_a_restart(
    start: Start, service: LocalRavi
) -> None:
    """The second start finds what the first one's agent has left in its workspace."""
    victim = service.store.create(name="task-victim", email=None, with_phone=False)
    forge = (
        "import json, pathlib; p = pathlib.Path('.ravi/identity.json');"
        f"r = {{**json.loads(p.read_text()), 'uuid': '{victim.uuid}', 'name': 'task-victim'}};"
        "p.write_text(json.dumps(r)); import os, time; print('up', flush=True); time.sleep(600)"
    )
    container = start("python3", "-c", forge, environment={"RAVI_ON_EXIT": "delete"})
    wait_for_output(container, "up")
    container.kill("SIGKILL")
    container.wait(timeout=60)
    container.start()
    container.wait(timeout=60)

    assert victim.uuid in {one.uuid for one in service.store.identities()}
    assert "only the workspace says" in Ran(container).stderr


@pytest.mark.parametrize("owner", ["root", "4711", "1000:1000"])
def test_an_identity_that_came_with_the_image_is_refused(
    client: docker.DockerClient, start: Start, service: LocalRavi, tmp_path: Path, owner: str
) -> None:
    """`COPY . /workspace` of a directory that somebody has provisioned, without its `.git`."""
    folder = tmp_path / "context/.ravi"
    folder.mkdir(parents=True)
    planted = {"uuid": "u", "name": "planted", "email": "e@x.y", "phone": None, "created_at": ""}
    (folder / "identity.json").write_text(json.dumps({**planted, "api_url": service.url}))
    (folder / "config.json").write_text(json.dumps({"identity_uuid": "u"}))
    (folder / "env").write_text("")
    for path in (folder, *folder.iterdir()):
        path.chmod(0o755)
    (tmp_path / "context/Dockerfile").write_text(
        f"FROM ravi-agent-base\nCOPY --chown={owner} .ravi /workspace/.ravi\n"
    )
    tag = f"ravi-agent-test-planted-{os.getpid()}"
    client.images.build(path=str(tmp_path / "context"), tag=tag, rm=True)
    try:
        ran = Ran(start("ravi-whoami", image=tag))
    finally:
        client.images.remove(tag, force=True)

    assert ran.code == 73
    why = "it came with the image" if owner == "1000:1000" else "belongs to uid"
    assert why in ran.stderr
    assert ".dockerignore" in ran.stderr
