"""Large runs: what the launcher takes for itself, and what is left when it ends.

The whole sizes take half an hour: `make soak`. `make test` runs small ones.
"""

import json
import random
import subprocess
import threading
import time
from collections import Counter

import docker
import psutil
import pytest

from engine.conftest import LAUNCH, Launching, containers, launch, of_run
from ravi_agent.local.faults import Fault
from ravi_agent.local.server import LocalRavi

SOAK = pytest.mark.soak
LONG_S = 1500
ON_ITS_WAY_S = 0.2


class Meter(threading.Thread):
    """Watches a process: its largest memory (bytes), threads and sockets, and its processor time.

    `cores`: processor seconds a second of its life.
    """

    def __init__(self, pid: int) -> None:
        super().__init__()
        self._process = psutil.Process(pid)
        self._began = time.monotonic()
        self.memory = self.threads = self.sockets = 0
        self.cores = 0.0
        self.start()

    def run(self) -> None:
        try:
            while True:
                with self._process.oneshot():
                    self.memory = max(self.memory, self._process.memory_info().rss)
                    self.threads = max(self.threads, self._process.num_threads())
                    times = self._process.cpu_times()
                self.sockets = max(self.sockets, self._process.num_fds())
                self.cores = (times.user + times.system) / (time.monotonic() - self._began)
                time.sleep(0.2)
        except psutil.NoSuchProcess:
            return


@pytest.mark.parametrize(
    ("count", "parallel"),
    [
        pytest.param(40, 40, id="40 at once"),
        pytest.param(60, 10, id="60 through 10 places"),
        pytest.param(300, 300, marks=[SOAK, pytest.mark.timeout(LONG_S)], id="300 at once"),
        pytest.param(1000, 50, marks=[SOAK, pytest.mark.timeout(LONG_S)], id="1000 through 50"),
    ],
)
def test_a_large_run_takes_little_and_leaves_nothing(
    environ: dict[str, str],
    run_name: str,
    client: docker.DockerClient,
    service: LocalRavi,
    launching: Launching,
    count: int,
    parallel: int,
) -> None:
    # Held until all are up, where all are to be up at once.
    hold = "sleep 2" if parallel < count else f"sleep {count // 3}"
    arguments = ["--count", str(count), "--parallel", str(parallel), "--name", run_name]
    launcher = launching(
        [LAUNCH, *arguments, "--rm", "-q", "-o", "json", "--", "sh", "-c", hold], environ
    )
    meter = Meter(launcher.pid)
    stdout, stderr = launcher.communicate(timeout=LONG_S)
    meter.join()

    assert launcher.returncode == 0, stderr[-2000:]
    result = json.loads(stdout)
    assert result["summary"]["succeeded"] == count
    uuids = {agent["identity"]["uuid"] for agent in result["agents"]}
    assert uuids == {record.uuid for record in service.store.identities()}
    assert len(uuids) == count
    assert meter.memory < 150 << 20
    assert meter.cores < 1.0
    assert meter.threads <= 8 + 8 + 4  # starters, signallers, the rest: none an agent
    assert meter.sockets <= parallel + 64
    assert containers(client, run_name) == []
    assert client.volumes.list(filters=of_run(run_name)) == []
    assert client.networks.list(filters=of_run(run_name)) == []


@pytest.mark.parametrize(
    ("agents", "instant"),
    [
        *(pytest.param(8, instant, id=f"8 agents, {instant}") for instant in range(6)),
        *(
            pytest.param(20, instant, marks=[SOAK], id=f"20 agents, {instant}")
            for instant in range(100, 150)
        ),
    ],
)
def test_a_killed_launcher_is_resumed_to_the_same_end(
    environ: dict[str, str],
    run_name: str,
    client: docker.DockerClient,
    service: LocalRavi,
    agents: int,
    instant: int,
) -> None:
    """Killed at a random instant: all agents run once, each with the one identity of its name."""
    arguments = [LAUNCH, "--count", str(agents), "--name", run_name]
    command = ["--", "sh", "-c", "echo ran $RAVI_IDENTITY_NAME; sleep 0.5"]
    killed = subprocess.Popen(
        [*arguments, *command],
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    last = 0.5 + agents / 3  # about as long as it would take
    time.sleep(random.Random(instant).uniform(0.3, last))  # noqa: S311 - the instant is the test
    killed.kill()
    killed.wait()

    # Before its first container the engine knows nothing of a run: then the flags say it again.
    flags = [] if client.volumes.list(filters=of_run(run_name)) else ["--count", str(agents)]
    again = [*flags, *(command if flags else [])]
    resumed = launch(environ, "--resume", run_name, "-o", "json", *again)

    found = json.loads(resumed.stdout)["agents"]
    assert [agent["exit_code"] for agent in found] == [0] * agents
    names = Counter(record.name for record in service.store.identities())
    assert names == {f"task-{run_name}-{index:04d}": 1 for index in range(agents)}
    made = {record.uuid for record in service.store.identities()}
    assert {agent["identity"]["uuid"] for agent in found} == made
    left = containers(client, run_name)
    assert len(left) == agents
    for container in left:
        assert container.logs(stderr=False).count(b"ran ") == 1


@pytest.mark.parametrize("where", ["container", "host"])
def test_a_throttled_service_is_waited_for_as_it_asks(
    environ: dict[str, str], run_name: str, service: LocalRavi, where: str
) -> None:
    service.faults.append(Fault(rate_per_s=2))
    # Twenty agents, three calls each, two a second: half a minute at least.
    environ["RAVI_PROVISION_TIMEOUT"] = "90"
    flags = ["--count", "20", "--name", run_name, "--provision", where, "-o", "json"]
    done = launch(environ, *flags, "-e", "RAVI_PROVISION_TIMEOUT", "--", "true", timeout_s=250)

    assert json.loads(done.stdout)["summary"]["succeeded"] == 20
    assert len(service.store.identities()) == 20
    log = [(float(str(entry["time"])), entry) for entry in service.requests.entries]
    refused = [(at, entry) for at, entry in log if entry["status"] == 429]
    assert refused
    for at, entry in refused:
        # Each container, or the host for all, asks again when the time it was told is over. What
        # other threads of the host had sent by then was on its way.
        told = at + float(str(entry["ms"])) / 1000
        later = [one for one, other in log if other["client"] == entry["client"]]
        over = told + float(str(entry["retry_after_s"])) - 0.01  # clocks are rounded
        assert not [one for one in later if told + ON_ITS_WAY_S < one < over]
