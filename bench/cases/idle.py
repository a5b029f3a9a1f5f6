"""Memory that PID 1 of a waiting agent shares with nobody."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from bench.cases.ready import SAY_AND_STAY, launch
from bench.meter import private_mb
from bench.samples import Ratio
from bench.world import IMAGE, KEY, LABEL, LATENCY, Program, World

TITLE = "Private memory of an idle PID 1"
SETTINGS = (LATENCY,)
TINI = "tini"
GIVEN_A_KEY, HANDED_OVER = "ravi-entrypoint, given a key", "ravi-entrypoint, handed over"
RATIOS = [Ratio(of=ours, over=TINI, measure="private_mb") for ours in (GIVEN_A_KEY, HANDED_OVER)]


def begin(world: World, *, is_ours: bool, url: str, command: list[str]) -> int:
    """Start one agent, and wait until it says that it is up; the process id of its PID 1."""
    container = world.client.containers.run(
        IMAGE,
        command,
        entrypoint=None if is_ours else ["/tini", "--"],
        labels=[LABEL],
        detach=True,
        environment={"RAVI_API_URL": url, "RAVI_MANAGEMENT_KEY": KEY} if is_ours else {},
        volumes=world.binds,
    )
    world.hear(1)
    container.reload()
    return int(container.attrs["State"]["Pid"])


@contextmanager
def rivals(world: World) -> Iterator[Mapping[str, Callable[[], Mapping[str, float]]]]:
    """A new container each round."""
    with world.service() as url:
        environ = world.account(url)

        def sample(is_ours: bool) -> Mapping[str, float]:
            pid = begin(world, is_ours=is_ours, url=url, command=SAY_AND_STAY)
            return private(pid)

        def handed_over() -> Mapping[str, float]:
            Program(launch(world, count=1), environ).finish()
            world.hear(1)
            (pid,) = world.pids()
            return private(pid)

        def private(pid: int) -> Mapping[str, float]:
            figures = {"private_mb": private_mb(pid)}
            world.clear()
            return figures

        yield {
            TINI: lambda: sample(False),
            GIVEN_A_KEY: lambda: sample(True),
            HANDED_OVER: handed_over,
        }
