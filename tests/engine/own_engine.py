"""A Docker engine of a test's own: to be reached in other ways, stopped and killed."""

import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import trustme

START_S = 60.0
_BRIDGE = "ravi-test0"


class OwnEngine:
    """An engine whose containers are to use the host's network. `url` is its Unix socket.

    Its bridge is a link of its own: without one it would take, or remove, the host's docker0. It
    listens on `tls_url` too, for clients with the certificates in `certificates`.
    """

    def __init__(self, directory: Path, port: int) -> None:
        self._directory = directory
        self.socket = directory / "docker.sock"
        self.url = f"unix://{self.socket}"
        self.tls_url = f"tcp://127.0.0.1:{port}"
        self.certificates = directory / "certificates"
        self._process: subprocess.Popen[bytes] | None = None
        self._write_certificates()

    def start(self, attempts: int = 5) -> None:
        """Start it, and wait until it answers."""
        assert attempts, self.log()
        shown = subprocess.run(["ip", "link", "show", _BRIDGE], check=False, capture_output=True)
        if shown.returncode:
            subprocess.run(["ip", "link", "add", _BRIDGE, "type", "bridge"], check=True)
            subprocess.run(["ip", "address", "add", "10.213.0.1/24", "dev", _BRIDGE], check=True)
        (self._directory / "pid").unlink(missing_ok=True)
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *("dockerd", "--data-root", self._directory / "data"),
                    *("--exec-root", self._directory / "exec"),
                    *("--pidfile", self._directory / "pid"),
                    *("--bridge", _BRIDGE, "--iptables=false", "--ip-masq=false"),
                    *("-H", self.url, "-H", self.tls_url, "--tlsverify"),
                    *("--tlscacert", self.certificates / "ca.pem"),
                    *("--tlscert", self.certificates / "server.pem"),
                    *("--tlskey", self.certificates / "server-key.pem"),
                ],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_S
        while not self._answers():
            assert time.monotonic() < deadline, self.log()
            if self._process.poll() is not None:
                # After a kill its containerd may be on its way out: a service manager would try
                # again too.
                self.start(attempts - 1)
                return
            time.sleep(0.1)

    def log(self) -> str:
        """The end of what it has said."""
        return (self._directory / "log").read_text()[-2000:]

    def send(self, number: int) -> None:
        assert self._process
        self._process.send_signal(number)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it by a signal, and wait until it has ended."""
        assert self._process
        self._process.send_signal(number)
        self._process.wait(timeout=60)

    @contextmanager
    def client(self) -> Iterator[docker.DockerClient]:
        client = docker.DockerClient(base_url=self.url, timeout=120)
        try:
            yield client
        finally:
            client.close()

    def close(self) -> None:
        """End it, with its containers and its files."""
        if self._process and self._process.poll() is None:
            with self.client() as client:
                for container in client.containers.list(all=True):
                    container.remove(force=True, v=True)
            self.stop()
        subprocess.run(["ip", "link", "delete", _BRIDGE], check=False, capture_output=True)
        shutil.rmtree(self._directory, ignore_errors=True)

    def _answers(self) -> bool:
        asked = subprocess.run(
            ["docker", "-H", self.url, "version"], check=False, capture_output=True
        )
        return asked.returncode == 0

    def _write_certificates(self) -> None:
        self.certificates.mkdir()
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.certificates / "ca.pem")
        for identity, name in (("127.0.0.1", "server"), ("client.test", "")):
            pair = authority.issue_cert(identity)
            prefix = f"{name}-" if name else ""
            pair.private_key_pem.write_to_path(self.certificates / f"{prefix}key.pem")
            for pem in pair.cert_chain_pems:
                pem.write_to_path(self.certificates / f"{name or 'cert'}.pem", append=True)
