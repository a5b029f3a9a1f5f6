"""`python -m release WORD …`: see COMMANDS, or run it without a word."""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from release import files, twice
from release.image import ImageError, load, save


def digest(arguments: argparse.Namespace) -> None:
    """Print one digest of the files of an image: names, modes, owners, times, contents."""
    if Path(arguments.image).is_dir():
        image = load(Path(arguments.image), arguments.architecture)
        print(files.digest(files.tree(image.layers), arguments.newest))
        return
    with tempfile.TemporaryDirectory() as folder:
        image = save(arguments.image, Path(folder))
        print(files.digest(files.tree(image.layers), arguments.newest))


def reproducible(_: argparse.Namespace) -> None:
    """Build every image twice without a cache, compare, and check what they add to their base."""
    print("\n".join(twice.run()))


def main() -> int:
    """0, or 1 with a reason."""
    parser = argparse.ArgumentParser(prog="python -m release")
    words = parser.add_subparsers(required=True, metavar="WORD")
    word = words.add_parser("digest", help=digest.__doc__)
    word.add_argument("image", help="a name that the engine knows, or a folder")
    word.add_argument("--architecture", default="amd64")
    word.add_argument(
        "--newest", type=int, metavar="SECONDS", help="later times (since 1970) count as this"
    )
    word.set_defaults(run=digest)
    word = words.add_parser("reproducible", help=reproducible.__doc__)
    word.set_defaults(run=reproducible)
    arguments = parser.parse_args()
    try:
        arguments.run(arguments)
    except (ImageError, subprocess.CalledProcessError) as exc:
        sys.stderr.write(f"release: error: {exc}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
