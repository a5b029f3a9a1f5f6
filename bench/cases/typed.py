"""Commands that people wait for, beside a Python that does nothing."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from bench.samples import Ratio
from bench.world import LAUNCH, Program, World

TITLE = "Commands that people wait for"
SETTINGS = ()
PYTHON, BARE_SDK = "python3 -c pass", "python3 -c 'import docker'"
HELP, PS = "ravi-launch --help", "ravi-launch ps"
RATIOS = [
    Ratio(of=HELP, over=PYTHON, measure="cpu_ms", limit=6),
    Ratio(of=PS, over=PYTHON, measure="cpu_ms"),
    Ratio(of=PS, over=BARE_SDK, measure="cpu_ms"),
]
TIMES = 5


@contextmanager
def rivals(world: World) -> Iterator[Mapping[str, Callable[[], Mapping[str, float]]]]:
    """The same interpreter for all."""
    del world
    commands = {
        PYTHON: [sys.executable, "-c", "pass"],
        BARE_SDK: [sys.executable, "-c", "import docker; docker.from_env().containers.list()"],
        HELP: [LAUNCH, "--help"],
        PS: [LAUNCH, "ps"],
    }

    def sample(command: list[str]) -> Mapping[str, float]:
        began = time.monotonic()
        cpu_s = sum(Program(command).finish().cpu_s for _ in range(TIMES))
        wall_s = time.monotonic() - began
        return {"cpu_ms": 1000 * cpu_s / TIMES, "wall_ms": 1000 * wall_s / TIMES}

    yield {name: partial(sample, command) for name, command in commands.items()}
