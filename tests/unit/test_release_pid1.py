"""What the release's check of PID 1 leaves to machines of the other architecture, and no more."""

from pathlib import Path

from conformance import rows
from release import pid1

PAGE = Path(__file__).parents[2] / "docs/releasing.md"


def test_the_page_names_each_row_that_is_left_out_under_an_emulator() -> None:
    table = PAGE.read_text().partition("## What an emulated processor cannot show")[2]
    named = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("| ")]

    left_out = [row.behaviour for row in rows.ROWS if row.key in pid1.LEFT_OUT]

    assert sorted(named[1:]) == sorted(left_out)
    assert len(left_out) == len(pid1.LEFT_OUT)


def test_every_other_row_is_tried_under_an_emulator() -> None:
    tried = pid1.probes_for(is_emulated=True)

    # The emulator's own probe answers for the signals that it carries.
    answered = {row.key for row in rows.ROWS if row.probe in tried} | {"group", "alone"}

    assert answered >= {row.key for row in rows.ROWS} - pid1.LEFT_OUT.keys()
    assert pid1.forwarding in tried


def test_every_row_is_tried_on_a_real_processor() -> None:
    tried = pid1.probes_for(is_emulated=False)

    assert {row.probe for row in rows.ROWS} == set(tried)
