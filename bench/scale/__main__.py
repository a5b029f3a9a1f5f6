"""`python -m bench.scale`: run the sizes, write `results.json` and the table of `docs/scale.md`."""

import argparse
import datetime as dt
import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bench.scale import page
from bench.scale.world import measure

COUNTS = (1_000, 3_000, 10_000)
RESULTS = Path(__file__).with_name("results.json")
PAGE = Path(__file__).parents[2] / "docs/scale.md"


def main(argv: Sequence[str] | None = None) -> int:
    """0 when every size has run; 69 where the cluster or the launcher did not succeed."""
    given = arguments().parse_args(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what runs is ended with this
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    for count in given.count or COUNTS:
        if given.page_only:
            break
        sys.stderr.write(f"scale: a run of {count:,} agents\n")
        try:
            version, cost = measure(count)
        except (RuntimeError, subprocess.CalledProcessError) as exc:
            sys.stderr.write(
                f"scale: error: {exc}\n  fix: scripts/cluster stop, and run it again\n"
            )
            return 69
        one = {
            **asdict(cost),
            "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
            "kubernetes": version.removeprefix("v"),
            "python": platform.python_version(),
            "cores": os.cpu_count(),
        }
        sys.stderr.write(f"scale: {json.dumps(one)}\n")
        if not given.no_page:
            results[str(count)] = one
            results = dict(sorted(results.items(), key=lambda item: int(item[0])))
            RESULTS.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if not given.no_page:
        PAGE.write_text(
            page.put_into(PAGE.read_text(encoding="utf-8"), results.values()), encoding="utf-8"
        )
    return 0


def arguments() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(prog="bench.scale", description=__doc__)
    parser.add_argument("--count", type=int, action="append", help="agents of a run; repeat it")
    parser.add_argument(
        "--page-only", action="store_true", help="only write the page from the results there are"
    )
    parser.add_argument("--no-page", action="store_true", help="keep nothing, only say it")
    return parser


if __name__ == "__main__":
    sys.exit(main())
