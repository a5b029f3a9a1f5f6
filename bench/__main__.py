"""`python -m bench`: run the cases, write `bench/results.json`, and the page with its plots."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType

import docker.errors

from bench import plot, samples, table
from bench.cases import (
    idle,
    image,
    launcher,
    mail,
    ready,
    service,
    signals,
    start,
    stop,
    tasks,
    typed,
)
from bench.meter import MeterError, load
from bench.samples import Measured
from bench.world import Options, World, open_world

CASES: dict[str, ModuleType] = {
    "ready": ready,
    "start": start,
    "idle": idle,
    "stop": stop,
    "launcher": launcher,
    "tasks": tasks,
    "signals": signals,
    "service": service,
    "image": image,
    "typed": typed,
    "mail": mail,
}
_HERE = os.path.dirname(os.path.abspath(__file__))
RESULTS = os.path.join(_HERE, "results.json")
PAGE = os.path.join(os.path.dirname(_HERE), "docs", "performance.md")


def main(argv: Sequence[str] | None = None) -> int:
    """0 when every case has run; 69 where this machine does not let it."""
    given = arguments().parse_args(argv)
    if not given.page_only:
        cores = os.cpu_count() or 1
        options = Options(
            count=given.count,
            concurrency=given.concurrency or 4 * cores,
            latency_ms=given.latency_ms,
        )
        try:
            _measure(given.case or list(CASES), options, given.rounds, given.results)
        except (MeterError, docker.errors.DockerException) as exc:
            sys.stderr.write(f"bench: error: {exc}\n  fix: make engine, and run it as root\n")
            return 69
    if given.results == RESULTS:
        _write_page(*samples.read(RESULTS))
    return 0


def _write_page(about: Mapping[str, object], cases: Mapping[str, Measured]) -> None:
    with open(PAGE, encoding="utf-8") as file:
        page = table.put_into(file.read(), about, cases)
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write(page)
    plot.write(os.path.join(os.path.dirname(PAGE), table.PLOTS), cases)


def _measure(names: Sequence[str], options: Options, rounds: int, path: str) -> None:
    """Run cases and keep each as soon as it is over; those that are not named stay as they are."""
    try:
        _, cases = samples.read(path)
    except FileNotFoundError:
        cases = {}
    with open_world(options) as world:
        version = world.client.version()
        about = samples.machine(f"{version['Platform']['Name']} {version['Version']}".strip())
        for name in names:
            cases[name] = _run(name, world, rounds)
            ordered = {one: cases[one] for one in CASES if one in cases}
            samples.write(path, about, ordered)


def _run(name: str, world: World, rounds: int) -> Measured:
    case = CASES[name]
    settings = world.options.named(case.SETTINGS)
    measured = Measured(title=case.TITLE, rounds=rounds, settings=settings, ratios=[])
    with case.rivals(world) as rivals:
        order = list(rivals)
        for number in range(rounds):
            measured.load.append(load())
            # Each rival comes first, last and in between.
            turn = number % len(order)
            for rival in (*order[turn:], *order[:turn]):
                figures = rivals[rival]()
                measured.add(rival, figures)
                said = ", ".join(f"{key} {value:.3f}" for key, value in figures.items())
                sys.stderr.write(f"{name} {number + 1}/{rounds} {rival}: {said}\n")
        measured.samples = {rival: measured.samples[rival] for rival in order}
        # Without valgrind, no instructions are counted.
        kept = measured.samples
        measured.ratios = [one for one in case.RATIOS if one.measure in kept[one.of]]
    return measured


def arguments() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--case", action="append", choices=CASES, help="only this one; repeat it")
    parser.add_argument("--rounds", type=int, default=5, help="of each rival (%(default)s)")
    parser.add_argument("--count", type=int, default=50, help="containers (%(default)s)")
    parser.add_argument("--concurrency", type=int, help="starts at once (four a core)")
    parser.add_argument(
        "--latency-ms", type=float, default=0.0, help="of each answer of the service (%(default)s)"
    )
    parser.add_argument("--results", default=RESULTS, metavar="FILE", help="where they are kept")
    parser.add_argument(
        "--page-only",
        action="store_true",
        help="only write the page from the results that are there",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
