"""Podman's Docker socket, as root and without: an engine that is nearly Docker's."""

import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
PODMAN = str(ROOT / "scripts/podman")
USER = "ravi-rootless"
START_S = 60.0
_CONFIG = """
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""


class OwnPodman:
    """`podman system service` on a socket of its own; its agents are to use the host's network.

    is_rootless: as a user without rights, who is made where no user has the numbers for it.
    """

    def __init__(self, *, is_rootless: bool) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="ravi-podman-"))
        self._directory.chmod(0o755)
        self._socket = self._directory / "podman.sock"
        self.url = f"unix://{self._socket}"
        prepared = [PODMAN, "version"]  # installs it where it is not there
        subprocess.run(prepared, check=True, capture_output=True, timeout=300)
        command = self._rootless() if is_rootless else [PODMAN]
        with (self._directory / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [*command, "system", "service", "--time=0", self.url],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_S
        while not self._answers():
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.1)

    def log(self) -> str:
        """The end of what it has said."""
        return (self._directory / "log").read_text()[-2000:]

    def load(self, image: bytes) -> None:
        """Have an image, as `docker save` writes it."""
        load = ["docker", "-H", self.url, "load", "--quiet"]
        subprocess.run(load, input=image, check=True, capture_output=True, timeout=120)

    def close(self) -> None:
        """End it, with its containers; the images of the one as root stay for the next time."""
        listed = ["docker", "-H", self.url, "ps", "--all", "--quiet"]
        there = subprocess.run(listed, check=True, capture_output=True, text=True).stdout.split()
        if there:
            remove = ["docker", "-H", self.url, "rm", "--force", *there]
            subprocess.run(remove, check=True, capture_output=True)
        self._process.terminate()
        self._process.wait(timeout=60)
        # A user's files have owners that only a namespace of that user's knows.
        shutil.rmtree(self._directory, ignore_errors=True)

    def _rootless(self) -> Sequence[str]:
        missing = [one for one in ("newuidmap", "slirp4netns") if not shutil.which(one)]
        if missing:
            packages = ["uidmap", "slirp4netns"]
            install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
            subprocess.run(install, check=True, capture_output=True, timeout=300)
        try:
            user = pwd.getpwnam(USER)
        except KeyError:
            subprocess.run(["useradd", "--no-create-home", USER], check=True)
            user = pwd.getpwnam(USER)
        if f"{USER}:" not in Path("/etc/subuid").read_text(encoding="utf-8"):
            numbers = ["--add-subuids", "2000000-2065535", "--add-subgids", "2000000-2065535"]
            subprocess.run(["usermod", *numbers, USER], check=True)
        (self._directory / "containers.conf").write_text(_CONFIG, encoding="utf-8")
        home = self._directory / "home"
        for path in (home, self._directory / "run"):
            path.mkdir(mode=0o700)
            shutil.chown(path, user.pw_uid, user.pw_gid)
        shutil.chown(self._directory, user.pw_uid, user.pw_gid)
        return [
            *("runuser", "-u", USER, "--", "env", "--chdir", str(home)),
            f"HOME={home}",
            f"XDG_RUNTIME_DIR={self._directory / 'run'}",
            f"CONTAINERS_CONF={self._directory / 'containers.conf'}",
            *("podman", "--storage-driver", "overlay"),
        ]

    def _answers(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(self._socket))
        except OSError:
            return False
        asked = ["docker", "-H", self.url, "version"]
        return subprocess.run(asked, check=False, capture_output=True).returncode == 0
