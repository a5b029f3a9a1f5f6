"""Break what decides over identities in many small ways, and count what the tests see.

    python scripts/mutation.py [--limit N] [MODULE...]

cosmic-ray changes files where they are, so this works in a copy of the tree. Prints the changes
that no test has seen, and a score for each module; always ends with 0: the score is to be read.
"""

import argparse
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
COPY = ROOT / "build" / "mutation"
PACKAGE = "entrypoint/ravi_agent"
# Each module, and the tests that would have to see a change in it.
TESTS = {
    "service/provision.py": ("test_provision.py",),
    "workspace/claim.py": ("test_workspace.py", "test_file_systems.py"),
    "workspace/contents.py": ("test_workspace.py",),
    "workspace/reader.py": ("test_workspace.py",),
    "workspace/trust.py": ("test_workspace.py",),
}
_TIMEOUT_S = 300.0  # a change may make a loop that does not end


def main(argv: Sequence[str]) -> int:
    """Print a score for each module."""
    parser = argparse.ArgumentParser(description="Mutation score of the modules that decide.")
    parser.add_argument("--limit", type=int, metavar="N", help="changes of each module (all)")
    parser.add_argument("modules", nargs="*", choices=[[], *TESTS], default=[], metavar="MODULE")
    given = parser.parse_args(argv)
    copy_tree()
    for module in given.modules or TESTS:
        outcomes = measure(module, given.limit)
        seen = outcomes["killed"] + outcomes["incompetent"]
        total = sum(outcomes.values())
        print(f"{module}: {seen} of {total} changes seen, {100 * seen // max(1, total)} %")
    return 0


def copy_tree() -> None:
    """The files that git knows, as they are now."""
    shutil.rmtree(COPY, ignore_errors=True)
    line = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(line, cwd=ROOT, check=True, capture_output=True, text=True)
    for name in done.stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (COPY / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, COPY / name)


def measure(module: str, limit: int | None) -> "Counter[str]":
    """How many changes of a module had which outcome; prints those that survived."""
    tests = " ".join(f"tests/unit/{name}" for name in TESTS[module])
    config, session = COPY / "mutation.toml", COPY / "mutation.sqlite"
    session.unlink(missing_ok=True)
    config.write_text(
        f'[cosmic-ray]\nmodule-path = "{PACKAGE}/{module}"\ntimeout = {_TIMEOUT_S}\n'
        "excluded-modules = []\n"
        f'test-command = "{sys.executable} -m pytest -x -q -p no:cacheprovider {tests}"\n'
        '[cosmic-ray.distributor]\nname = "local"\n',
        encoding="utf-8",
    )
    cosmic_ray("baseline", config.name)  # the tests pass without a change
    cosmic_ray("init", config.name, session.name)
    if limit is not None:
        keep(session, limit)
    cosmic_ray("exec", config.name, session.name)
    outcomes: Counter[str] = Counter()
    for line in cosmic_ray("dump", session.name).splitlines():
        item, result = json.loads(line)
        outcome = (result or {}).get("test_outcome") or "incompetent"
        outcomes[outcome] += 1
        if outcome == "survived":
            print(describe(item["mutations"][0]))
    return outcomes


def keep(session: Path, limit: int) -> None:
    """Leave so many changes in a session, the same ones each time."""
    with sqlite3.connect(session) as database:
        jobs = [job for (job,) in database.execute("SELECT job_id FROM mutation_specs")]
        random.Random(0).shuffle(jobs)  # noqa: S311 - a sample
        for job in jobs[limit:]:
            database.execute("DELETE FROM mutation_specs WHERE job_id = ?", (job,))
            database.execute("DELETE FROM work_items WHERE job_id = ?", (job,))


def describe(change: dict[str, Any]) -> str:
    """Where a change was, and what kind it was."""
    line, column = change["start_pos"]
    kind = str(change["operator_name"]).removeprefix("core/")
    return f"  {change['module_path']}:{line}:{column + 1}: no test sees {kind}"


def cosmic_ray(*words: str) -> str:
    """What a command of cosmic-ray prints. Raises CalledProcessError where it fails."""
    environ = {**os.environ, "PYTHONPATH": str(COPY / "entrypoint"), "PYTHONDONTWRITEBYTECODE": "1"}
    line = [sys.executable, "-m", "cosmic_ray.cli", *words]
    return subprocess.run(
        line, cwd=COPY, env=environ, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
