"""The official CLI comes into an image only as the archive whose checksum is known."""

import hashlib
import importlib.util
import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "images" / "base" / "official_cli.py"
VERSION = "0.6.2"


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("official_cli_archive", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def releases(tmp_path: Path) -> str:
    """A place of releases, with one archive in it."""
    folder = tmp_path / "releases" / f"v{VERSION}"
    folder.mkdir(parents=True)
    member = tarfile.TarInfo("ravi")
    member.size = len(b"program")
    with tarfile.open(folder / f"ravi-{VERSION}-linux-arm64.tar.gz", "w:gz") as archive:
        archive.addfile(member, io.BytesIO(b"program"))
    return (tmp_path / "releases").as_uri()


def test_an_archive_with_its_checksum_is_installed(
    script: ModuleType, releases: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (archive,) = tmp_path.rglob("*.tar.gz")
    checksum = hashlib.sha256(archive.read_bytes()).hexdigest()
    monkeypatch.setitem(script.SHA256, (VERSION, "arm64"), checksum)

    script.install(VERSION, "arm64", str(tmp_path / "cli"), releases)

    assert (tmp_path / "cli" / "ravi").read_bytes() == b"program"
    assert os.access(tmp_path / "cli" / "ravi", os.X_OK)


def test_another_archive_is_refused(script: ModuleType, releases: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has the SHA-256 [0-9a-f]{64}, not 7080f410"):
        script.install(VERSION, "arm64", str(tmp_path / "cli"), releases)

    assert not (tmp_path / "cli").exists()


@pytest.mark.parametrize(("version", "arch"), [("9.9.9", "amd64"), (VERSION, "riscv64")])
def test_a_version_without_a_checksum_fails_the_build(
    tmp_path: Path, version: str, arch: str
) -> None:
    line = [sys.executable, str(SCRIPT), version, arch, str(tmp_path / "cli")]
    done = subprocess.run(line, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert f"no checksum of version '{version}' for '{arch}'" in done.stderr
    assert "fix: --build-arg RAVI_CLI_VERSION=0.6.2" in done.stderr


def test_no_version_gets_nothing(tmp_path: Path) -> None:
    line = [sys.executable, str(SCRIPT), "", "amd64", str(tmp_path / "cli")]
    done = subprocess.run(line, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []
