"""The images that `ravi-launch images` builds, and the files they are built from.

A wheel has the files in `image_files` beside this package, put there by pyproject.toml; a checkout
has the same ones at its root, where `make images` reads them.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import ravi_agent
from ravi_agent.errors import SettingsError, UsageError

_PACKAGE = os.path.dirname(os.path.abspath(ravi_agent.__file__))
FILES = "image_files"
_WHEEL = os.path.join(_PACKAGE, "launcher", FILES)
_COMPILED = shutil.ignore_patterns("__pycache__")  # by pip, as it installs
_CHECKOUT = os.path.dirname(os.path.dirname(_PACKAGE))


@dataclass(frozen=True)
class ProjectImage:
    """An image of this project. use: what it is for, in a few words."""

    name: str
    dockerfile: str
    use: str


# In the order in which they are built: all others stand on the first one.
IMAGES = (
    ProjectImage("ravi-agent-base", "Dockerfile", "FROM it, for agents"),
    ProjectImage("ravi-init", "images/init/Dockerfile", "Init container for Kubernetes"),
    ProjectImage("ravi-local", "images/local/Dockerfile", "Local Ravi, for --local"),
    ProjectImage("ravi-launch", "images/launch/Dockerfile", "Launcher in a cluster"),
    ProjectImage("ravi-agent-example", "images/agent-example/Dockerfile", "Example agent"),
)


def choose_images(names: Sequence[str]) -> tuple[ProjectImage, ...]:
    """The images of those names, or all of them where there are none.

    Raises UsageError for a name that no image has.
    """
    known = [one.name for one in IMAGES]
    for name in names:
        if name not in known:
            raise UsageError(
                f"image {name!r}", f"choose {', '.join(known)}", "ravi-launch images build"
            )
    return tuple(one for one in IMAGES if one.name in names or not names)


@contextmanager
def build_context() -> Iterator[str]:
    """A directory to build the images in, with the same paths as a checkout.

    Raises SettingsError where this installation has no such files, as in our own images.
    """
    if os.path.isdir(_WHEEL):
        with tempfile.TemporaryDirectory(prefix="ravi-launch-") as directory:
            shutil.copytree(_WHEEL, directory, ignore=_COMPILED, dirs_exist_ok=True)
            shutil.copytree(
                _PACKAGE,
                os.path.join(directory, "entrypoint", "ravi_agent"),
                ignore=shutil.ignore_patterns("__pycache__", FILES),
            )
            yield directory
    elif os.path.isfile(os.path.join(_CHECKOUT, "images", "init", "Dockerfile")):
        yield _CHECKOUT
    else:
        raise SettingsError(
            "images",
            "this installation does not have the files to build them from",
            "pip install 'ravi-agent-base[launch]', and build on the host",
        )
