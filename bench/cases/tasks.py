"""What a task costs the launcher, by the number of tasks, on an engine that starts nothing."""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from bench.samples import Ratio
from bench.world import CONCURRENCY, LATENCY, LAUNCH, Program, World

TITLE = "Processor time of the launcher a task, on an engine that starts nothing"
SETTINGS = (CONCURRENCY, LATENCY)
COUNTS = (100, 1000, 10_000)
PARALLEL = 50
RATIOS = [
    Ratio(
        of=f"{count} tasks",
        over=f"{COUNTS[0]} tasks",
        measure="task_ms",
        limit=1.2 if count == COUNTS[-1] else None,
    )
    for count in COUNTS[1:]
]


@contextmanager
def rivals(world: World) -> Iterator[Mapping[str, Callable[[], Mapping[str, float]]]]:
    """Each runs its tasks to their end, identities made on the host; what one task costs beside.

    Of each the cost of a run of one task is taken away: imports, and what is looked at once.
    """
    concurrency = str(world.options.concurrency)
    with world.service() as url:
        environ = world.account(url)

        def run(count: int) -> tuple[float, float]:
            sizes = ["--count", str(count), "--parallel", str(PARALLEL)]
            rest = ["--concurrency", concurrency, "--quiet", "--output", "json"]
            with fake_engine() as host:
                command = [LAUNCH, *sizes, *rest, "--", "true"]
                used = Program(command, {**environ, "DOCKER_HOST": host}).finish()
            return used.cpu_s, used.memory_mb

        def sample(count: int) -> Mapping[str, float]:
            one_s, _ = run(1)
            all_s, memory_mb = run(count)
            return {
                "task_ms": 1000 * (all_s - one_s) / (count - 1),
                "launcher_s": all_s,
                "launcher_mb": memory_mb,
            }

        yield {f"{count} tasks": partial(sample, count) for count in COUNTS}


@contextmanager
def fake_engine() -> Iterator[str]:
    """The address of a new one, a process of its own."""
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="ravi-bench-"))
        path = os.path.join(directory, "s")
        command = [sys.executable, "-m", "bench.fake_engine", path]
        process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE))
        stack.callback(process.terminate)
        if not process.stdout or process.stdout.readline() != b"ready\n":
            raise RuntimeError("the fake engine did not start")
        yield f"unix://{path}"
