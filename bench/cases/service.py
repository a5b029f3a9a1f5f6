"""Until all agents are up, with a service that is far away, slow, or lets few calls through."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial

from bench.cases.ready import BRIDGE, launch, loop, measure
from bench.samples import Ratio
from bench.world import CONCURRENCY, COUNT, World

TITLE = "Agents ready, by the service's pace"
SETTINGS = (COUNT, CONCURRENCY)
PACES: Mapping[str, Mapping[str, float]] = {
    "50 ms a call": {"delay_s": 0.05},
    "500 ms a call": {"delay_s": 0.5},
    "5 calls a second": {"rate_per_s": 5},
}
WAYS = {"ravi-launch": [], "ravi-launch --provision container": ["--provision", "container"]}
MEASURES = ("wall_s", "cpu_s", "launcher_s")
RATIOS = [
    Ratio(of=f"{way}, {pace}", over=BRIDGE, measure=one)
    for way in WAYS
    for pace in PACES
    for one in ("wall_s", "cpu_s")
]


@contextmanager
def rivals(world: World) -> Iterator[Mapping[str, Callable[[], Mapping[str, float]]]]:
    """A service for each pace.

    A run makes one call, and two for each agent: at 5 calls a second 50 agents take 20 s at least.
    """
    with ExitStack() as stack:
        services = {
            pace: world.account(stack.enter_context(world.service(fault)))
            for pace, fault in PACES.items()
        }

        def sample(command: list[str], environ: Mapping[str, str]) -> Mapping[str, float]:
            figures = measure(world, command, environ)
            return {one: figures[one] for one in MEASURES}

        yield {
            BRIDGE: partial(sample, loop(world, None), {}),
            **{
                f"{way}, {pace}": partial(sample, launch(world, *flags), services[pace])
                for way, flags in WAYS.items()
                for pace in PACES
            },
        }
