"""What is published: the wheel, the source archive, and the images' files in them."""

import os
import re
import shlex
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import ravi_agent
from ravi_agent import extras
from ravi_agent.launcher import cli
from ravi_agent.launcher.planning.image_files import IMAGES, ProjectImage

ROOT = Path(__file__).parents[2]
FILES = "ravi_agent/launcher/image_files/"
# Everything that a wheel may contain; a name that no pattern takes is a surprise.
CONTENTS = (
    r"ravi_agent/([a-z_]+/)*[a-z0-9_]+\.py",
    r"ravi_agent/py\.typed",
    r"ravi_agent/container/cli_shim/ravi",
    r"ravi_agent/launcher/commands/help\.json",
    r"ravi_agent/local/page\.(css|js)",
    r"ravi_agent/workspace/SKILL\.md",
    FILES + r"(\.dockerignore|Dockerfile)",
    FILES + r"images/(agent-example|init|launch|local)/Dockerfile",
    FILES + r"images/agent-example/agent\.py",
    FILES + r"images/(base|launch|local)/requirements\.lock",
    FILES + r"images/(launch/ravi-launch|local/ravi-local)",
    FILES
    + r"images/base/(setup|packages|hash-cas|profile\.sh|official_cli\.py|bin/ravi(-[a-z]+)?)",
    FILES + r"images/base/share/ravi[-_]wait\.(d\.mts|mjs|py)",
    r"ravi_agent_base-[0-9.]+\.dist-info/(METADATA|WHEEL|RECORD|entry_points\.txt|licenses/LICENSE)",
)


def build(source: Path, into: Path, *targets: str) -> None:
    """hatchling, as pip's build isolation runs it."""
    line = [sys.executable, "-m", "hatchling", "build", "--directory", str(into)]
    for target in targets:
        line += ["--target", target]
    subprocess.run(line, cwd=source, check=True, capture_output=True)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the wheel and the source archive."""
    into = tmp_path_factory.mktemp("dist")
    build(ROOT, into, "wheel", "sdist")
    return into


@pytest.fixture(scope="module")
def wheel(built: Path) -> Iterator[zipfile.ZipFile]:
    with zipfile.ZipFile(next(built.glob("*.whl"))) as archive:
        yield archive


def test_the_wheel_has_nothing_that_is_not_expected(wheel: zipfile.ZipFile) -> None:
    takes = re.compile("|".join(CONTENTS)).fullmatch

    assert [name for name in wheel.namelist() if not takes(name)] == []
    for pattern in CONTENTS:
        assert [name for name in wheel.namelist() if re.fullmatch(pattern, name)], pattern


def test_the_wheel_has_the_whole_package(wheel: zipfile.ZipFile) -> None:
    package = Path(ravi_agent.__file__).parent
    ours = {
        f"ravi_agent/{file.relative_to(package).as_posix()}"
        for file in package.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }

    assert ours - set(wheel.namelist()) == set()


def test_the_source_archive_builds_the_same_wheel(built: Path, tmp_path: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    build(source, tmp_path / "dist", "wheel")

    (first,) = built.glob("*.whl")
    assert (tmp_path / "dist" / first.name).read_bytes() == first.read_bytes()


@pytest.mark.parametrize("image", IMAGES, ids=lambda image: image.name)
def test_the_wheel_has_every_file_that_a_dockerfile_copies(
    wheel: zipfile.ZipFile, image: ProjectImage
) -> None:
    names = wheel.namelist()
    text = wheel.read(FILES + image.dockerfile).decode().replace("\\\n", " ")

    copied = [
        source
        for line in re.findall(r"^(?:COPY|ADD) (?!--from)(.*)", text, re.MULTILINE)
        for source in [word for word in shlex.split(line) if not word.startswith("--")][:-1]
    ]
    for source in copied:
        where = source.replace("entrypoint/", "") if "entrypoint/" in source else FILES + source
        assert [name for name in names if name == where or name.startswith(f"{where}/")], source
    assert copied or image.name == "ravi-init"


def test_programs_of_the_base_image_can_be_executed_after_an_installation(
    wheel: zipfile.ZipFile,
) -> None:
    """pip and uv keep the bits of a zip entry."""
    for one in wheel.infolist():
        if re.search(r"images/(base/bin/|base/setup|launch/ravi|local/ravi)", one.filename):
            assert one.external_attr >> 16 & 0o111 == 0o111, one.filename


def test_make_images_builds_the_same_images_in_the_same_order() -> None:
    script = (ROOT / "scripts" / "images").read_text(encoding="utf-8")
    built = re.findall(r"\bbuild (ravi-\S+) .*--file ([^\s;]+)", script)

    ours = [(one.name, one.dockerfile) for one in IMAGES]
    assert sorted(one for one in built if one in ours) == sorted(ours)
    assert built[0] == ours[0]


def test_the_launcher_without_its_extra_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "rich" else object())

    assert cli.run(["ps"], None) == 78
    said = capfd.readouterr().err
    assert "'rich' is not installed" in said
    assert "fix: pip install 'ravi-agent-base[launch]'" in said


def test_each_extra_brings_the_packages_that_are_looked_for() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for extra, packages in (("launch", extras.LAUNCH), ("local", extras.LOCAL)):
        named = [re.split(r"[>=<]", one)[0] for one in project["optional-dependencies"][extra]]
        assert tuple(named) == packages


# A `docker` that shows what it was asked for, and what is in the context it was given.
DOCKER = """#!/bin/sh
if [ "$1" = buildx ]; then exit; fi
echo "docker $*"
for last; do :; done
if [ -d "$last" ]; then (cd "$last" && find . -type f | sort); fi
"""


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program_file = tmp_path / "bin" / "docker"
    program_file.parent.mkdir()
    program_file.write_text(DOCKER)
    program_file.chmod(0o755)
    monkeypatch.setenv("PATH", str(program_file.parent), prepend=os.pathsep)


@pytest.mark.usefixtures("docker")
def test_an_installed_wheel_builds_from_its_own_files(
    built: Path, wheel: zipfile.ZipFile, tmp_path: Path
) -> None:
    line = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    (file,) = built.glob("*.whl")
    subprocess.run([*line, "--target", str(tmp_path / "site"), str(file)], check=True)
    code = "from ravi_agent.launcher.cli import main; main()"

    done = subprocess.run(
        [sys.executable, "-c", code, "images", "build", "ravi-agent-base", "--base-image", "mine"],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    first, *files, last = done.stdout.splitlines()
    assert first.startswith("docker build --tag ravi-agent-base ")
    assert " --build-arg BASE_IMAGE=mine " in first
    assert f" --label org.opencontainers.image.version={ravi_agent.__version__} " in first
    assert last == "ravi-agent-base"
    context = {one.removeprefix("./") for one in files}
    expected = {one.removeprefix(FILES) for one in wheel.namelist() if one.startswith(FILES)}
    expected |= {
        f"entrypoint/{one}"
        for one in wheel.namelist()
        if one.startswith("ravi_agent/") and not one.startswith(FILES)
    }
    assert context == expected
    for name in context - {one for one in context if one.startswith("entrypoint/")}:
        assert wheel.read(FILES + name) == (ROOT / name).read_bytes()
