"""The tables of `docs/performance.md` are those of `bench/results.json`, and say what it says."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bench import plot, samples, table
from bench.__main__ import CASES
from bench.samples import Measured, Ratio
from bench.world import Options

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/performance.md").read_text(encoding="utf-8")
RESULTS = str(ROOT / "bench/results.json")
ABOUT = {"cores": 2, "kernel": "6.1", "python": "3.11", "engine": "Docker 1"}


def measured() -> Measured:
    ratios = [Ratio(of="ours", over="tini", measure="wall_s", limit=1.15)]
    one = Measured(title="A case", rounds=3, settings={"containers": 50}, ratios=ratios)
    one.load += [0.1, 2.25, 0.3]
    for ours, tini in ((12.0, 10.0), (11.0, 5.0), (30.0, 30.0)):
        one.add("tini", {"wall_s": tini})
        one.add("ours", {"wall_s": ours, "private_mb": ours / 10})
    return one


def test_the_page_has_the_tables_of_the_results_that_are_kept() -> None:
    about, cases = samples.read(RESULTS)

    assert cases
    assert table.put_into(PAGE, about, cases) == PAGE


def test_every_case_says_what_it_depends_on_and_compares() -> None:
    options = Options(count=50, concurrency=8, latency_ms=0.0)

    for name, case in CASES.items():
        assert case.TITLE, name
        assert case.RATIOS, name
        assert options.named(case.SETTINGS).keys() == set(case.SETTINGS), name


def test_every_rival_of_a_round_was_measured_in_every_round() -> None:
    _, cases = samples.read(RESULTS)

    for one in cases.values():
        assert len(one.load) == one.rounds
        counts = {len(figures) for kept in one.samples.values() for figures in kept.values()}
        assert counts == {one.rounds}


def test_a_table_has_medians_with_their_spread_and_ratios_of_both_kinds() -> None:
    shown = table.tables(ABOUT, {"name": measured()}).splitlines()

    assert "2 cores, Linux 6.1, engine Docker 1, Python 3.11 on the host." in shown
    assert "`--case name`: 3 rounds, load average 0.1 to 2.2, containers 50." in shown
    assert "| tini | 10.00 s (5.00 to 30.00) |  |" in shown
    assert "| ours | 12.00 s (11.00 to 30.00) | 1.20 MB (1.10 to 3.00) |" in shown
    assert "| ours / tini | wall | **1.20** | 1.00 to 2.20 | 1.15 |" in shown


def test_a_plot_has_a_bar_for_each_rival_with_its_spread() -> None:
    drawn = ET.fromstring(plot.draw(measured()))  # noqa: S314 - drawn here

    texts = [one.text for one in drawn.iterfind("{*}text")]
    assert texts == ["A case: wall", "tini", "10.00 s", "ours", "12.00 s"]
    bars = [(one.get("class"), float(one.attrib["width"])) for one in drawn.iterfind("{*}rect")]
    spreads = [
        (float(one.attrib["x2"]) - float(one.attrib["x1"])) for one in drawn.iterfind("{*}line")
    ]
    assert bars == [("rival", 120.0), ("ours", 144.0)]
    assert spreads == pytest.approx([300.0, 228.0], abs=0.1)


def test_the_plots_of_the_page_are_those_of_the_results() -> None:
    _, cases = samples.read(RESULTS)
    plots = ROOT / "docs" / table.PLOTS

    drawn = {f"{name}.svg": plot.draw(case) for name, case in cases.items()}
    assert {one.name: one.read_text(encoding="utf-8") for one in plots.iterdir()} == drawn


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = str(tmp_path / "results.json")
    samples.write(path, ABOUT, {"name": measured()})

    assert samples.read(path) == (ABOUT, {"name": measured()})


def test_results_of_another_format_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text('{"format": 0, "machine": {}, "cases": {}}', encoding="utf-8")

    with pytest.raises(ValueError, match="not of this version"):
        samples.read(str(path))


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="no marks"):
        table.put_into("# Performance\n", ABOUT, {})
