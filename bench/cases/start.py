"""Processor time of one start, in a container of the image: every program of the exec chain."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from bench.samples import Ratio
from bench.world import IMAGE, KEY, LABEL, LATENCY, World

TITLE = "Processor time of one start"
SETTINGS = (LATENCY,)
PYTHON, PROVISIONED, WITH_KEY, COLD = (
    "python3 -I -S -c pass",
    "provisioned start of true",
    "provisioned start of true, given a key",
    "cold start of true",
)
RATIOS = [
    Ratio(of=PROVISIONED, over=PYTHON, measure="cpu_ms", limit=2.5),
    Ratio(of=WITH_KEY, over=PYTHON, measure="cpu_ms"),
    Ratio(of=COLD, over=PYTHON, measure="cpu_ms", limit=10),
]
TIMES = 10
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
    with world.service() as url:
        container = world.client.containers.run(
            IMAGE,
            ["infinity"],
            entrypoint=["sleep"],
            labels=[LABEL],
            user="1000:1000",
            detach=True,
            environment={"RAVI_API_URL": url, "RAVI_MANAGEMENT_KEY": KEY},
        )
        provisioned = {"RAVI_WORKSPACE": f"{_ROOM}-warm", "RAVI_IDENTITY_NAME": "bench-warm"}
        commands: dict[str, tuple[list[str], dict[str, str]]] = {
            PYTHON: (["python3", "-I", "-S", "-c", "pass"], {}),
            PROVISIONED: (["ravi-entrypoint", "true"], {**provisioned, "RAVI_MANAGEMENT_KEY": ""}),
            WITH_KEY: (["ravi-entrypoint", "true"], provisioned),
        }

        def run(argv: list[str], environ: Mapping[str, str], times: int = TIMES) -> list[float]:
            text = json.dumps([times, argv, environ])
            code, output = container.exec_run(["python3", "-IS", "-c", _RUN, text])
            assert isinstance(output, bytes)
            if code:
                raise RuntimeError(output.decode(errors="replace"))
            figures: list[float] = json.loads(output)
            return figures

        number = 0

        def sample(name: str) -> Mapping[str, float]:
            nonlocal number
            number += 1
            if name == COLD:
                one = f"cold-{number}-%"
                argv = ["ravi-entrypoint", "true"]
                environ = {"RAVI_WORKSPACE": f"{_ROOM}-{one}", "RAVI_IDENTITY_NAME": one}
            else:
                argv, environ = commands[name]
            cpu_ms, wall_ms = run(argv, environ)
            return {"cpu_ms": cpu_ms, "wall_ms": wall_ms}

        run(["ravi-entrypoint", "true"], provisioned, 1)
        yield {name: partial(sample, name) for name in (PYTHON, PROVISIONED, WITH_KEY, COLD)}
