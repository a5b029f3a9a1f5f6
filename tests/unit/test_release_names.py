"""Under which names a release is published, and that everything it stands on is pinned."""

import re
from pathlib import Path

import pytest
import yaml

from release import publish, python_image
from release.image import ImageError

ROOT = Path(__file__).parents[2]
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())


@pytest.mark.parametrize(
    ("version", "python", "tags"),
    [
        (
            "1.2.3",
            "3.13",
            ["1.2.3", "1.2", "latest", "1.2.3-py3.13", "1.2-py3.13", "latest-py3.13"],
        ),
        ("1.2.3", "3.11", ["1.2.3-py3.11", "1.2-py3.11", "latest-py3.11"]),
        ("1.2.3rc1", "3.13", ["1.2.3rc1", "1.2.3rc1-py3.13"]),
    ],
)
def test_the_tags_of_an_image(version: str, python: str, tags: list[str]) -> None:
    assert publish.tags(version, python) == tags


def test_every_python_is_pinned_and_published() -> None:
    classifiers = re.findall(
        r'"Programming Language :: Python :: (3\.\d+)"', _text("pyproject.toml")
    )
    pinned = sorted(path.name for path in python_image.PINS.iterdir())

    assert pinned == sorted(classifiers)
    assert WORKFLOW["jobs"]["images"]["strategy"]["matrix"]["python"] == pinned
    for version in pinned:
        assert python_image.pinned(version).startswith(f"python:{version}-slim-bookworm@sha256:")


def test_only_agents_choose_their_python() -> None:
    assert publish.images_for("3.11") == ("ravi-agent-base",)
    assert len(publish.images_for(python_image.NEWEST)) == 4


CHANGELOG = """\
# Changelog

## [Unreleased]

- Not yet.

## [0.2.0] - 2026-11-26

### Added

- This.

## [0.1.0]

- That.

[0.1.0]: https://example.com
"""


def test_the_notes_are_a_versions_section() -> None:
    assert publish.notes(CHANGELOG, "0.2.0") == "### Added\n\n- This.\n"
    assert publish.notes(CHANGELOG, "0.1.0") == "- That.\n"


def test_a_version_without_a_section_is_refused() -> None:
    with pytest.raises(ImageError, match=r"no section 0\.3\.0"):
        publish.notes(CHANGELOG, "0.3.0")


def test_the_workflow_calls_targets_that_are_there() -> None:
    steps = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]
    called = [word for step in steps for word in re.findall(r"make ([a-z-]+)", step.get("run", ""))]
    targets = re.findall(r"^([a-z-]+):", _text("Makefile"), re.MULTILINE)

    assert called == ["release-notes", "dist", "release-images", "release-push"]
    assert set(called) <= set(targets)


def test_the_workflow_has_no_secret_and_pins_every_action() -> None:
    text = _text(".github/workflows/release.yml")
    steps = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]

    assert "secrets." not in text
    assert WORKFLOW["permissions"] == {}
    for step in steps:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", step.get("uses", f"x@{'0' * 40}"))


def _text(path: str) -> str:
    return (ROOT / path).read_text()
