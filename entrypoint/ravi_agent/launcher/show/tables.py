"""Tables and JSON on standard output, the same for every engine."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TextIO

from ravi_agent.launcher.model.findings import Finding, Verdict
from ravi_agent.launcher.show.for_terminal import say
from ravi_agent.terminal import visible


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], out: TextIO | None = None
) -> None:
    """A table on `out`, or standard output; lines are wrapped for a terminal only."""
    from rich.console import Console  # 30 ms, which whoever prints no table need not wait for
    from rich.table import Table

    table = Table(*columns, box=None, pad_edge=False)
    console = Console(file=out, highlight=False, markup=False, emoji=False)
    for row in rows:
        table.add_row(*(map(visible, row) if console.is_terminal else row))
    if not console.is_terminal:
        console = Console(file=out, highlight=False, markup=False, emoji=False, width=10_000)
    console.print(table)


def show_findings(findings: Sequence[Finding], *, is_json: bool) -> int:
    """`doctor`: a line for each thing checked, and one for its fix.

    Returns 0 if nothing is bad, else 1.
    """
    if is_json:
        print(json.dumps([asdict(one) for one in findings], indent=2))
    else:
        for one in findings:  # a fix is to be typed: it is neither wrapped nor cut
            say(f"{one.verdict:<5} {one.what}: {one.says}")
            if one.fix:
                say(f"      fix: {one.fix}")
    return int(any(one.verdict == Verdict.BAD for one in findings))
