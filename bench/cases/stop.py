"""Until all agents are gone after a stop, beside bare tini containers."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from bench.cases import ready
from bench.samples import Ratio
from bench.world import CONCURRENCY, COUNT, IMAGE, LABEL, LATENCY, LAUNCH, Program, World

TITLE = "Stop to gone, over bare stops of tini containers"
SETTINGS = (COUNT, CONCURRENCY, LATENCY)
TINI, OURS = "tini, SDK loop", "ravi-launch containers, SDK loop"
COMMAND = "ravi-launch stop"
RATIOS = [
    Ratio(of=of, over=TINI, measure=measure, limit=limit)
    for of in (OURS, COMMAND)
    for measure, limit in (("wall_s", 1.10), ("cpu_s", None))
]


@contextmanager
def rivals(world: World) -> Iterator[Mapping[str, Callable[[], Mapping[str, float]]]]:
    """Each stops `count` containers, that are started outside of the clock."""
    loop = {"count": world.options.count, "concurrency": world.options.concurrency, "label": LABEL}
    settings = {**loop, "network": None, "binds": world.binds, "image": IMAGE}
    settings["command"] = ready.SAY_AND_STAY
    stop = [sys.executable, "-m", "bench.bare", "stop", json.dumps(loop)]
    with world.service() as url:
        environ = world.account(url)

        def measure(command: list[str]) -> Mapping[str, float]:
            engine_s = world.meter.engine_s()
            began = time.monotonic()
            launcher_s = Program(command, environ).finish().cpu_s
            world.until_put_away()
            wall_s = time.monotonic() - began
            engine_s = world.meter.engine_s() - engine_s
            world.clear()
            return {"wall_s": wall_s, "cpu_s": engine_s + launcher_s, "launcher_s": launcher_s}

        def tini() -> Mapping[str, float]:
            begin = [sys.executable, "-m", "bench.bare", "start", json.dumps(settings)]
            subprocess.run(begin, check=True)
            world.hear(world.options.count)
            return measure(stop)

        def ours(is_command: bool) -> Mapping[str, float]:
            Program(ready.launch(world), environ).finish()
            world.hear(world.options.count)
            run = world.run()
            return measure([LAUNCH, "stop", run] if is_command else stop)

        yield {TINI: tini, OURS: lambda: ours(False), COMMAND: lambda: ours(True)}
