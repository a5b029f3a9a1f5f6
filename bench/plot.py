"""The plots of `docs/performance.md`: the medians of a case as bars, with their spread."""

import os
from collections.abc import Iterator, Mapping
from html import escape
from statistics import median

from bench.samples import Measured
from bench.table import amount

_LABELS, _BARS, _AMOUNTS = 330, 360, 110  # columns, in pixels
_LINE, _BAR, _HEAD = 28, 14, 34
_STYLE = """\
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600 }
.amount { font-variant-numeric: tabular-nums }
.ours { fill: #1f883d }
.rival { fill: #8c959f }
.spread { stroke: #24292f; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .ours { fill: #3fb950 }
  .rival { fill: #6e7681 }
  .spread { stroke: #e6edf3 }
}"""


def write(directory: str, cases: Mapping[str, Measured]) -> None:
    """A file for each case. The directory has nothing else."""
    os.makedirs(directory, exist_ok=True)
    for name in set(os.listdir(directory)) - {f"{case}.svg" for case in cases}:
        os.remove(os.path.join(directory, name))
    for name, case in cases.items():
        with open(os.path.join(directory, f"{name}.svg"), "w", encoding="utf-8") as file:
            file.write(draw(case))


def draw(case: Measured) -> str:
    """SVG: a bar for each rival, by the measure of the case's first ratio; ours in green."""
    measure = case.ratios[0].measure
    width = _LABELS + _BARS + _AMOUNTS
    height = _HEAD + _LINE * len(case.samples)
    what = escape(f"{case.title}: {measure.rpartition('_')[0].replace('_', ' ')}")
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        f"<title>{what}</title>",
        f"<style>\n{_STYLE}\n</style>",
        f'<text class="title" x="0" y="16">{what}</text>',
        *_bars(case, measure),
        "</svg>",
    ]
    return "\n".join([*lines, ""])


def _bars(case: Measured, measure: str) -> Iterator[str]:
    others = {ratio.over for ratio in case.ratios}
    scale = _BARS / max(max(kept[measure]) for kept in case.samples.values())
    for number, (rival, kept) in enumerate(case.samples.items()):
        figures = kept[measure]
        top = _HEAD + number * _LINE
        middle = top + _BAR / 2
        low, mid, high = (scale * one for one in (min(figures), median(figures), max(figures)))
        kind = "rival" if rival in others or rival.startswith("tini") else "ours"
        yield f'<text x="0" y="{top + 12}">{escape(rival)}</text>'
        yield (f'<rect class="{kind}" x="{_LABELS}" y="{top}" width="{mid:.1f}" height="{_BAR}"/>')
        yield (
            f'<line class="spread" x1="{_LABELS + low:.1f}" x2="{_LABELS + high:.1f}"'
            f' y1="{middle:g}" y2="{middle:g}"/>'
        )
        yield (
            f'<text class="amount" x="{_LABELS + _BARS + 10}" y="{top + 12}">'
            f"{amount(measure, median(figures))}</text>"
        )
