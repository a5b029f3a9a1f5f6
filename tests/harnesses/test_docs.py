"""docs/harnesses.md names what is there, all of it and nothing else."""

import re
import subprocess

from harnesses.conftest import RECIPES
from ravi_agent.setting_values import credential_files
from ravi_agent.workspace import ledger

ROOT = RECIPES.parents[1]
PAGE = (ROOT / "docs/harnesses.md").read_text()


def test_every_recipe_is_in_the_table() -> None:
    named = set(re.findall(r"`([\w-]+/[\w.-]+)`", PAGE))
    there = {str(path.relative_to(RECIPES)) for path in RECIPES.rglob("*") if path.is_file()}

    assert named == there


def test_links_and_paths_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", PAGE)

    assert links
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []
    assert ledger.FILE in PAGE


def test_the_setting_of_the_page_is_understood() -> None:
    setting = re.search(r"`RAVI_CREDENTIAL_FILES=(\S+)`", PAGE)

    assert setting
    assert credential_files(setting[1], "/w")[0] == (".lalph/ravi.json", "json")


def test_scripts_that_are_run_can_be() -> None:
    for path in RECIPES.rglob("*"):
        if path.is_file() and path.read_text().startswith("#!"):
            assert path.stat().st_mode & 0o111, path
            shell = "bash" if "bash" in path.read_text().splitlines()[0] else "sh"
            subprocess.run([shell, "-n", path], check=True)
