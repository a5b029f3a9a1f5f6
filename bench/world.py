"""What the cases share: the engine, a service, a way for containers to say that they are up."""

import compileall
import contextlib
import ipaddress
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import docker
import docker.errors

import ravi_agent
from bench.meter import Meter

LABEL = "ravi-bench"
IMAGE = "ravi-agent-base"
NETWORK = "ravi-bench"
KEY = "ravi_mgmt_bench"
READY_S = 600.0
_BIN = os.path.dirname(sys.executable)
LAUNCH = os.path.join(_BIN, "ravi-launch")
_LOCAL = os.path.join(_BIN, "ravi-local")
TINI = shutil.which("tini-static") or "/usr/bin/tini-static"


# What of the options a case depends on, as its table says it.
COUNT, CONCURRENCY, LATENCY = "containers", "starts at once", "latency of the service in ms"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What was typed. latency_ms: of the service on the host, added to each of its answers."""

    count: int
    concurrency: int
    latency_ms: float

    def named(self, names: Iterable[str]) -> dict[str, int | float]:
        """Those that a case depends on."""
        all_of_them = {
            COUNT: self.count,
            CONCURRENCY: self.concurrency,
            LATENCY: self.latency_ms,
        }
        return {name: all_of_them[name] for name in names}


@dataclass
class World:
    """One engine, and a directory that containers share."""

    options: Options
    client: docker.DockerClient
    directory: str
    meter: Meter = field(default_factory=Meter)

    def __post_init__(self) -> None:
        self.fifo = os.path.join(self.directory, "ready")
        os.mkfifo(self.fifo)
        os.chmod(self.fifo, 0o666)  # noqa: S103 - agents are of another user
        # Both ends: a reader alone would see the end of file between two writers.
        self._ready = os.open(self.fifo, os.O_RDWR | os.O_NONBLOCK)

    def hear(self, size: int) -> None:
        """Wait until containers have written so many bytes. Raises TimeoutError."""
        deadline = time.monotonic() + READY_S
        while size > 0:
            if not select.select([self._ready], [], [], deadline - time.monotonic())[0]:
                raise TimeoutError(f"{size} containers have not said that they are up")
            size -= len(os.read(self._ready, size))

    @property
    def binds(self) -> list[str]:
        """What every container of a case gets."""
        return [f"{self.fifo}:/ready", f"{TINI}:/tini:ro"]

    def pids(self) -> list[int]:
        """The first processes of all containers of the bench that run."""
        ids = [str(one.id) for one in self._containers()]
        return [int(self.client.api.inspect_container(one)["State"]["Pid"]) for one in ids]

    def clear(self) -> None:
        """Remove the bench's containers, and what runs leave with the engine."""

        def remove(one: Any) -> None:
            with contextlib.suppress(docker.errors.NotFound):
                one.remove(force=True, v=True)

        there = self._containers()
        runs = {run for one in there if (run := one.labels.get("id.ravi.run"))}
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(remove, there))
        for run in runs:
            for volume in self.client.volumes.list(filters={"label": f"id.ravi.run={run}"}):
                volume.remove()

    def until_put_away(self) -> None:
        """Until the engine has put away all containers, which have ended.

        It answers a stop before that. An inspection waits for it.
        """
        for one in self._containers():  # each of them inspected
            if one.attrs["State"]["Running"]:
                raise RuntimeError(f"{one.name} runs after its stop")

    def run(self) -> str:
        """The name of the run whose agents are there."""
        return str(self._containers()[0].labels["id.ravi.run"])

    def _containers(self) -> list[Any]:
        found: list[Any] = self.client.containers.list(all=True, filters={"label": LABEL})
        return found

    def gateway(self) -> str:
        """The host's address for containers on the default bridge."""
        pool = self.client.networks.get("bridge").attrs["IPAM"]["Config"][0]
        first = next(ipaddress.ip_network(pool["Subnet"]).hosts())
        return str(pool.get("Gateway") or first)

    @contextlib.contextmanager
    def network(self) -> Iterator[str]:
        """A network that somebody has created."""
        network = self.client.networks.create(NETWORK, driver="bridge", check_duplicate=True)
        try:
            yield NETWORK
        finally:
            network.remove()

    def account(self, url: str) -> dict[str, str]:
        """The variables with which a launcher creates identities at that service, unasked."""
        return {
            "RAVI_MANAGEMENT_KEY": KEY,
            "RAVI_API_URL": url,
            "RAVI_CONFIRM_ABOVE": "100000",
            "HOME": self.directory,
        }

    @contextlib.contextmanager
    def service(self, pace: Mapping[str, float] | None = None) -> Iterator[str]:
        """The URL of a local Ravi on the host, a process of its own.

        pace: a fault of `ravi-local --faults`; by default the latency that was typed.
        """
        directory = tempfile.mkdtemp(dir=self.directory)
        faults = os.path.join(directory, "faults.json")
        with open(faults, "w", encoding="utf-8") as file:
            json.dump([pace or {"delay_s": self.options.latency_ms / 1000}], file)
        database = os.path.join(directory, "service.db")
        host = self.gateway()
        command = [_LOCAL, "--host", host, "--port", "0", "--smtp-port", "0"]
        command += ["--database", database, "--faults", faults, "--management-key", KEY]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            assert process.stdout
            try:
                url = _url(process.stdout)
                # It says every request: with a full pipe it would answer none.
                threading.Thread(target=_drain, args=(process.stdout,), daemon=True).start()
                yield url
            finally:
                process.terminate()


def _drain(lines: Iterable[bytes]) -> None:
    for _ in lines:
        continue


def _url(lines: Any) -> str:
    for line in lines:
        for word in line.decode().split():
            if word.startswith("http://"):
                return str(word.rstrip("/.,;"))
    raise RuntimeError("the service did not start")


@contextlib.contextmanager
def open_world(options: Options) -> Iterator[World]:
    """The engine that `docker` would use, with nothing of an earlier bench."""
    # As an installed package is; this machine may write no bytecode by itself.
    compileall.compile_dir(os.path.dirname(ravi_agent.__file__), quiet=1)
    with tempfile.TemporaryDirectory(prefix="ravi-bench-") as directory:
        os.chmod(directory, 0o755)  # noqa: S103 - agents are of another user
        client = docker.DockerClient.from_env(timeout=300)
        world = World(options, client, directory)
        world.clear()
        try:
            yield world
        finally:
            world.clear()
            client.close()


class Used(NamedTuple):
    """What a process has used, with the children that it waited for; memory at its largest."""

    cpu_s: float
    memory_mb: float


class Program:
    """A process whose output nobody reads, unless it fails."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str] | None = None) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - `finish` closes it
        self._process = subprocess.Popen(
            command,
            env={**os.environ, **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=self._said,
        )

    def finish(self) -> Used:
        """Wait for its end.

        Raises RuntimeError with what it said where it failed.
        """
        _, status, usage = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        with self._said as said:
            if self._process.returncode:
                said.seek(0)
                raise RuntimeError(f"{self._process.args!r}: {said.read().decode()[-2000:]}")
        return Used(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
