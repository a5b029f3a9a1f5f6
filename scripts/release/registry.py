"""A registry on loopback, with a password: Debian's `docker-registry`."""

import base64
import contextlib
import json
import secrets
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from release.image import ImageError

_CONFIG = """\
version: 0.1
log: {{level: warn}}
storage:
  filesystem: {{rootdirectory: {folder}/storage}}
http: {{addr: "{host}"}}
auth:
  htpasswd: {{realm: registry, path: {folder}/htpasswd}}
"""
_STARTS_WITHIN_S = 60
# As to an engine, a registry on loopback needs no TLS.
_LOOPBACK = ("docker://127.0.0.1:", "docker://localhost:")


class Registry:
    """A registry; `environ` has what docker needs to log in.

    `host` is one on loopback, None for any other and who is logged in there.
    """

    def __init__(self, host: str | None = None, folder: Path | None = None) -> None:
        self.host = host
        self._auth = ["--authfile", str(folder / "config.json")] if folder else []
        self.environ = {"DOCKER_CONFIG": str(folder)} if folder else {}

    def push(self, folder: Path, name: str) -> None:
        """Push the images in a folder, all architectures."""
        self.push_to(folder, f"{self.host}/{name}")

    def push_to(self, folder: Path, name: str) -> None:
        """The same to any registry, by a whole name."""
        self._skopeo([], ["copy", "--all"], f"dir:{folder}", f"docker://{name}")

    def pull(self, name: str, folder: Path, architecture: str | None = None) -> None:
        """Pull an image into a folder: all architectures, or one."""
        self.pull_from(f"{self.host}/{name}", folder, architecture)

    def pull_from(self, name: str, folder: Path, architecture: str | None = None) -> None:
        """The same from any registry, by a whole name."""
        folder.mkdir(parents=True)
        which = ["copy"] if architecture else ["copy", "--all"]
        before = [f"--override-arch={architecture}"] if architecture else []
        self._skopeo(before, which, f"docker://{_without_tag(name)}", f"dir:{folder}")

    def check_password(self) -> None:
        """ImageError if it gives anything to somebody without a password."""
        try:
            urllib.request.urlopen(f"http://{self.host}/v2/_catalog", timeout=10)
        except urllib.error.HTTPError as exc:
            if exc.code == 401:
                return
        raise ImageError(f"{self.host} asks for no password\n  fix: read its config.yml")

    def _skopeo(self, before: list[str], verb: list[str], source: str, target: str) -> None:
        options = [*self._auth, "--quiet", "--preserve-digests"]
        for side, place in (("src", source), ("dest", target)):
            if place.startswith(_LOOPBACK):
                options.append(f"--{side}-tls-verify=false")
        command = ["skopeo", *before, *verb, *options, source, target]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ImageError(f"{' '.join(command)}: {done.stderr.strip()}")


@contextlib.contextmanager
def registry(folder: Path) -> Iterator[Registry]:
    """Run a registry whose data are in a folder, until the end of the block."""
    folder.mkdir(parents=True, exist_ok=True)
    password = secrets.token_urlsafe(24)
    host = f"127.0.0.1:{_free_port()}"
    (folder / "config.yml").write_text(_CONFIG.format(folder=folder, host=host))
    subprocess.run(
        ["htpasswd", "-iBc", str(folder / "htpasswd"), "release"],
        input=password,
        text=True,
        capture_output=True,
        check=True,
    )
    auth = base64.b64encode(f"release:{password}".encode()).decode()
    config = folder / "config.json"
    config.touch(mode=0o600)
    config.write_text(json.dumps({"auths": {host: {"auth": auth}}}))
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            ["docker-registry", "serve", str(folder / "config.yml")], stdout=log, stderr=log
        )
    try:
        found = Registry(host, folder)
        _wait(host, server, folder)
        found.check_password()
        yield found
    finally:
        server.terminate()
        server.wait()
        config.unlink()


def _wait(host: str, server: subprocess.Popen[bytes], folder: Path) -> None:
    address, _, port = host.partition(":")
    deadline = time.monotonic() + _STARTS_WITHIN_S
    while server.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((address, int(port)), 1):
            return
        time.sleep(0.1)
    raise ImageError(f"no registry at {host}\n  fix: read {folder}/log")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_pullable(name: str) -> bool:
    """Whether the public registry gives an image."""
    command = ["skopeo", "inspect", "--raw", f"docker://{_without_tag(name)}"]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    return done.returncode == 0


def _without_tag(name: str) -> str:
    """`name:tag@digest`, which skopeo refuses, without the tag."""
    before, at, digest = name.partition("@")
    folder, slash, last = before.rpartition("/")
    return f"{folder}{slash}{last.partition(':')[0]}{at}{digest}" if at else name
