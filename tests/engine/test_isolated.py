"""--isolated: agents of one run reach their service, and not each other."""

import json
import subprocess

import docker
import pytest

from engine.conftest import LAUNCH, containers, launch
from ravi_agent.local.server import LocalRavi

pytestmark = pytest.mark.engine


def tries(client: docker.DockerClient, run: str) -> str:
    """What the second agent of a run gets of the first, by address and by name."""
    first, second = sorted(containers(client, run), key=lambda one: str(one.name))
    (network,) = client.api.inspect_container(str(first.id))["NetworkSettings"]["Networks"].values()
    script = (
        "import socket\n"
        f"for host in ({network['IPAddress']!r}, {first.name!r}):\n"
        "    try: socket.create_connection((host, 7000), 3).close(); print('reached')\n"
        "    except OSError: print('not reached')\n"
    )
    output = second.exec_run(["python3", "-c", script]).output
    assert isinstance(output, bytes)
    return output.decode()


SERVE = [
    "python3",
    "-c",
    (
        "import socket\ns = socket.create_server(('', 7000))\nprint('up', flush=True)\n"
        "while True: s.accept()"
    ),
]


@pytest.mark.parametrize("isolated", [True, False], ids=["isolated", "by default"])
def test_agents_reach_each_other_unless_they_are_isolated(
    environ: dict[str, str],
    run_name: str,
    client: docker.DockerClient,
    service: LocalRavi,
    isolated: bool,
) -> None:
    flags = ["--count=2", "--name", run_name, "--detach", *(["--isolated"] if isolated else [])]
    launch(environ, *flags, "--", *SERVE)

    tried = tries(client, run_name).split("\n")
    assert tried[0] == ("not reached" if isolated else "reached")
    assert tried[1] == "not reached" or not isolated
    for one in containers(client, run_name):
        output = one.exec_run(["sh", "-lc", "ravi get email"], user="agent").output
        assert b"@" in output  # the service is reached all the same
    launch(environ, "rm", "--force", run_name)
    assert client.networks.list(filters={"label": f"id.ravi.run={run_name}"}) == []
    assert len(service.store.identities()) == 2


def test_isolated_agents_reach_the_local_ravi_and_not_each_other(
    environ: dict[str, str], run_name: str, client: docker.DockerClient
) -> None:
    del environ["RAVI_API_URL"], environ["RAVI_MANAGEMENT_KEY_FILE"]
    flags = ["--count=2", "--name", run_name, "--local", "--isolated", "--detach"]
    subprocess.run([LAUNCH, *flags, "--", *SERVE], env=environ, check=True, capture_output=True)

    assert tries(client, run_name).split() == ["not", "reached", "not", "reached"]
    for one in containers(client, run_name):
        answer = one.exec_run(["sh", "-lc", "ravi get email"], user="agent").output
        assert isinstance(answer, bytes)
        assert "@" in json.loads(answer)["email"]
    launch(environ, "rm", "--force", run_name)
    assert client.networks.list(filters={"label": f"id.ravi.run={run_name}"}) == []


def test_a_network_of_somebody_s_is_not_isolated_afterwards(
    environ: dict[str, str], run_name: str
) -> None:
    flags = ["--count=2", "--name", run_name, "--isolated", "--network", "bridge"]
    done = launch(environ, *flags, "--", "true", code=64)

    assert "--isolated and --network" in done.stderr
