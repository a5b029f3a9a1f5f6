"""What is published: the same bytes from two builds, and nothing that is not on the list."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from release import contents, files, layout
from release.image import Image, ImageError, Layer, check_blobs, digest_of, load

COMMIT_S = 1_700_000_000
BASE = {"bin/sh": b"a shell", "etc/passwd": b"root", "tmp/x/old": b"1"}
LABELS = {f"org.opencontainers.image.{name}": "something" for name in contents.LABELS}


def layer(path: Path, members: dict[str, bytes | tarfile.TarInfo], time_s: int) -> Layer:
    """A layer as an engine writes it: with names of owners and the times of its build."""
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            member = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            data = content if isinstance(content, bytes) else b""
            member.name, member.size, member.mtime = name, len(data), time_s
            member.uname = f"user-of-{path.parent.name}"
            tar.addfile(member, io.BytesIO(data))
    return Layer(digest_of(path.read_bytes()), path)


def special(kind: bytes = tarfile.REGTYPE, mode: int = 0o644, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo()
    member.type, member.mode, member.linkname = kind, mode, target
    return member


class Builds:
    """Builds of one image on one base, at different times."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.base = folder / "base"
        base = layer(folder / "base.tar", dict(BASE), COMMIT_S + 999)
        rootfs = {"type": "layers", "diff_ids": [base.diff_id]}
        config = {"architecture": "arm64", "os": "linux", "config": {}, "rootfs": rootfs}
        self.base_image = Image(config, [base])
        layout.pack(self.base_image, self.base)
        layout.pack(Image(config | {"architecture": "amd64"}, [base]), self.base)
        layout.join(self.base)

    def build(
        self,
        members: dict[str, bytes | tarfile.TarInfo],
        *,
        time_s: int = COMMIT_S + 5,
        **own: Any,
    ) -> Image:
        folder = self._folder / f"build-{time_s}"
        folder.mkdir()
        layers = [*self.base_image.layers, layer(folder / "own.tar", members, time_s)]
        config = {
            "architecture": "arm64",
            "os": "linux",
            "created": f"2026-01-01T00:00:{time_s % 60:02}Z",
            "container": str(time_s),
            "config": {
                "User": "",
                "Env": ["PATH=/bin"],
                "StopSignal": "SIGTERM",
                "Labels": LABELS,
                **own,
            },
            "history": [{"created": f"2026-01-01T00:00:{time_s % 60:02}Z", "created_by": "COPY"}],
            "rootfs": {"type": "layers", "diff_ids": [one.diff_id for one in layers]},
        }
        return Image(config, layers)

    def write(self, image: Image, name: str) -> str:
        digest = layout.write(image, self.base, self._folder / name, COMMIT_S)
        layout.join(self._folder / name)
        return digest


@pytest.fixture
def builds(tmp_path: Path) -> Builds:
    return Builds(tmp_path)


def test_two_builds_are_one_image(builds: Builds, tmp_path: Path) -> None:
    members: dict[str, bytes | tarfile.TarInfo] = {"opt/ravi/bin/ravi": b"program"}

    digests = {
        builds.write(builds.build(members, time_s=COMMIT_S + later), str(later))
        for later in (3, 77)
    }

    assert len(digests) == 1
    assert (tmp_path / "3/manifest.json").read_bytes() == (
        tmp_path / "77/manifest.json"
    ).read_bytes()
    assert check_blobs(tmp_path / "3") == 4  # two layers, a configuration, a manifest


def test_another_content_is_another_image(builds: Builds) -> None:
    one = builds.write(builds.build({"opt/ravi/x": b"1"}, time_s=COMMIT_S + 3), "one")
    other = builds.write(builds.build({"opt/ravi/x": b"2"}, time_s=COMMIT_S + 77), "other")

    assert one != other


def test_the_layers_of_the_base_stay_as_they_were_pulled(builds: Builds, tmp_path: Path) -> None:
    builds.write(builds.build({"opt/ravi/x": b"1"}), "image")

    base = load(builds.base, "arm64")
    image = load(tmp_path / "image", "arm64")

    assert image.layers[0].file.read_bytes() == base.layers[0].file.read_bytes()
    assert files.tree(image.layers)["bin/sh"].modified_s == COMMIT_S + 999
    assert files.tree(image.layers)["opt/ravi/x"].modified_s == COMMIT_S


def test_a_configuration_keeps_what_runs_a_container_and_no_time_of_the_build(
    builds: Builds, tmp_path: Path
) -> None:
    check = {"Test": ["CMD", "true"]}
    builds.write(builds.build({"opt/ravi/x": b"1"}, Healthcheck=check, Image="sha256:1"), "image")

    config = load(tmp_path / "image", "arm64").config

    assert config["config"]["Healthcheck"] == check
    assert config["config"]["StopSignal"] == "SIGTERM"
    assert "Image" not in config["config"]
    assert "container" not in config
    assert config["created"] == config["history"][0]["created"] == "2023-11-14T22:13:20Z"


def test_a_list_names_each_architecture_once(builds: Builds, tmp_path: Path) -> None:
    image = builds.build({"opt/ravi/x": b"1"})

    builds.write(image, "image")
    builds.write(Image(image.config | {"architecture": "amd64"}, image.layers), "image")

    listed = json.loads((tmp_path / "image/manifest.json").read_bytes())["manifests"]
    assert [one["platform"]["architecture"] for one in listed] == ["amd64", "arm64"]
    assert load(tmp_path / "image", "amd64").architecture == "amd64"


def test_a_blob_that_was_changed_is_found(builds: Builds, tmp_path: Path) -> None:
    builds.write(builds.build({"opt/ravi/x": b"1"}), "image")
    digest = load(tmp_path / "image", "arm64").layers[1].file
    digest.write_bytes(b"another")

    with pytest.raises(ImageError, match="another digest"):
        check_blobs(tmp_path / "image")


def test_a_tree_is_what_a_container_sees(tmp_path: Path) -> None:
    under = layer(
        tmp_path / "1.tar",
        {
            "d": special(tarfile.DIRTYPE, 0o755),
            "d/gone": b"1",
            "d/stays": b"1",
            "e/old": b"1",
            "f/old": b"1",
            "g/deep/old": b"1",
            "link": special(tarfile.SYMTYPE, 0o777, "d/stays"),
        },
        1,
    )
    over = layer(
        tmp_path / "2.tar",
        {
            "d/.wh.gone": b"",
            "e/.wh..wh..opq": b"",
            "e/new": b"2",
            "f": b"a file now",
            ".wh.g": b"",
            "./hard": special(tarfile.LNKTYPE, 0o644, "./f"),
        },
        1,
    )

    tree = files.tree([under, over])

    texts = files.texts([under, over], lambda path: path != "link")
    assert sorted(texts) == ["d/stays", "e/new", "f"]
    assert sorted(tree) == ["d", "d/stays", "e/new", "f", "hard", "link"]
    assert tree["hard"].content == tree["f"].content
    assert tree["link"].content == "d/stays"


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(special(mode=0o755), id="mode"),
        pytest.param(special(tarfile.SYMTYPE, 0o644, "y"), id="kind"),
        pytest.param(b"2", id="content"),
    ],
)
def test_a_digest_of_files_tells_them_apart(
    tmp_path: Path, changed: bytes | tarfile.TarInfo
) -> None:
    first = files.tree([layer(tmp_path / "1.tar", {"x": b""}, 1)])
    second = files.tree([layer(tmp_path / "2.tar", {"x": changed}, 1)])

    assert files.digest(first) != files.digest(second)


def test_a_digest_of_files_has_their_times_up_to_the_commit(tmp_path: Path) -> None:
    trees = [
        files.tree([layer(tmp_path / f"{time_s}.tar", {"x": b""}, time_s)])
        for time_s in (COMMIT_S - 1, COMMIT_S + 1, COMMIT_S + 2)
    ]

    assert len({files.digest(tree) for tree in trees}) == 3
    before, *after = (files.digest(tree, COMMIT_S) for tree in trees)
    assert after[0] == after[1] != before


Member = bytes | tarfile.TarInfo


@pytest.mark.parametrize(
    ("path", "member", "fault"),
    [
        ("opt/ravi/bin/su", special(mode=0o4755), "/opt/ravi/bin/su runs as its owner"),
        ("opt/ravi/bin/wall", special(mode=0o2755), "/opt/ravi/bin/wall runs as its owner"),
        ("opt/ravi/bin/gcc", special(mode=0o755), "/opt/ravi/bin/gcc is a compiler"),
        ("opt/ravi/x", special(mode=0o666), "/opt/ravi/x can be written by everybody"),
        ("var/lib/apt/lists/x", b"", "/var/lib/apt/lists/x is a cache or a log"),
        ("root/.cache/pip/x", b"", "/root/.cache/pip/x is a cache or a log"),
        ("bin/sh", b"another", "/bin/sh is in no directory of the list"),
        ("opt/ravi/x", bytes(13 * 2**20), "it adds 13.0 MiB to its base"),
    ],
)
def test_what_an_image_may_not_add_is_found(
    builds: Builds, path: str, member: Member, fault: str
) -> None:
    image = builds.build({path: member})

    found = list(contents.faults("ravi-agent-base", image, builds.base_image))

    assert any(one.startswith(fault) for one in found), found


def test_what_is_on_the_list_is_no_fault(builds: Builds) -> None:
    members: dict[str, Member] = {
        "opt/ravi/bin/ravi": special(mode=0o755),
        "etc/passwd": b"agent",
        "usr/local/lib/python3.13/__pycache__/os.cpython-313.pyc": b"",
    }

    found = contents.faults("ravi-agent-base", builds.build(members), builds.base_image)

    assert list(found) == []


@pytest.mark.parametrize(
    ("own", "fault"),
    [
        ({"Labels": None}, "it has no label org.opencontainers.image.source"),
        ({"StopSignal": "SIGQUIT"}, "its stop signal is SIGQUIT"),
        ({"User": "1000"}, "its user is '1000', not ''"),
        ({"Env": ["RAVI_MANAGEMENT_KEY=x"]}, "it has a management key"),
    ],
)
def test_what_an_image_may_not_say_is_found(
    builds: Builds, own: dict[str, Any], fault: str
) -> None:
    image = builds.build({"opt/ravi/x": b""}, **own)

    assert fault in list(contents.faults("ravi-agent-base", image, builds.base_image))


def test_an_image_on_another_base_is_not_compared(builds: Builds) -> None:
    image = builds.build({"opt/ravi/x": b""})

    with pytest.raises(ValueError, match="another base"):
        files.additions(Image(image.config, image.layers[1:]), builds.base_image)
