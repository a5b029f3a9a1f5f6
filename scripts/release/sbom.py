"""What each image is made of, as an SPDX document: Debian's packages, Python's, and ours."""

import json
import re
from collections.abc import Iterator
from email.parser import BytesHeaderParser
from typing import NamedTuple

import licences
from ravi_agent import __version__
from release import files
from release.image import Image, ImageError, Json

_OURS = "opt/ravi/lib/"
_LABEL = "org.opencontainers.image"
# What stands in older packages in place of an SPDX expression.
_WORDS = {
    "Apache 2.0": "Apache-2.0",
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: BSD License": "BSD-3-Clause",
    "License :: OSI Approved :: MIT License": "MIT",
}
_NO = "NOASSERTION"


class Package(NamedTuple):
    """One package of an image; `purl` is its name in the words of package-url."""

    name: str
    version: str
    purl: str
    licence: str
    is_ours_to_ship: bool


def packages(image: Image) -> list[Package]:
    """Every package that an image has, sorted."""
    texts = files.texts(image.layers, _is_wanted)
    found = {Package("ravi-agent-base", __version__, _pypi("ravi-agent-base"), "MIT", True)}
    variables = dict(one.partition("=")[::2] for one in image.config["config"].get("Env") or ())
    if version := variables.get("PYTHON_VERSION"):  # the official image has its own
        found.add(Package("python", version, f"pkg:generic/python@{version}", "PSF-2.0", False))
    for path, text in texts.items():
        found |= set(_python(path, text) if path.endswith("METADATA") else _debian(text))
    return sorted(found)


def document(name: str, image: Image, digest: str, listed: list[Package]) -> Json:
    """The SPDX document of an image, the same from every build; `digest` is its manifest's."""
    labels = image.config["config"]["Labels"]
    root = {
        "SPDXID": "SPDXRef-image",
        "name": name,
        "versionInfo": labels[f"{_LABEL}.version"],
        "downloadLocation": labels[f"{_LABEL}.source"],
        "filesAnalyzed": False,
        "licenseDeclared": labels[f"{_LABEL}.licenses"],
        "primaryPackagePurpose": "CONTAINER",
        "checksums": [{"algorithm": "SHA256", "checksumValue": digest.partition(":")[2]}],
        "externalRefs": [_reference(f"pkg:oci/{name}@{digest.replace(':', '%3A')}")],
    }
    parts = [_described(number, package) for number, package in enumerate(listed)]
    links = [("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-image")]
    links += [("SPDXRef-image", "CONTAINS", part["SPDXID"]) for part in parts]
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"{name}-{image.architecture}",
        "documentNamespace": f"{labels[f'{_LABEL}.source']}/sbom/{name}/{digest}",
        "creationInfo": {
            "created": image.config["created"],
            "creators": [f"Tool: ravi-agent-base-{__version__}"],
        },
        "packages": [root, *parts],
        "relationships": [
            {"spdxElementId": one, "relationshipType": how, "relatedSpdxElement": other}
            for one, how, other in links
        ],
    }


def text(name: str, image: Image, digest: str) -> str:
    """The document as a file has it. ImageError where we would ship what we may not."""
    listed = packages(image)
    refused = [
        f"{package.name} {package.version}: {package.licence}"
        for package in listed
        if package.is_ours_to_ship and not licences.is_allowed(package.licence)
    ]
    if refused:
        raise ImageError(
            f"{name} holds packages of other licences than those of the list: "
            f"{', '.join(refused)}\n  fix: read ALLOWED in {licences.__file__}"
        )
    return json.dumps(document(name, image, digest, listed), indent=1, sort_keys=True) + "\n"


def _is_wanted(path: str) -> bool:
    is_python = path.endswith(".dist-info/METADATA")
    return is_python or path == "var/lib/dpkg/status" or path.startswith("var/lib/dpkg/status.d/")


def _python(path: str, text: bytes) -> Iterator[Package]:
    header = BytesHeaderParser().parsebytes(text)
    name = re.sub(r"[-_.]+", "-", header["Name"]).lower()
    named = [header["License-Expression"], header["License"], *header.get_all("Classifier", [])]
    known = [_WORDS.get(word, word) for word in named if word]
    # A whole text in that field says no more than that there is one.
    licence = next((word for word in known if licences.is_allowed(word)), None)
    version = header["Version"]
    is_ours = path.startswith(_OURS)
    yield Package(name, version, _pypi(name, version), licence or _NO, is_ours)


def _debian(text: bytes) -> Iterator[Package]:
    for block in text.decode().split("\n\n"):
        fields = dict(re.findall(r"^([A-Za-z-]+): (.*)$", block, re.MULTILINE))
        if not fields.get("Status", "install ok installed").endswith(" installed"):
            continue
        if name := fields.get("Package"):
            version, machine = fields["Version"], fields["Architecture"]
            escaped = version.replace("+", "%2B").replace(":", "%3A")
            purl = f"pkg:deb/debian/{name}@{escaped}?arch={machine}"
            # Its licences stand in /usr/share/doc/NAME/copyright, in a form of their own.
            yield Package(name, version, purl, _NO, False)


def _pypi(name: str, version: str = __version__) -> str:
    return f"pkg:pypi/{name}@{version}"


def _described(number: int, package: Package) -> Json:
    identifier = re.sub(r"[^A-Za-z0-9.-]", "-", package.name)
    return {
        "SPDXID": f"SPDXRef-{number}-{identifier}",
        "name": package.name,
        "versionInfo": package.version,
        "downloadLocation": _NO,
        "filesAnalyzed": False,
        "licenseDeclared": package.licence,
        "externalRefs": [_reference(package.purl)],
    }


def _reference(purl: str) -> Json:
    category = "PACKAGE-MANAGER"
    return {"referenceCategory": category, "referenceType": "purl", "referenceLocator": purl}
