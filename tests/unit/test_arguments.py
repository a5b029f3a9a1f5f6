"""The command lines of the image: what each command reads, and what it refuses."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import ravi_agent
from ravi_agent.container import init, release
from ravi_agent.container.arguments import Parser, parse_settings
from ravi_agent.errors import UsageError
from ravi_agent.settings import VARIABLES

BIN = Path(sys.executable).parent
ROOT = Path(__file__).parents[2]
COMMANDS = {"ravi-init": init.VARIABLES, "ravi-release": release.VARIABLES}


def flag(variable: str) -> str:
    return "--" + variable.removeprefix("RAVI_").lower().replace("_", "-")


def refused(program: str, *words: str) -> UsageError:
    switches = {"ravi-init": init.SWITCHES, "ravi-release": release.SWITCHES}[program]
    with pytest.raises(UsageError) as caught:
        parse_settings(Parser(prog=program), COMMANDS[program], list(words), {}, switches)
    return caught.value


@pytest.mark.parametrize(
    ("program", "variable"),
    [(program, variable) for program, variables in COMMANDS.items() for variable in variables],
)
def test_every_flag_changes_the_setting_it_is_named_after(program: str, variable: str) -> None:
    environ, _ = parse_settings(
        Parser(prog=program), COMMANDS[program], [flag(variable), "given"], {variable: "before"}
    )

    assert environ == {variable: "given"}


@pytest.mark.parametrize(
    ("program", "variable"),
    [
        (program, variable)
        for program, variables in COMMANDS.items()
        for variable in sorted({*VARIABLES} - {*variables, "RAVI_WORKSPACE"})
    ],
)
def test_a_flag_that_the_command_does_not_read_is_refused(program: str, variable: str) -> None:
    assert refused(program, flag(variable), "x").exit_code == 64


@pytest.mark.parametrize(
    ("program", "words", "meant"),
    [
        ("ravi-release", ["--on-exit", "delete"], "--delete"),
        ("ravi-release", ["--on-exit=delete"], "--delete"),
        ("ravi-init", ["--identity-name", "x"], "--name"),
        ("ravi-init", ["--phone-polcy", "never"], "--phone-policy"),
        ("ravi-init", ["--grace", "3"], "the variable RAVI_GRACE of ravi-entrypoint"),
        ("ravi-release", ["--workspce", "/w"], "--workspace"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_refused_flag_comes_with_the_one_that_was_meant(
    program: str, words: list[str], meant: str
) -> None:
    assert f"did you mean {meant}?" in refused(program, *words).why


@pytest.mark.parametrize(
    "program", ["ravi-entrypoint", "ravi-init", "ravi-release", "ravi-whoami", "ravi-local"]
)
def test_every_command_says_its_version(program: str) -> None:
    said = subprocess.run(
        [BIN / program, "--version"], env={}, capture_output=True, text=True, timeout=60, check=True
    )

    assert said.stdout == f"{program} {ravi_agent.__version__}\n"
    assert said.stderr == ""


def test_the_version_is_that_of_the_distribution() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())

    assert config["project"]["dynamic"] == ["version"]
    assert config["tool"]["hatch"]["version"]["path"] == "entrypoint/ravi_agent/__init__.py"
    assert re.fullmatch(r"\d+\.\d+\.\d+", ravi_agent.__version__)


def test_whoami_takes_no_other_word() -> None:
    said = subprocess.run(
        [BIN / "ravi-whoami", "--jsn"],
        env={},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert said.returncode == 64
    assert "  fix: ravi-whoami -h" in said.stderr
