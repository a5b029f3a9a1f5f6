"""Until all agents are up, beside bare tini containers started in three ways."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

from bench.meter import containers_s
from bench.samples import Ratio
from bench.world import CONCURRENCY, COUNT, IMAGE, LABEL, LATENCY, LAUNCH, NETWORK, Program, World

TITLE = "Agents ready, over bare tini containers"
SETTINGS = (COUNT, CONCURRENCY, LATENCY)
SAY_AND_STAY = ["sh", "-c", "echo >/ready; exec sleep 600"]
BRIDGE, OWN_NETWORK = "tini, SDK loop, default bridge", "tini, SDK loop, network of its own"
DOCKER_RUN, COMPOSE = "tini, docker run in parallel", "tini, docker-compose --scale"
HOST, HOST_LOCAL = "ravi-launch", "ravi-launch --local"
HOST_NETWORK = "ravi-launch --local --network ravi"
CONTAINER = "ravi-launch --provision container"
CONTAINER_LOCAL = "ravi-launch --local --provision container"
RATIOS = [
    *(
        Ratio(of=ours, over=BRIDGE, measure=measure, limit=limit)
        for ours, limit in (
            *((HOST, 1.15), (HOST_LOCAL, 1.15), (HOST_NETWORK, None)),
            *((CONTAINER, 1.45), (CONTAINER_LOCAL, 1.45), (OWN_NETWORK, None)),
        )
        for measure in ("wall_s", "cpu_s")
    ),
    Ratio(of=HOST, over=COMPOSE, measure="wall_s", limit=0.80),
    Ratio(of=HOST, over=DOCKER_RUN, measure="wall_s"),
    Ratio(of=HOST, over=BRIDGE, measure="launcher_s"),
]


@contextmanager
def rivals(world: World) -> Iterator[Mapping[str, Callable[[], Mapping[str, float]]]]:
    """Each starts `count` containers, and is over when all have said that they are up."""
    with world.service() as url, world.network() as network:
        service = world.account(url)
        own = {"RAVI_MANAGEMENT_KEY", "RAVI_API_URL"}  # of that service: `--local` has its own
        local = {name: value for name, value in service.items() if name not in own}
        by_container = ["--provision", "container"]
        ours: dict[str, tuple[list[str], dict[str, str]]] = {
            HOST: ([], service),
            HOST_LOCAL: (["--local"], local),
            HOST_NETWORK: (["--local", "--network", "ravi"], local),
            CONTAINER: (by_container, service),
            CONTAINER_LOCAL: (["--local", *by_container], local),
        }
        bare = {
            BRIDGE: loop(world, None),
            OWN_NETWORK: loop(world, network),
            DOCKER_RUN: _docker_run(world),
            COMPOSE: _compose(world),
        }
        # The local Ravi of --local goes on after a run: it is there before the first.
        Program([LAUNCH, "--local", "--count", "1", "--rm", "--", "true"], local).finish()
        yield {
            **{name: partial(measure, world, command, {}) for name, command in bare.items()},
            **{
                name: partial(measure, world, launch(world, *flags), settings)
                for name, (flags, settings) in ours.items()
            },
        }
        subprocess.run(_compose_command(world, "down"), check=True, capture_output=True)


def measure(
    world: World, command: Sequence[str], environ: Mapping[str, str], count: int | None = None
) -> Mapping[str, float]:
    """From the start of a launcher until its last container is up; processor time until it ends."""
    engine_s = world.meter.engine_s()
    began = time.monotonic()
    program = Program(command, environ)
    world.hear(count or world.options.count)
    wall_s = time.monotonic() - began
    launcher = program.finish()
    engine_s = world.meter.engine_s() - engine_s
    inside_s = containers_s(world.pids())
    world.clear()
    return {
        "wall_s": wall_s,
        "cpu_s": engine_s + launcher.cpu_s + inside_s,
        "engine_s": engine_s,
        "launcher_s": launcher.cpu_s,
        "containers_s": inside_s,
        "launcher_mb": launcher.memory_mb,
    }


def launch(world: World, *flags: str, count: int | None = None) -> list[str]:
    """Run ravi-launch until all agents are up."""
    size = [
        "--count",
        str(count or world.options.count),
        "--concurrency",
        str(world.options.concurrency),
    ]
    binds = [word for bind in world.binds for word in ("--volume", bind)]
    rest = ["--label", f"{LABEL}=1", "--image", IMAGE, "--detach", "--quiet"]
    return [LAUNCH, *size, *rest, *binds, *flags, "--", *SAY_AND_STAY]


def loop(world: World, network: str | None, *, count: int | None = None) -> list[str]:
    """The SDK loop with tini."""
    settings = {
        "count": count or world.options.count,
        "concurrency": world.options.concurrency,
        "network": network,
        "binds": world.binds,
        "label": LABEL,
        "image": IMAGE,
        "command": SAY_AND_STAY,
    }
    return [sys.executable, "-m", "bench.bare", "start", json.dumps(settings)]


def _docker_run(world: World) -> list[str]:
    binds = [word for bind in world.binds for word in ("--volume", bind)]
    one = ["docker", "run", "--detach", "--label", LABEL, *binds, "--entrypoint", "/tini", IMAGE]
    script = 'n=$1 at_once=$2; shift 2; seq "$n" | xargs -P "$at_once" -I {} -- "$@"'
    sizes = [str(world.options.count), str(world.options.concurrency)]
    return ["sh", "-c", script, "sh", *sizes, *one, "--", *SAY_AND_STAY]


def _compose(world: World) -> list[str]:
    return _compose_command(world, "up", "--detach", "--scale", f"agent={world.options.count}")


def _compose_command(world: World, *words: str) -> list[str]:
    path = os.path.join(world.directory, "compose.json")
    service = {
        "image": IMAGE,
        "entrypoint": ["/tini", "--"],
        "command": SAY_AND_STAY,
        "volumes": world.binds,
        "labels": {LABEL: "1"},
    }
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"version": "3", "services": {"agent": service}}, file)
    program = ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]
    return [*program, "--project-name", NETWORK, "--file", path, *words]
