"""`--local`: where people and programs on the host find the local Ravi, and what is in its way."""

import json
import smtplib
import socket
from collections.abc import Iterator

import docker
import docker.errors
import httpx
import pytest

from engine.conftest import launch
from ravi_agent.contract import LOCAL_MANAGEMENT_KEY, LOCAL_NAME


@pytest.fixture(autouse=True)
def _no_local_ravi(client: docker.DockerClient) -> Iterator[None]:
    """None is there at the start; somebody's own is put aside, and is there again at the end."""
    aside = f"{LOCAL_NAME}-aside"
    try:
        theirs = client.containers.get(LOCAL_NAME)
    except docker.errors.NotFound:
        theirs = None
    was_running = theirs is not None and theirs.status == "running"
    if theirs:
        theirs.stop(timeout=5)
        theirs.rename(aside)
    yield
    for container in client.containers.list(all=True, filters={"name": f"^/{LOCAL_NAME}$"}):
        container.remove(force=True)
    if theirs:
        theirs.rename(LOCAL_NAME)
        if was_running:
            theirs.start()


@pytest.fixture
def free() -> list[int]:
    """Ports that nothing uses; the last is the first plus one."""
    for _ in range(50):
        with (
            socket.create_server(("127.0.0.1", 0)) as first,
            socket.create_server(("127.0.0.1", 0)) as other,
        ):
            ports = [first.getsockname()[1], other.getsockname()[1]]
            try:
                with socket.create_server(("127.0.0.1", ports[0] + 1)):
                    return [*ports, ports[0] + 1]
            except OSError:
                continue
    raise AssertionError("no two ports in a row are free")


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    del environ["RAVI_MANAGEMENT_KEY_FILE"]
    return environ


def test_its_page_and_its_smtp_server_are_on_loopback_where_the_run_says(
    environ: dict[str, str], run_name: str, free: list[int]
) -> None:
    line = ["--local", "--count", "1", "--name", run_name, "-o", "json", "--rm"]
    ports = ["--local-port", str(free[0]), "--local-smtp-port", str(free[1])]
    done = launch(environ, *line, *ports, "--", "true")
    (agent,) = json.loads(done.stdout)["agents"]
    identity = agent["identity"]

    said = f"local Ravi: page http://127.0.0.1:{free[0]}/, mail by SMTP to 127.0.0.1:{free[1]}"
    assert said in done.stderr
    with smtplib.SMTP("127.0.0.1", free[1], timeout=30) as smtp:
        smtp.sendmail("a@b.example", [identity["email"]], "Subject: From the host\n\nx")
    page = httpx.get(f"http://127.0.0.1:{free[0]}/", params={"identity": identity["uuid"]})
    assert "From the host" in page.text
    assert said in launch(environ, *line, "--", "true").stderr, "the one that is there is used"

    other = launch(environ, *line, "--local-port", str(free[2]), "--", "true", code=64)
    assert f"--local-port {free[2]}: the local Ravi is there already" in other.stderr
    assert f"fix: docker rm -f {LOCAL_NAME}" in other.stderr
    reaped = launch(
        {**environ, "RAVI_LOCAL_PORT": str(free[0])},
        *("reap", "--local", "--all", "--prefix", f"task-{run_name}", "--older-than", "0s"),
        "--force",
    )
    assert identity["uuid"] in reaped.stdout
    headers = {"Authorization": f"Bearer {LOCAL_MANAGEMENT_KEY}"}
    left = httpx.get(f"http://127.0.0.1:{free[0]}/api/identities/", headers=headers).json()
    assert identity["uuid"] not in [one["uuid"] for one in left]


@pytest.mark.parametrize("flag", ["--local-port", "--local-smtp-port"])
def test_a_port_that_is_taken_is_named_and_the_fix_is_one(
    environ: dict[str, str], run_name: str, free: list[int], flag: str
) -> None:
    ports = {"--local-port": free[1], "--local-smtp-port": free[1] - 1, flag: free[0]}
    line = ["--local", "--count", "1", "--name", run_name, "--rm"]

    def run(code: int) -> str:
        words = [word for name, port in ports.items() for word in (name, str(port))]
        return launch(environ, *line, *words, "--", "true", code=code).stderr

    with socket.create_server(("127.0.0.1", free[0])):
        refused = run(69)
        assert f"the local Ravi cannot have port {free[0]} of 127.0.0.1" in refused
        assert f"fix: choose another: {flag} {free[2]}" in refused
        ports[flag] = free[2]
        assert f":{free[2]}" in run(0)
