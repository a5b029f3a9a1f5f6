"""Processor time of one start, in a container of the image: every program of the exec chain."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from bench import instructions
from bench.samples import Ratio
from bench.tls_front import tls_front
from bench.world import IMAGE, KEY, LABEL, LATENCY, World

TITLE = "Processor time of one start"
SETTINGS = (LATENCY,)
PYTHON, PROVISIONED, WITH_KEY, COLD, COLD_HTTPS = (
    "python3 -I -S -c pass",
    "provisioned start of true",
    "provisioned start of true, given a key",
    "cold start of true",
    "cold start of true, https",
)
LIMITS = {PROVISIONED: 2.5, WITH_KEY: None, COLD: 10, COLD_HTTPS: 14}
RATIOS = [
    Ratio(of=of, over=PYTHON, measure=measure, limit=limit if measure == "cpu_ms" else None)
    for measure in ("cpu_ms", "instructions_mi")
    for of, limit in LIMITS.items()
]
TIMES = 10
_TRUSTED = "/opt/ravi/lib/certifi/hashed"  # the image's authorities
_ROOM = "/tmp/start"  # noqa: S108 - in a container
# Runs a command so often; a `%` in it is the number of the run. Prints CPU and wall ms of each.
_RUN = """
import json, os, sys, time
times, argv, environ = json.loads(sys.argv[1])
cpu = wall = 0
for number in range(times):
    words = [word.replace("%", str(number)) for word in argv]
    env = {**os.environ, **{k: v.replace("%", str(number)) for k, v in environ.items()}}
    began = time.monotonic()
    pid = os.posix_spawnp(words[0], words, env, file_actions=[
        (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0)])
    _, status, usage = os.wait4(pid, 0)
    wall += time.monotonic() - began
    if status:
        sys.exit(f"{words} left with {status}")
    cpu += usage.ru_utime + usage.ru_stime
print(json.dumps([1000 * cpu / times, 1000 * wall / times]))
"""


@contextmanager
def rivals(world: World) -> Iterator[Mapping[str, Callable[[], Mapping[str, float]]]]:
    """One container for all of them; the service is on the host."""
    valgrind = instructions.mounts()
    with world.service() as url, tls_front(url, world.directory) as (https, trusted):
        container = world.client.containers.run(
            IMAGE,
            ["infinity"],
            entrypoint=["sleep"],
            labels=[LABEL],
            user="1000:1000",
            detach=True,
            volumes={
                **valgrind,
                trusted: {"bind": f"{_TRUSTED}/{os.path.basename(trusted)}", "mode": "ro"},
            },
            environment={"RAVI_API_URL": url, "RAVI_MANAGEMENT_KEY": KEY},
        )
        provisioned = {"RAVI_WORKSPACE": f"{_ROOM}-warm", "RAVI_IDENTITY_NAME": "bench-warm"}
        commands: dict[str, tuple[list[str], dict[str, str]]] = {
            PYTHON: (["python3", "-I", "-S", "-c", "pass"], {}),
            PROVISIONED: (["ravi-entrypoint", "true"], {**provisioned, "RAVI_MANAGEMENT_KEY": ""}),
            WITH_KEY: (["ravi-entrypoint", "true"], provisioned),
        }

        def run(script: str, *settings: object) -> Any:
            command = ["python3", "-IS", "-c", script, json.dumps(settings)]
            code, output = container.exec_run(command)
            assert isinstance(output, bytes)
            if code:
                raise RuntimeError(output.decode(errors="replace"))
            return json.loads(output)

        number = 0

        def sample(name: str) -> Mapping[str, float]:
            nonlocal number
            number += 1
            if name in commands:
                argv, environ = commands[name]
            else:
                one = f"cold-{number}-%"
                argv = ["ravi-entrypoint", "true"]
                environ = {"RAVI_WORKSPACE": f"{_ROOM}-{one}", "RAVI_IDENTITY_NAME": one}
                environ |= {"RAVI_API_URL": https} if name == COLD_HTTPS else {}
            cpu_ms, wall_ms = run(_RUN, TIMES, argv, environ)
            figures = {"cpu_ms": cpu_ms, "wall_ms": wall_ms}
            if valgrind:
                counted = {key: value.replace("%", "counted") for key, value in environ.items()}
                figures["instructions_mi"] = run(instructions.COUNT, argv, counted)
            return figures

        run(_RUN, 1, ["ravi-entrypoint", "true"], provisioned)
        yield {name: partial(sample, name) for name in (PYTHON, *LIMITS)}
