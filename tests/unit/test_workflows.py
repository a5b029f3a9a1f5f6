"""The workflows of GitHub call what anyone can run here, and the gate waits for every job."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def jobs_of(path: Path) -> dict[str, Any]:
    jobs: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
    return jobs


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_make_target_is_in_the_makefile(path: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    steps = [step for job in jobs_of(path).values() for step in job["steps"]]
    called = re.findall(r"\bmake ([a-z-]+)", "\n".join(step.get("run", "") for step in steps))

    assert called
    assert set(called) <= set(targets)


def test_the_gate_needs_every_job_and_its_success() -> None:
    jobs = jobs_of(ROOT / ".github" / "workflows" / "ci.yml")
    gate = jobs.pop("gate")
    (step,) = gate["steps"]

    assert set(gate["needs"]) == set(jobs)
    assert step["env"] == {name.upper(): f"${{{{ needs.{name}.result }}}}" for name in jobs}
    words = re.fullmatch(r"test \"(.*)\" = '(.*)'", step["run"])
    assert words
    assert {word.strip("${}") for word in words[1].split()} == set(step["env"])
    assert words[2].split() == ["success"] * len(jobs)


def test_every_python_of_the_package_is_tested() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    promised = re.findall(r"Python :: (3\.\d+)\"", project)
    jobs = jobs_of(ROOT / ".github" / "workflows" / "ci.yml")

    for name in ("unit", "build", "test"):
        assert jobs[name]["strategy"]["matrix"]["python"] == promised
