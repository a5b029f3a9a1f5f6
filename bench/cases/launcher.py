"""What the launcher itself takes, by the number of containers, beside the bare SDK loop."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from bench.cases import ready
from bench.samples import Ratio
from bench.world import CONCURRENCY, LATENCY, World

TITLE = "Processor time and memory of the launcher"
SETTINGS = (CONCURRENCY, LATENCY)
COUNTS = (10, 100, 300)
MEASURES = ("launcher_s", "launcher_mb", "wall_s")
RATIOS = [
    Ratio(
        of=f"ravi-launch, {count}",
        over=f"SDK loop, {count}",
        measure="launcher_s",
        limit=1.5 if count == 100 else None,
    )
    for count in COUNTS
]


@contextmanager
def rivals(world: World) -> Iterator[Mapping[str, Callable[[], Mapping[str, float]]]]:
    """Containers on the default bridge; identities made on the host."""
    with world.service() as url:
        environ = world.account(url)

        def sample(count: int, is_ours: bool) -> Mapping[str, float]:
            command = (
                ready.launch(world, count=count)
                if is_ours
                else ready.loop(world, None, count=count)
            )
            figures = ready.measure(world, command, environ if is_ours else {}, count)
            return {measure: figures[measure] for measure in MEASURES}

        yield {
            f"{name}, {count}": partial(sample, count, is_ours)
            for count in COUNTS
            for name, is_ours in (("SDK loop", False), ("ravi-launch", True))
        }
