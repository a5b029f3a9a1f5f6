"""The built wheel, installed with pip for each Python that is here, as a stranger does it.

RAVI_TEST_WHEEL is a wheel that was built before; else one is built from this tree.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ravi_agent import __version__

ROOT = Path(__file__).parents[2]
MINORS = (11, 12, 13, 14)
EXTRA_OF = {"ravi-launch": "launch", "ravi-local": "local"}
# The others stand on the wheel's own requirements alone.
CORE = {
    "ravi": "version",
    "ravi-entrypoint": "--version",
    "ravi-init": "--version",
    "ravi-release": "--version",
}


def python(minor: int) -> str | None:
    """An interpreter of that version that can make virtual environments, on PATH or of pyenv."""
    name = f"python3.{minor}"
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    for found in [shutil.which(name), *map(str, pyenv.glob(f"versions/*/bin/{name}"))]:
        if found and not subprocess.run([found, "-c", "import ensurepip"], check=False).returncode:
            return found
    return None


HERE = {minor: found for minor in MINORS if (found := python(minor))}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if given := os.environ.get("RAVI_TEST_WHEEL"):
        return Path(given)
    into = tmp_path_factory.mktemp("dist")
    line = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory"]
    subprocess.run([*line, str(into)], cwd=ROOT, check=True, capture_output=True)
    return next(into.glob("*.whl"))


@pytest.fixture(params=list(HERE), ids=lambda minor: f"3.{minor}")
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A new virtual environment's programs."""
    subprocess.run([HERE[request.param], "-m", "venv", tmp_path / "venv"], check=True)
    return tmp_path / "venv" / "bin"


def install(environment: Path, wheel: Path, extra: str = "") -> None:
    line = [str(environment / "python"), "-m", "pip", "install", "--quiet", f"{wheel}{extra}"]
    subprocess.run(line, check=True, cwd=environment)


def run(environment: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """A program of that environment, where no other Python looks into this tree."""
    variables = {"HOME": str(environment), "PATH": os.defpath}
    return subprocess.run(
        [environment / words[0], *words[1:]],
        env=variables,
        cwd=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_python_of_the_oldest_version_is_here() -> None:
    assert HERE


def test_each_command_works_or_says_which_extra_it_needs(environment: Path, wheel: Path) -> None:
    install(environment, wheel)
    for name, word in CORE.items():
        said = run(environment, name, word)
        assert (said.returncode, said.stderr) == (0, ""), said.stderr
        assert __version__ in said.stdout

    for name, words in (("ravi-launch", ["ps"]), ("ravi-local", ["--port", "0"])):
        said = run(environment, name, *words)

        assert (said.returncode, said.stdout) == (78, "")
        fix = f"pip install 'ravi-agent-base[{EXTRA_OF[name]}]'"
        assert re.fullmatch(
            rf"{name}: error: {name}: the Python package '\w+' is not installed\n"
            rf"  fix: {re.escape(fix)}\n",
            said.stderr,
        ), said.stderr


def test_the_launcher_with_its_extra_works_and_names_the_one_of_kubernetes(
    environment: Path, wheel: Path
) -> None:
    install(environment, wheel, "[launch]")

    assert run(environment, "ravi-launch", "--version").stdout == f"ravi-launch {__version__}\n"
    assert run(environment, "ravi-launch", "images", "--help").returncode == 0
    dry = ["--count", "2", "--host", "unix:///nowhere", "--dry-run"]
    assert "no Docker engine answers" in run(environment, "ravi-launch", *dry).stderr
    said = run(environment, "ravi-launch", "ps", "--backend", "kubernetes")
    assert said.returncode == 78
    assert "fix: pip install 'ravi-agent-base[launch,kubernetes]'" in said.stderr


def test_the_fix_that_ravi_local_names_is_enough(environment: Path, wheel: Path) -> None:
    install(environment, wheel)
    fix = run(environment, "ravi-local", "--port", "0").stderr.rpartition("fix: ")[2]
    *_, requirement = shlex.split(fix)
    install(environment, wheel, requirement.removeprefix("ravi-agent-base"))

    exported = run(environment, "ravi-local", "export", "--database", str(environment / "x.db"))

    assert "not installed" not in exported.stderr
    assert "Traceback" not in exported.stderr
