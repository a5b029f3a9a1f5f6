"""The tables of `docs/performance.md`, made of `results.json` and nothing else."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import median

from bench import markdown
from bench.markdown import row
from bench.samples import Measured

BEGIN = "<!-- results: make bench -->"
PLOTS = "plots"  # beside the page
# By a measure's suffix: decimals and unit.
_UNITS = {"s": (2, "s"), "ms": (2, "ms"), "mb": (2, "MB"), "n": (0, ""), "mi": (1, "M")}


def put_into(page: str, about: Mapping[str, object], cases: Mapping[str, Measured]) -> str:
    """The page with the tables of these results between its marks. Raises ValueError without."""
    return markdown.put_into(page, BEGIN, tables(about, cases))


def tables(about: Mapping[str, object], cases: Mapping[str, Measured]) -> str:
    """All of it, as Markdown."""
    what = ("Linux {kernel}", "engine {engine}", "Python {python} on the host")
    lines = [f"{about['cores']} cores, {', '.join(what).format(**about)}."]
    for name, case in cases.items():
        lines += ["", *_case(name, case)]
    return "\n".join([*lines, ""])


def amount(measure: str, figure: float) -> str:
    """A figure with its unit: `1.20 s`."""
    decimals, unit = _UNITS[measure.rpartition("_")[2]]
    return f"{figure:.{decimals}f} {unit}".rstrip()


def _case(name: str, case: Measured) -> Iterator[str]:
    settings = "".join(f", {key} {value}" for key, value in case.settings.items())
    load = f"{min(case.load):.1f} to {max(case.load):.1f}"
    yield f"### {case.title}"
    yield ""
    plural = "" if case.rounds == 1 else "s"
    yield f"`--case {name}`: {case.rounds} round{plural}, load average {load}{settings}."
    yield ""
    yield f"![{case.title}, as bars; the table has the figures]({PLOTS}/{name}.svg)"
    yield ""
    measures = list(dict.fromkeys(one for kept in case.samples.values() for one in kept))
    yield row(["", *(measure.rpartition("_")[0].replace("_", " ") for measure in measures)])
    yield row(["---"] * (len(measures) + 1))
    for rival, kept in case.samples.items():
        yield row([rival, *(_figure(measure, kept.get(measure)) for measure in measures)])
    if not case.ratios:
        return
    yield ""
    yield row(["ratio of medians", "by", "is", "each round", "at most"])
    yield row(["---"] * 5)
    for ratio in case.ratios:
        rounds = case.each_of(ratio)
        yield row(
            [
                f"{ratio.of} / {ratio.over}",
                ratio.measure.rpartition("_")[0].replace("_", " "),
                f"**{case.of_medians(ratio):.2f}**",
                f"{min(rounds):.2f} to {max(rounds):.2f}",
                "" if ratio.limit is None else f"{ratio.limit:.2f}",
            ]
        )


def _figure(measure: str, figures: Sequence[float] | None) -> str:
    """The median with its spread."""
    if not figures:
        return ""
    decimals, _ = _UNITS[measure.rpartition("_")[2]]
    low, high = (f"{one:.{decimals}f}" for one in (min(figures), max(figures)))
    return f"{amount(measure, median(figures))} ({low} to {high})"
