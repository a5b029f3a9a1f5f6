"""`make demo` builds the images again only when they would become others."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "images-if-changed"
# An engine that has the images that `images` has "built".
DOCKER = '#!/bin/sh\ncat "$IMAGES" 2>/dev/null\n'
BUILD = '#!/bin/sh\necho built\necho sha256:1 >"$IMAGES"\n'


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("Dockerfile", ".dockerignore", "entrypoint/a.py", "images/b", "images/c"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1")
    for name, text in (("scripts/images", BUILD), ("bin/docker", DOCKER)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    (tmp_path / ".venv").mkdir()
    shutil.copy(SCRIPT, tmp_path / "scripts")
    return tmp_path


def builds(tree: Path, **variables: str) -> bool:
    environ = {
        "PATH": f"{tree / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "IMAGES": str(tree / "engine"),
        **variables,
    }
    line = [str(tree / "scripts" / SCRIPT.name)]
    return subprocess.run(line, env=environ, check=True, capture_output=True).stdout == b"built\n"


@pytest.mark.parametrize(
    "change",
    [
        lambda tree: (tree / "entrypoint" / "a.py").write_text("22"),
        lambda tree: (tree / "images" / "b").unlink(),
        lambda tree: (tree / "images" / "new").write_text("1"),
        lambda tree: (tree / "engine").write_text("sha256:2\n"),
        lambda tree: (tree / "engine").unlink(),
    ],
    ids=["changed file", "removed file", "new file", "other image", "missing image"],
)
def test_images_are_built_once_and_again_after_a_change(
    tree: Path, change: Callable[[Path], object]
) -> None:
    assert builds(tree)
    assert not builds(tree)

    change(tree)

    assert builds(tree)
    assert not builds(tree)


def test_compiled_files_are_no_change(tree: Path) -> None:
    assert builds(tree)

    (tree / "entrypoint" / "__pycache__").mkdir()
    (tree / "entrypoint" / "__pycache__" / "a.pyc").write_text("1")

    assert not builds(tree)


def test_another_base_is_always_built(tree: Path) -> None:
    assert builds(tree)
    assert builds(tree, BASE_IMAGE="other")
