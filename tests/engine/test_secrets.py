"""The management key is planted, and looked for wherever a container shows something."""

import io
import json
import re
import tarfile

import docker
import pytest
from docker.models.containers import Container

from conftest import MANAGEMENT_KEY
from engine.conftest import Start, execute, wait_for_output
from ravi_agent.local.faults import Fault
from ravi_agent.local.server import LocalRavi

PLANTED = MANAGEMENT_KEY.encode()

# What an agent, or whoever gets into its container, can read of every process.
SNOOP = r"""
import os, pathlib
for process in pathlib.Path('/proc').glob('[0-9]*'):
    for name in ('environ', 'cmdline'):
        try:
            print(process.name, name, (process / name).read_bytes())
        except OSError as exc:
            print(process.name, name, exc.strerror)
print(os.environ)
print('up', flush=True)
os.execvp('sleep', ['sleep', '600'])
"""


def files_of(client: docker.DockerClient, container: Container) -> dict[str, bytes]:
    """Every regular file of a container's own file system."""
    archive = io.BytesIO(b"".join(client.api.export(str(container.id))))
    with tarfile.open(fileobj=archive) as tar:
        return {
            member.name: file.read()
            for member in tar
            if member.isfile() and (file := tar.extractfile(member))
        }


@pytest.mark.parametrize("source", ["file", "variable"])
def test_the_management_key_shows_up_nowhere(
    client: docker.DockerClient, start: Start, source: str
) -> None:
    by_variable = {"environment": {"RAVI_MANAGEMENT_KEY": MANAGEMENT_KEY}, "with_key": False}
    options = {"environment": {"RAVI_LOG_LEVEL": "debug"}} if source == "file" else by_variable
    container = start("python3", "-c", SNOOP, **options)
    seen_by_agent = wait_for_output(container, "\nup\n").encode()

    seen_by_root = execute(container, "sh", "-c", "cat /proc/1/environ /proc/1/cmdline")
    inspected = json.dumps(client.api.inspect_container(str(container.id))).encode()
    files = files_of(client, container)

    assert PLANTED not in seen_by_agent
    assert "RAVI_CONFIG_DIR" in seen_by_root
    assert MANAGEMENT_KEY not in seen_by_root
    assert [name for name, content in files.items() if PLANTED in content] == []
    assert ".ravi/config.json" in " ".join(files)
    if source == "file":
        assert PLANTED not in inspected
    else:  # what `-e` gives to the engine the engine shows: the README says so
        assert PLANTED in inspected


def test_the_memory_of_pid_1_holds_no_key(start: Start) -> None:
    """Root in the container reads all of PID 1's memory: execve has thrown the key away."""
    container = start("sh", "-c", "echo up; exec sleep 600")
    wait_for_output(container, "up")
    search = (
        "import re, sys\n"
        "needle = sys.argv[1][::-1].encode()\n"  # reversed: this process is not to find itself
        "found = 0; read = 0\n"
        "with open('/proc/1/mem', 'rb') as memory:\n"
        "    for line in open('/proc/1/maps'):\n"
        "        match = re.match(r'([0-9a-f]+)-([0-9a-f]+) r', line)\n"
        "        if match and '[v' not in line:\n"
        "            start, end = (int(part, 16) for part in match.groups())\n"
        "            memory.seek(start)\n"
        "            content = memory.read(end - start)\n"
        "            read += len(content); found += content.count(needle)\n"
        "print(found, read > 1_000_000)\n"
    )

    def count(text: str) -> str:
        return execute(container, "python3", "-c", search, text[::-1])

    assert count(MANAGEMENT_KEY) == "0 True"
    # The search can find: the name of the agent's variable is in that memory.
    assert count("RAVI_CONFIG_DIR").split()[0] != "0"


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(status=401, body={"detail": "no such token"}), id="refused"),
        pytest.param(Fault(drop="before"), id="dropped"),
        pytest.param(Fault(status=200, body="<html>"), id="lying"),
    ],
)
def test_no_failure_prints_the_key(start: Start, service: LocalRavi, fault: Fault) -> None:
    service.faults.append(fault)
    container = start(
        "true", environment={"RAVI_LOG_LEVEL": "debug", "RAVI_PROVISION_TIMEOUT": "1"}
    )

    assert container.wait(timeout=60)["StatusCode"] != 0
    output = container.logs()
    assert b"error: " in output
    assert PLANTED not in output


def test_no_image_holds_a_key_or_the_hosts_ca(client: docker.DockerClient) -> None:
    for image in ("ravi-agent-base", "ravi-init", "ravi-local", "ravi-agent-example"):
        history = json.dumps(client.images.get(image).history())
        assert "ravi_mgmt_" not in history
        assert "RAVI_MANAGEMENT_KEY" not in history
        container = client.containers.create(image)
        try:
            files = files_of(client, container)
        finally:
            container.remove()
        assert [name for name in files if name.startswith(("run/secrets/", "src/"))] == []
        assert [
            name
            for name, content in files.items()
            if re.search(rb"ravi_mgmt_(?!local)\w{8,}", content)
        ] == []
