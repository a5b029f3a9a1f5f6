"""What was measured, as `results.json` keeps it: every sample of every round."""

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from statistics import median

# A rival's name, and of each measure one figure a round.
Samples = dict[str, dict[str, list[float]]]
FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """One rival over another, by one measure; the limit is what the project asks of itself."""

    of: str
    over: str
    measure: str
    limit: float | None = None


@dataclass(kw_only=True)
class Measured:
    """One case. load: the machine's load average before each round."""

    title: str
    rounds: int
    settings: Mapping[str, int | float]
    ratios: list[Ratio]
    load: list[float] = field(default_factory=list)
    samples: Samples = field(default_factory=dict)

    def add(self, rival: str, figures: Mapping[str, float]) -> None:
        """Keep one sample of a rival."""
        kept = self.samples.setdefault(rival, {})
        for measure, figure in figures.items():
            kept.setdefault(measure, []).append(round(figure, 6))

    def each_of(self, ratio: Ratio) -> list[float]:
        """The ratio of each round: the two were measured within the same minutes."""
        ours, theirs = (self.samples[one][ratio.measure] for one in (ratio.of, ratio.over))
        return [one / other for one, other in zip(ours, theirs, strict=True)]

    def of_medians(self, ratio: Ratio) -> float:
        """The ratio of the medians of all rounds."""
        ours, theirs = (self.samples[one][ratio.measure] for one in (ratio.of, ratio.over))
        return median(ours) / median(theirs)


def machine(engine: str | None) -> dict[str, str | int | None]:
    """What it was measured on. engine: None where no case needed one."""
    return {
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "engine": engine,
    }


def write(path: str, about: Mapping[str, object], cases: Mapping[str, Measured]) -> None:
    """Replace the file."""
    whole = {"format": FORMAT, "machine": about, "cases": {k: asdict(v) for k, v in cases.items()}}
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        json.dump(whole, file, indent=1)
        file.write("\n")
    os.replace(f"{path}.new", path)


def read(path: str) -> tuple[dict[str, object], dict[str, Measured]]:
    """The machine and the cases of a file. Raises OSError, ValueError."""
    with open(path, encoding="utf-8") as file:
        whole = json.load(file)
    if whole["format"] != FORMAT:
        raise ValueError(f"{path}: not of this version")
    cases = {}
    for name, one in whole["cases"].items():
        ratios = [Ratio(**ratio) for ratio in one.pop("ratios")]
        cases[name] = Measured(ratios=ratios, **one)
    return whole["machine"], cases
