"""From a signal for PID 1 until the agent has it."""

import os
import signal
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from bench.cases.idle import begin
from bench.samples import Ratio
from bench.world import LATENCY, World

TITLE = "Signal to agent"
SETTINGS = (LATENCY,)
TINI, OURS = "tini", "ravi-entrypoint"
RATIOS = [Ratio(of=OURS, over=TINI, measure="median_ms")]
TIMES = 100
_AGENT = """
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
ready = os.open("/ready", os.O_WRONLY)
while True:
    os.write(ready, b"x")
    signal.sigwait([signal.SIGUSR1])
"""


@contextmanager
def rivals(world: World) -> Iterator[Mapping[str, Callable[[], Mapping[str, float]]]]:
    """A hundred signals a sample, one after the other."""
    with world.service() as url:

        def sample(is_ours: bool) -> Mapping[str, float]:
            command = ["python3", "-I", "-S", "-c", _AGENT]
            pid = begin(world, is_ours=is_ours, url=url, command=command)
            took = []
            for _ in range(TIMES):
                began = time.monotonic()
                os.kill(pid, signal.SIGUSR1)
                world.hear(1)
                took.append(1000 * (time.monotonic() - began))
            world.clear()
            return {"median_ms": statistics.median(took), "slowest_ms": max(took)}

        yield {TINI: lambda: sample(False), OURS: lambda: sample(True)}
