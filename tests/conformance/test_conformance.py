"""One suite, four inits and a bad one: what an agent may expect of its PID 1."""

import os
from pathlib import Path

import pytest

import ravi_agent
from conformance.conftest import Laboratory
from conformance.containers import BAD, OURS, RIVALS, Init
from conformance.rows import ROWS, Row
from conformance.table import own_column, page

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "conformance.md"

each_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)


@each_row
def test_ours_is_green(laboratory: Laboratory, row: Row) -> None:
    verdict = laboratory.verdict(row, OURS)

    assert verdict.is_green, f"{row.behaviour}: {verdict.seen}"


@each_row
def test_an_init_that_does_everything_wrong_is_red(laboratory: Laboratory, row: Row) -> None:
    """Else the check could not fail."""
    verdict = laboratory.verdict(row, BAD)

    assert verdict.is_green is False, f"{row.behaviour}: {verdict.seen}"


@each_row
@pytest.mark.parametrize("rival", RIVALS, ids=lambda init: init.name)
def test_no_rival_is_green_where_ours_is_red(laboratory: Laboratory, rival: Init, row: Row) -> None:
    """A rival's red is only written down, in docs/conformance.md."""
    verdict = laboratory.verdict(row, rival)

    assert not (verdict.is_green and not laboratory.verdict(row, OURS).is_green), verdict.seen


def test_the_page_says_what_was_measured(laboratory: Laboratory) -> None:
    inits = (OURS, *RIVALS)
    measured = {
        (row.key, init.name): laboratory.verdict(row, init) for row in ROWS for init in inits
    }
    versions = {OURS.name: ravi_agent.__version__, **laboratory.engine.package_versions()}

    text = page(measured, versions)

    if os.environ.get("RAVI_WRITE_DOCS") == "1":
        PAGE.write_text(text)
    assert own_column(PAGE.read_text()) == own_column(text), (
        "RAVI_WRITE_DOCS=1 pytest tests/conformance"
    )
