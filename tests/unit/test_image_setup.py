"""images/base/setup in images that cannot have the entrypoint: said plainly, nothing begun."""

import shutil
import subprocess
from pathlib import Path

import pytest

SETUP = Path(__file__).parents[2] / "images/base/setup"
OLD = "#!/bin/sh\nexit 1\n"
# As Alpine's: musl's confstr(3) has no such name, and Python raises ValueError.
MUSL = '#!/bin/sh\ncase "$2" in *confstr*) exit 1 ;; esac\nexit 0\n'


@pytest.mark.parametrize(
    ("python", "message"),
    [
        pytest.param(None, "has no python3", id="none"),
        pytest.param(OLD, "older than 3.11", id="old"),
        pytest.param(MUSL, "has no glibc (Alpine?)", id="musl"),
    ],
)
def test_an_image_that_cannot_have_it_is_refused(
    tmp_path: Path, python: str | None, message: str
) -> None:
    programs, ravi = tmp_path / "bin", tmp_path / "ravi"
    programs.mkdir()
    ravi.mkdir()
    shutil.copy(SETUP, ravi / "setup")
    if python:
        (programs / "python3").write_text(python)
        (programs / "python3").chmod(0o755)

    ended = subprocess.run(
        ["/bin/sh", ravi / "setup"],
        env={"PATH": str(programs)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert ended.returncode == 78
    assert message in ended.stderr
    assert "\n  fix: " in ended.stderr
    assert [path.name for path in ravi.iterdir()] == ["setup"]
