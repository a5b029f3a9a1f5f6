#!/usr/bin/env python3
"""Get the official CLI into an image that asks for it: official_cli.py VERSION ARCH DIRECTORY.

An empty VERSION gets nothing. An archive is unpacked only if its SHA-256 is the one below.
"""

import hashlib
import io
import os
import sys
import tarfile
import urllib.request

RELEASES = "https://github.com/ravi-hq/cli/releases/download"
# From the publisher's Homebrew formula, ravi-hq/homebrew-tap at 11e1c54.
SHA256 = {
    ("0.6.2", "amd64"): "7236b9dd3e92627b37b16490975b5d7735cacf5faa4d11966bbf282023aa9bd4",
    ("0.6.2", "arm64"): "7080f410b5f8236a8fbfa6568166a9018cd60501c2a9d82371dc901fc7c51b1b",
}
CA_BUNDLE = "/run/secrets/ca"  # the host's, for whoever builds behind a proxy that opens TLS
TIMEOUT_S = 120
SIZE_AT_MOST = 100_000_000


def install(version: str, arch: str, directory: str, releases: str = RELEASES) -> str:
    """Write `ravi` into the directory, and return what was done or why not, in words.

    Raises OSError where the archive cannot be fetched, ValueError where it is another one.
    """
    if (version, arch) not in SHA256:
        known = ", ".join(sorted({one for one, _ in SHA256}))
        raise ValueError(f"no checksum of version {version!r} for {arch!r}; there are {known}")
    url = f"{releases}/v{version}/ravi-{version}-linux-{arch}.tar.gz"
    if os.path.isfile(CA_BUNDLE) and os.path.getsize(CA_BUNDLE):
        os.environ["SSL_CERT_FILE"] = CA_BUNDLE
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
        archive = answer.read(SIZE_AT_MOST)
    found = hashlib.sha256(archive).hexdigest()
    if found != SHA256[version, arch]:
        raise ValueError(f"{url} has the SHA-256 {found}, not {SHA256[version, arch]}")
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        member = files.extractfile("ravi")
        if member is None:
            raise ValueError(f"{url} has no file ravi")
        program = member.read()
    os.makedirs(directory, exist_ok=True)
    path = os.path.join(directory, "ravi")
    with open(path, "wb") as file:
        file.write(program)
    os.chmod(path, 0o755)  # noqa: S103 - a program
    return f"{path}: the official CLI {version}"


if __name__ == "__main__":
    given_version, given_arch, given_directory = sys.argv[1:]
    if given_version:
        try:
            print(install(given_version, given_arch, given_directory))
        except (KeyError, OSError, ValueError, tarfile.TarError) as exc:
            fix = "--build-arg RAVI_CLI_VERSION=0.6.2, or leave it out"
            if isinstance(exc, OSError):
                fix = f"let the build reach {RELEASES}, or leave RAVI_CLI_VERSION out"
            sys.stderr.write(
                f"official_cli: error: RAVI_CLI_VERSION={given_version}: {exc}\n  fix: {fix}\n"
            )
            sys.exit(1)
