"""Check that every Python package in our images has a licence that we may pass on.

    python scripts/licences.py

Reads what the lock files of the images name, and what the installed packages say of themselves
(https://packaging.python.org/en/latest/specifications/core-metadata/#license-expression).
"""

import re
import sys
from collections.abc import Iterator
from email.message import Message
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import cast

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
# SPDX identifiers, https://spdx.org/licenses/. MPL-2.0 asks that changes to its own files stay
# open; we change none.
ALLOWED = {
    *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "MPL-2.0"),
    *("PSF-2.0", "Unlicense", "Zlib"),
}
# Older metadata says it in words, or in a classifier.
_SPDX = {
    "apache 2.0": "Apache-2.0",
    "license :: osi approved :: apache software license": "Apache-2.0",
    "license :: osi approved :: bsd license": "BSD-3-Clause",
    "license :: osi approved :: isc license (iscl)": "ISC",
    "license :: osi approved :: mit license": "MIT",
    "license :: osi approved :: mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "license :: osi approved :: python software foundation license": "PSF-2.0",
}


def main() -> int:
    """1, with a line for each, if a package has another licence or says none."""
    bad = []
    names = sorted(set(shipped(ROOT)))
    for name in names:
        licence = licence_of(cast("Message", metadata(name)))
        if not is_allowed(licence):
            bad.append(f"licences: error: {name}: {licence or 'its metadata names no licence'}")
    for line in bad:
        sys.stderr.write(f"{line}\n  fix: replace the package, or allow it in {__file__}\n")
    sys.stdout.write(f"licences: {len(names) - len(bad)} of {len(names)} packages are allowed\n")
    return int(bool(bad))


def shipped(root: Path) -> Iterator[str]:
    """The packages of the lock files, but for those of other platforms.

    Raises PackageNotFoundError where the environment is not the one of requirements.lock.
    """
    for lock in sorted(root.glob("images/*/requirements.lock")):
        for line in re.findall(r"^[a-z0-9].*?(?= \\$|$)", lock.read_text("utf-8"), re.MULTILINE):
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate():
                yield requirement.name


def licence_of(package: Message) -> str:
    """An SPDX expression, or whatever the metadata says."""
    texts = [
        package.get("License-Expression"),
        package.get("License"),
        *(one for one in package.get_all("Classifier", []) if one.startswith("License ::")),
    ]
    found = [_SPDX.get(text.lower(), text) for text in texts if text]
    return next((text for text in found if is_allowed(text)), found[0] if found else "")


def is_allowed(expression: str) -> bool:
    """One alternative of OR is enough; of AND every part has to be allowed."""
    return any(
        all(part.strip(" ()") in ALLOWED for part in either.split(" AND "))
        for either in expression.split(" OR ")
    )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except PackageNotFoundError as exc:
        sys.stderr.write(f"licences: error: {exc} is not installed\n  fix: scripts/venv .venv\n")
        sys.exit(69)
