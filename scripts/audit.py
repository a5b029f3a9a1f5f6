"""Ask PyPI for known vulnerabilities of the packages in our images.

    python scripts/audit.py

Fails for a vulnerability, and never because nobody answers: then it says that nothing is known.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
_TIMEOUT_S = 120


def main() -> int:
    """1, with a line for each, if a package has a known vulnerability."""
    locks = sorted(map(str, ROOT.glob("images/*/requirements.lock")))
    said = ask(locks)
    known = [one for one in said if "skip_reason" not in one]
    lines = vulnerabilities(known)
    sys.stderr.write(
        "".join(f"audit: error: {line}\n  fix: scripts/lock --upgrade\n" for line in lines)
    )
    if known:
        text = f"{len(known)} of {len(said)} packages asked for, {len(lines)} vulnerabilities"
    else:
        text = "PyPI does not answer: nothing is known about vulnerabilities"
    sys.stdout.write(f"audit: {text}\n")
    return int(bool(lines))


def ask(locks: list[str]) -> list[dict[str, Any]]:
    """What pip-audit says of each package; empty where it gets no answer."""
    line = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off"]
    line += ["--timeout", "10", "--disable-pip", "--require-hashes"]
    for lock in locks:
        line += ["--requirement", lock]
    try:
        done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S)
        answer: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError):
        return []
    return answer


def vulnerabilities(packages: list[dict[str, Any]]) -> list[str]:
    """One line for each, with the versions that mend it."""
    return [
        f"{one['name']} {one['version']}: {known['id']}"
        f", mended in {', '.join(known['fix_versions']) or 'no version'}"
        for one in packages
        for known in one["vulns"]
    ]


if __name__ == "__main__":
    sys.exit(main())
