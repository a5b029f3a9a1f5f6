"""docs/reference is what `make reference` writes, wherever and by whomever it is run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ravi_agent import errors
from ravi_agent.settings import VARIABLES

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs/reference"


def reference(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "reference", *arguments],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "scripts"), **environment},
        capture_output=True,
        check=False,
        text=True,
    )


def rows(page: str) -> list[list[str]]:
    """The cells of every table of a page, without code marks."""
    text = (REFERENCE / page).read_text(encoding="utf-8")
    return [
        [cell.strip().replace("`", "") for cell in line.split("|")[1:-1]]
        for line in text.splitlines()
        if line.startswith("| ")
    ]


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({}, id="a clean environment"),
        pytest.param({"COLUMNS": "40", "TERM": "dumb", "NO_COLOR": "1"}, id="a narrow terminal"),
        pytest.param({"COLUMNS": "400", "FORCE_COLOR": "1"}, id="a wide terminal in colour"),
        pytest.param({"LC_ALL": "C", "LANGUAGE": "de", "TZ": "Asia/Tokyo"}, id="another locale"),
        pytest.param(
            {"RAVI_API_URL": "http://127.0.0.1:1", "RAVI_GRACE": "99", "HOME": "/nowhere"},
            id="settings of its own",
        ),
    ],
)
def test_the_reference_is_what_the_code_says(environment: dict[str, str]) -> None:
    done = reference("--check", **environment)

    assert (done.returncode, done.stderr) == (0, "")


def test_a_reference_that_is_written_is_current_and_one_that_is_edited_is_not(
    tmp_path: Path,
) -> None:
    (tmp_path / "gone.md").write_text("of an older version")
    assert reference("--check", str(tmp_path)).returncode == 1
    assert reference(str(tmp_path)).returncode == 0
    assert reference("--check", str(tmp_path)).returncode == 0
    assert not (tmp_path / "gone.md").exists()

    page = tmp_path / "exit-codes.md"
    page.write_text(page.read_text(encoding="utf-8").replace("`77`", "`79`"), encoding="utf-8")
    done = reference("--check", str(tmp_path))

    assert done.returncode == 1
    assert "exit-codes.md" in done.stderr
    assert "make reference" in done.stderr


def test_every_setting_is_in_the_reference_and_says_what_it_means() -> None:
    settings = [cells for cells in rows("variables.md")[1:] if len(cells) == 3]

    assert [(name, default) for name, default, _ in settings] == [
        (name, default) for name, (default, _) in VARIABLES.items()
    ]
    assert all(meaning for _, _, meaning in settings)


def test_every_error_leaves_with_a_code_of_the_reference() -> None:
    written = {cells[0] for cells in rows("exit-codes.md")}

    assert {str(kind.exit_code) for kind in subclasses(errors.RaviError)} <= written


def subclasses(kind: type[errors.RaviError]) -> list[type[errors.RaviError]]:
    return [kind, *(below for child in kind.__subclasses__() for below in subclasses(child))]


def test_no_option_of_the_reference_is_without_a_meaning() -> None:
    empty = [
        (page.name, cells[0])
        for page in REFERENCE.glob("*.md")
        for cells in rows(page.name)
        if re.match(r"-{1,2}[a-z]", cells[0]) and not cells[-1]
    ]

    assert empty == []
