"""The images that `make images` has built, held against the list of what they may have."""

import subprocess
from pathlib import Path

import pytest

from release import contents, twice
from release.build import IMAGES
from release.image import Image, save


def in_base(script: str) -> str:
    """What a shell in the base image prints, without the entrypoint."""
    command = ["docker", "run", "--rm", "--entrypoint", "sh", "ravi-agent-base", "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Image:
    return save(twice.base_of("ravi-agent-base"), tmp_path_factory.mktemp("base"))


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_adds_what_is_on_the_list_alone(name: str, base: Image, tmp_path: Path) -> None:
    image = save(name, tmp_path)

    assert list(contents.faults(name, image, base)) == []


def test_the_agent_is_uid_1000_and_has_no_compiler() -> None:
    found = in_base("stat -c '%u:%g %a %n' /workspace /home/agent; command -v gcc cc make; true")

    assert found.splitlines()[0] == "1000:1000 1777 /workspace"
    assert found.splitlines()[1].startswith("1000:1000 ")
    assert len(found.splitlines()) == 2


def test_compiled_files_have_no_time_of_the_build() -> None:
    """Python compares a time with its source at each start; these it trusts."""
    script = (
        "import pathlib; files = [*pathlib.Path('/opt/ravi/lib').rglob('*.pyc')];"
        "print({file.read_bytes()[4] for file in files}, len(files) > 100)"
    )

    assert in_base(f'python3 -c "{script}"').split() == ["{1}", "True"]


def test_what_a_start_loads_has_no_docstrings() -> None:
    """PID 1 would keep them in memory as long as its agent runs."""
    script = (
        "import sys; sys.path.append('/opt/ravi/lib'); import ravi_agent.container.boot as boot;"
        "print(boot.__doc__, boot.main.__doc__)"
    )

    assert in_base(f'/opt/ravi/bin/python -IS -c "{script}"').split() == ["None", "None"]
