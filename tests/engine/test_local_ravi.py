"""`--local`: where people and programs on the host find the local Ravi, and what is in its way."""

import json
import smtplib
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import docker
import docker.errors
import httpx
import pytest

from engine.conftest import PREFIX, containers, execute, launch, wait_for_output
from ravi_agent.contract import LOCAL_MANAGEMENT_KEY, LOCAL_NAME, LOCAL_PORT


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


def way_of(client: docker.DockerClient, run: str) -> set[str]:
    """The networks of a run's agents; each has been answered by the local Ravi."""
    networks: set[str] = set()
    for agent in containers(client, run):
        asked = agent.exec_run(["sh", "-lc", "ravi get email"], user="agent").output
        assert isinstance(asked, bytes)
        assert b"@ravi-local.test" in asked
        networks |= set(agent.attrs["NetworkSettings"]["Networks"])
    return networks


def address_of(client: docker.DockerClient, name: str) -> str:
    networks = client.api.inspect_container(name)["NetworkSettings"]["Networks"]
    return str(networks["bridge"]["IPAddress"])


@pytest.fixture
def placeholder(client: docker.DockerClient, run_name: str) -> Iterator[str]:
    """The name of a container that a test may make."""
    yield f"{PREFIX}{run_name}"
    for container in client.containers.list(all=True, filters={"name": f"{PREFIX}{run_name}"}):
        container.remove(force=True)


def test_agents_on_the_default_bridge_keep_their_way_to_it_whatever_restarts(
    environ: dict[str, str], run_name: str, client: docker.DockerClient, placeholder: str
) -> None:
    run = ["--local", "--count", "1"]
    launch(environ, *run, "--name", run_name, "--detach", "--", "sleep", "600")
    assert way_of(client, run_name) == {"bridge"}
    (agent,) = containers(client, run_name)
    mail = "import smtplib; print(smtplib.SMTP('ravi-local', 1025, timeout=10).noop()[0])"
    assert execute(agent, "python3", "-c", mail) == "250"

    before = address_of(client, LOCAL_NAME)
    client.containers.get(LOCAL_NAME).stop(timeout=5)
    client.containers.run(
        "ravi-agent-base", ["600"], entrypoint=["sleep"], name=placeholder, detach=True
    )
    launch(environ, *run, "--name", f"{run_name}-two", "--rm", "--", "true")
    assert address_of(client, LOCAL_NAME) != before, "the placeholder has it"
    assert way_of(client, run_name) == {"bridge"}
    agent.restart(timeout=5)
    assert way_of(client, run_name) == {"bridge"}


def test_behind_a_firewall_of_the_host_s_agents_are_on_its_network(
    environ: dict[str, str], run_name: str, client: docker.DockerClient
) -> None:
    rule = ["INPUT", "-i", "docker0", "-p", "tcp", "--dport", str(LOCAL_PORT), "-j", "REJECT"]
    subprocess.run(["iptables", "-I", *rule], check=True)
    try:
        flags = ["--local", "--count", "1", "--name", run_name, "--detach"]
        launch(environ, *flags, "--", "sleep", "600")
        assert way_of(client, run_name) == {"ravi"}
    finally:
        subprocess.run(["iptables", "-D", *rule], check=True)


def test_nor_does_a_port_that_the_gateway_does_not_have_stop_a_run(
    environ: dict[str, str],
    run_name: str,
    client: docker.DockerClient,
    gateway: str,
    free: list[int],
) -> None:
    flags = ["--local", "--local-port", str(free[0]), "--count", "1", "--name", run_name]
    with socket.create_server((gateway, LOCAL_PORT)):
        launch(environ, *flags, "--detach", "--", "sleep", "600")
    assert way_of(client, run_name) == {"ravi"}


def test_one_that_runs_on_its_network_alone_stays_as_it_is(
    environ: dict[str, str], run_name: str, client: docker.DockerClient
) -> None:
    """As it was made before agents could be on the default bridge; some may be on its network."""
    if not client.networks.list(names=["^ravi$"]):
        client.networks.create("ravi", driver="bridge")
    ports: dict[str, Any] = {"8787/tcp": ("127.0.0.1", 8787), "1025/tcp": ("127.0.0.1", 1025)}
    earlier = client.containers.run(
        "ravi-local", name=LOCAL_NAME, network="ravi", ports=ports, detach=True
    )
    wait_for_output(earlier, "listening on")
    flags = ["--local", "--count", "1", "--name", run_name, "--detach"]
    launch(environ, *flags, "--", "sleep", "600")

    assert client.containers.get(LOCAL_NAME).id == earlier.id
    assert way_of(client, run_name) == {"ravi"}
