"""`python -m release WORD …`: see COMMANDS, or run it without a word."""

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from ravi_agent import __version__
from release import files, twice
from release.build import ROOT
from release.image import ImageError, load, save
from release.python_image import NEWEST
from release.registry import Registry


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


def check(arguments: argparse.Namespace) -> None:
    """Do everything that a release does but the upload."""
    from release.check import run  # it imports the tests, which the other words need not have

    run(arguments.python)


def images(arguments: argparse.Namespace) -> None:
    """Build, check and write the images of a Python version for this machine's architecture."""
    from release import publish

    print("\n".join(publish.make(arguments.python, arguments.base, Registry())))


def push(arguments: argparse.Namespace) -> None:
    """Push what `images` has made on a machine of each architecture, and list it in a file."""
    from release import publish

    published = publish.push(arguments.registry, Registry())
    publish.write_matrix(published, publish.FOLDER / "published.json")
    for one in published:
        print(f"{one.image}@{one.digest}")


def notes(arguments: argparse.Namespace) -> None:
    """Write this version's section of the changelog, and beside it the tables that go with it.

    The tag has to be of this version.
    """
    from release import publish

    if arguments.tag != f"v{__version__}":
        raise ImageError(f"{arguments.tag} is not v{__version__}\n  fix: git tag v{__version__}")
    text = publish.notes((ROOT / "CHANGELOG.md").read_text(), __version__)
    folder = publish.FOLDER / "page"
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    (folder / "notes.md").write_text(text)
    for table in ("conformance.md", "performance.md"):
        if (ROOT / "docs" / table).exists():
            shutil.copy(ROOT / "docs" / table, folder / "tables")


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
    word = words.add_parser("check", help=check.__doc__)
    word.add_argument("--python", default=NEWEST, metavar="VERSION")
    word.set_defaults(run=check)
    word = words.add_parser("images", help=images.__doc__)
    word.add_argument("--python", default=NEWEST, metavar="VERSION")
    word.add_argument("--base", metavar="IMAGE", help="in place of the pinned one")
    word.set_defaults(run=images)
    word = words.add_parser("push", help=push.__doc__)
    word.add_argument("registry", help="such as ghcr.io/OWNER")
    word.set_defaults(run=push)
    word = words.add_parser("notes", help=notes.__doc__)
    word.add_argument("tag")
    word.set_defaults(run=notes)
    arguments = parser.parse_args()
    # What was started is ended at a stop too.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        arguments.run(arguments)
    except (ImageError, subprocess.CalledProcessError) as exc:
        sys.stderr.write(f"release: error: {exc}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
