"""Whatever an agent puts into its archive, nothing is written outside the directory for it."""

import io
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from ravi_agent.launcher.docker import unpack as module
from ravi_agent.launcher.docker.unpack import TooMuchError, unpack


class Archive:
    def __init__(self) -> None:
        self._file = io.BytesIO()
        self._tar = tarfile.open(fileobj=self._file, mode="w")  # noqa: SIM115

    def add(self, name: str, content: bytes = b"", *, mode: int = 0o644, **fields: Any) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(content), mode
        for field, value in fields.items():
            setattr(member, field, value)
        self._tar.addfile(member, io.BytesIO(content))

    def chunks(self, size: int = 700) -> list[bytes]:
        self._tar.close()
        data = self._file.getvalue()
        return [data[at : at + size] for at in range(0, len(data), size)]


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "victim" / "in"
    path.mkdir(parents=True)
    return path


def everything(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*")}


def test_files_directories_and_downward_links_are_unpacked(target: Path) -> None:
    archive = Archive()
    archive.add("out", type=tarfile.DIRTYPE, mode=0o777)
    archive.add("out/result.json", b"{}" * 5000, mode=0o4755)
    archive.add("out/empty")
    archive.add("out/latest", type=tarfile.SYMTYPE, linkname="result.json")
    archive.add("out/same", type=tarfile.LNKTYPE, linkname="out/result.json")

    assert unpack(archive.chunks(), str(target)) == 0

    assert everything(target) == {
        *("out", "out/result.json", "out/empty", "out/latest", "out/same")
    }
    assert (target / "out/result.json").read_bytes() == b"{}" * 5000
    assert (target / "out/same").read_bytes() == b"{}" * 5000
    assert os.readlink(target / "out/latest") == "result.json"
    # No set-user-ID bit, and nothing for others.
    assert (target / "out/result.json").stat().st_mode & 0o7777 == 0o700
    assert (target / "out/empty").stat().st_mode & 0o7777 == 0o600


@pytest.mark.parametrize(
    "members",
    [
        [("../escaped", {}), ("a/../../escaped", {}), ("/tmp/../escaped", {})],
        [
            ("link", {"type": tarfile.SYMTYPE, "linkname": ".."}),
            ("link/escaped", {}),
        ],
        [
            ("link", {"type": tarfile.SYMTYPE, "linkname": "/"}),
            ("link/escaped", {}),
        ],
        [
            ("a", {"type": tarfile.SYMTYPE, "linkname": "b/../.."}),
            ("a/escaped", {}),
        ],
        [
            ("a", {"type": tarfile.SYMTYPE, "linkname": "escaped"}),
            ("a", {}),
        ],
        [("h", {"type": tarfile.LNKTYPE, "linkname": "../../etc/passwd"})],
        [("h", {"type": tarfile.LNKTYPE, "linkname": "/etc/passwd"})],
        [("d", {"type": tarfile.CHRTYPE}), ("f", {"type": tarfile.FIFOTYPE})],
    ],
    ids=[
        *("dots", "link up", "link to the root", "link through a link", "file over a link"),
        *("hard link up", "hard link away", "devices"),
    ],
)
def test_nothing_leads_out(
    target: Path, tmp_path: Path, members: list[tuple[str, dict[str, Any]]]
) -> None:
    archive = Archive()
    for name, fields in members:
        archive.add(name, b"" if fields else b"evil", **fields)

    assert unpack(archive.chunks(), str(target)) >= 1

    assert {path.name for path in tmp_path.iterdir()} == {"victim"}
    assert {path.name for path in (tmp_path / "victim").iterdir()} == {"in"}
    for path in target.rglob("*"):
        assert path.resolve().is_relative_to(target.resolve())
        assert path.is_symlink() or path.is_dir() or path.read_bytes() in {b"", b"evil"}


def test_an_agent_cannot_fill_the_host(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BYTES_LIMIT", 10_000)
    archive = Archive()
    for number in range(3):
        archive.add(f"f{number}", b"x" * 4000)

    with pytest.raises(TooMuchError):
        unpack(archive.chunks(), str(target))

    assert everything(target) == {"f0", "f1"}


def test_an_archive_that_is_none_is_an_error_and_no_file(target: Path) -> None:
    with pytest.raises(tarfile.TarError):
        unpack([b"x" * 2000], str(target))

    assert everything(target) == set()
