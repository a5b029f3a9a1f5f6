"""Runs with a queue and retries to which anything happens at a random instant.

Each task ends well exactly once, whatever is done to its launcher, engine and container, and no
command has said otherwise on the way. The whole size is in `make soak`.
"""

import json
import random
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from conftest import MANAGEMENT_KEY
from engine.conftest import LAUNCH, containers, launch, of_run
from engine.docker_proxy import DockerProxy
from engine.own_engine import OwnEngine
from ravi_agent.local.server import LocalRavi

COUNT = 6
KINDS = ("killed", "stopped for a while", "full disk", "cut network", "restarted", "pruned")


@pytest.fixture(scope="module")
def own_engine(client: docker.DockerClient) -> Iterator[OwnEngine]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    engine = OwnEngine(Path(tempfile.mkdtemp(prefix="ravi-engine-")), port)
    try:
        engine.start()
        with engine.client() as own:
            own.images.load(b"".join(client.images.get("ravi-agent-base").save(named=True)))
        yield engine
    finally:
        engine.close()


@pytest.fixture
def full_disk() -> Iterator[Path]:
    """A directory on a file system that has room for a few lines."""
    directory = Path(tempfile.mkdtemp(prefix="ravi-full-"))
    options = ["-o", "size=32k", "tmpfs"]
    subprocess.run(["mount", "-t", "tmpfs", *options, str(directory)], check=True)
    yield directory
    subprocess.run(["umount", str(directory)], check=True)
    directory.rmdir()


class World:
    """One run on an engine behind a proxy, and what may happen to it."""

    def __init__(
        self, environ: dict[str, str], run: str, engine: OwnEngine, proxy: DockerProxy
    ) -> None:
        self.environ = environ
        self.run = run
        self.engine = engine
        self.proxy = proxy
        # What agents write when they have done their work, each in a file of its own.
        self.done = Path(tempfile.mkdtemp(prefix="ravi-done-"))
        self.done.chmod(0o777)
        self.launcher: subprocess.Popen[str] | None = None
        self.false: list[str] = []

    def start(self, log_dir: Path) -> None:
        # An agent that is killed on its way leaves nothing; one that ends well leaves a line.
        script = "for i in 1 2 3 4 5 6; do seq 20; sleep 0.2; done; echo $$ >>/done/$TASK_ID"
        flags = ["--count", str(COUNT), "--parallel", "2", "--retries", "8", "--name", self.run]
        where = ["--network", "host", "-v", f"{self.done}:/done", "--log-dir", str(log_dir)]
        self._launch([*flags, *where, "--", "sh", "-c", script])
        with self.engine.client() as own:
            while f"ravi-run-{self.run}" not in [one.name for one in own.volumes.list()]:
                assert self.launcher
                assert self.launcher.poll() is None
                time.sleep(0.05)

    def resume(self) -> int:
        """Until the launcher has ended by itself; its code."""
        self._launch(["--resume", self.run])
        assert self.launcher
        return self.launcher.wait(timeout=240)

    def _launch(self, arguments: list[str]) -> None:
        environ = self.environ | {"DOCKER_HOST": self.proxy.url}
        self.launcher = subprocess.Popen(
            [LAUNCH, *arguments],
            env=environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def kill(self) -> None:
        assert self.launcher
        self.launcher.kill()
        self.launcher.communicate()

    def ended(self) -> Counter[str]:
        """How often each task has come to its end, by what agents wrote."""
        return Counter({one.name: len(one.read_text().split()) for one in self.done.iterdir()})

    def watch(self, is_over: threading.Event) -> None:
        """Ask `ps` again and again: what it calls a success has ended well by then."""
        while not is_over.wait(0.5):
            asked = subprocess.run(
                [LAUNCH, "ps", self.run, "-o", "json"],
                env=self.environ | {"DOCKER_HOST": self.engine.url},
                capture_output=True,
                text=True,
                check=False,
            )
            if asked.returncode:
                continue  # the engine is away, or the run has not begun
            for one in json.loads(asked.stdout):
                if one["exit_code"] == 0 and not self.ended()[one["task"]]:
                    self.false.append(f"{one['task']} has not ended: {one['status']}")


def happen(world: World, kind: str) -> None:
    """Let it happen, and undo what is undone by itself."""
    launcher = world.launcher
    assert launcher
    if kind == "killed":
        world.kill()
    elif kind == "stopped for a while":
        launcher.send_signal(signal.SIGSTOP)
        time.sleep(3)
        launcher.send_signal(signal.SIGCONT)
    elif kind == "cut network":
        world.proxy.is_open = False
        time.sleep(2)
        world.proxy.is_open = True
    elif kind == "restarted":
        world.engine.stop()
        world.engine.start()
    elif kind == "pruned":
        with world.engine.client() as own:
            own.containers.prune(filters=of_run(world.run))


SMALL = [pytest.param(kind, 1, id=f"{kind}, 1") for kind in KINDS]
LARGE = [
    pytest.param(kind, instant, id=f"{kind}, {instant}", marks=pytest.mark.soak)
    for instant in range(100, 117)
    for kind in KINDS
][:100]


@pytest.mark.parametrize(("kind", "instant"), [*SMALL, *LARGE])
def test_each_task_comes_to_its_end_once_whatever_happens(
    environ: dict[str, str],
    run_name: str,
    own_engine: OwnEngine,
    full_disk: Path,
    tmp_path: Path,
    kind: str,
    instant: int,
) -> None:
    with (
        LocalRavi(database=":memory:", management_key=MANAGEMENT_KEY) as service,
        DockerProxy(own_engine.url) as proxy,
    ):
        world = World(environ | {"RAVI_API_URL": service.url}, run_name, own_engine, proxy)
        is_over = threading.Event()
        watcher = threading.Thread(target=world.watch, args=(is_over,))
        world.start(full_disk if kind == "full disk" else tmp_path / "logs")
        watcher.start()
        try:
            time.sleep(random.Random(f"{kind} {instant}").uniform(0.0, 7.0))  # noqa: S311
            happen(world, kind)
            check(world, service)
        finally:
            is_over.set()
            watcher.join()
            world.kill()
        assert world.false == []


def check(world: World, service: LocalRavi) -> None:
    """See the run to its end, and what is left of it."""
    assert world.launcher
    if world.launcher.poll() == -signal.SIGKILL:
        assert world.resume() == 0
    else:
        _, errors = world.launcher.communicate(timeout=240)
        assert world.launcher.returncode == 0, errors[-3000:]
    wanted = {f"{index:04d}": 1 for index in range(COUNT)}
    assert world.ended() == wanted
    environ = world.environ | {"DOCKER_HOST": world.engine.url}
    launch(environ, "wait", world.run)
    listed = json.loads(launch(environ, "ps", world.run, "-o", "json").stdout)
    assert {one["task"]: one["exit_code"] for one in listed} == dict.fromkeys(wanted, 0)

    names = Counter(one.name for one in service.store.identities())
    assert names == {f"task-{world.run}-{task}": 1 for task in wanted}
    launch(environ, "rm", world.run)
    with world.engine.client() as own:
        assert containers(own, world.run) == []
        assert own.volumes.list(filters=of_run(world.run)) == []
