"""`python -m reference [--check] [FOLDER]`: write the reference, or compare it with the code."""

import sys
from pathlib import Path

from reference.pages import PAGES

FOLDER = Path(__file__).parents[2] / "docs/reference"


def main(argv: list[str]) -> int:
    """0 if the folder holds these pages now; with `--check` nothing is written."""
    is_checking = argv[:1] == ["--check"]
    folder = Path(*argv[is_checking:]) if argv[is_checking:] else FOLDER
    written = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.md")}
    pages = {name: page() for name, page in PAGES.items()}
    if is_checking:
        stale = sorted(
            name for name in written.keys() | pages.keys() if written.get(name) != pages.get(name)
        )
        if stale:
            sys.stderr.write(
                f"reference: error: {folder} differs from the code: {', '.join(stale)}\n"
                "  fix: make reference\n"
            )
        return int(bool(stale))
    folder.mkdir(parents=True, exist_ok=True)
    for name in written.keys() - pages.keys():
        (folder / name).unlink()
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
