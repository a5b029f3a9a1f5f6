"""The SPDX document of an image: every package of it, its licence, and the same every time."""

import io
import json
import tarfile
from pathlib import Path

import pytest

from ravi_agent import __version__
from release import contents, sbom
from release.image import Image, ImageError, Layer, digest_of

STATUS = b"""\
Package: libc6
Status: install ok installed
Architecture: arm64
Version: 2.36-9+deb12u14

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1
"""
METADATA = "Name: {name}\nVersion: 1.2\n{licence}\n\nLicense: MIT in the text\n"
DIGEST = f"sha256:{'a' * 64}"


def image(folder: Path, licence: str = "License-Expression: MIT") -> Image:
    own = METADATA.format(name="Ruamel.Yaml", licence=licence).encode()
    texts = {
        "var/lib/dpkg/status": STATUS,
        "opt/ravi/lib/ruamel_yaml-1.2.dist-info/METADATA": own,
        "usr/local/lib/python3.13/site-packages/pip-1.dist-info/METADATA": (
            METADATA.format(name="pip", licence="License: a text").encode()
        ),
    }
    path = folder / "layer.tar"
    with tarfile.open(path, "w") as tar:
        for name, text in texts.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text))
    labels = {f"org.opencontainers.image.{name}": name for name in contents.LABELS}
    config = {"Labels": labels, "Env": ["PYTHON_VERSION=3.13.14"]}
    whole = {"architecture": "arm64", "created": "2026-01-01T00:00:00Z", "config": config}
    return Image(whole, [Layer(digest_of(path.read_bytes()), path)])


def test_every_package_is_named(tmp_path: Path) -> None:
    found = [package.purl for package in sbom.packages(image(tmp_path))]

    assert found == [
        "pkg:deb/debian/libc6@2.36-9%2Bdeb12u14?arch=arm64",
        "pkg:pypi/pip@1.2",
        "pkg:generic/python@3.13.14",
        f"pkg:pypi/ravi-agent-base@{__version__}",
        "pkg:pypi/ruamel-yaml@1.2",
    ]


@pytest.mark.parametrize(
    ("licence", "expression"),
    [
        ("License-Expression: MIT-0", "MIT-0"),  # cffi, since 2.1
        ("License-Expression: Apache-2.0 AND MIT", "Apache-2.0 AND MIT"),
        ("License: BSD-3-Clause", "BSD-3-Clause"),
        ("License: Apache 2.0", "Apache-2.0"),
        ("Classifier: License :: OSI Approved :: MIT License", "MIT"),
    ],
)
def test_a_licence_is_an_spdx_expression(tmp_path: Path, licence: str, expression: str) -> None:
    (package,) = [one for one in sbom.packages(image(tmp_path, licence)) if "yaml" in one.name]

    assert package.licence == expression


@pytest.mark.parametrize("licence", ["License-Expression: GPL-3.0-only", "License: mine alone"])
def test_a_licence_that_is_not_on_the_list_is_refused(tmp_path: Path, licence: str) -> None:
    with pytest.raises(ImageError, match="ruamel-yaml"):
        sbom.text("ravi-init", image(tmp_path, licence), DIGEST)


def test_a_document_names_the_image_by_its_digest(tmp_path: Path) -> None:
    document = json.loads(sbom.text("ravi-init", image(tmp_path), DIGEST))

    (described,) = [
        link["relatedSpdxElement"]
        for link in document["relationships"]
        if link["relationshipType"] == "DESCRIBES"
    ]
    (root,) = [one for one in document["packages"] if one["SPDXID"] == described]
    assert root["checksums"] == [{"algorithm": "SHA256", "checksumValue": "a" * 64}]
    assert len(document["packages"]) == 6
    assert len({one["SPDXID"] for one in document["packages"]}) == 6
    assert document["creationInfo"]["created"] == "2026-01-01T00:00:00Z"
