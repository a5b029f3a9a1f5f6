"""One container whose PID 1 is the init under test, and what can be seen of it from outside."""

import os
import select
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import docker
import docker.errors
from docker.models.containers import Container

IMAGE = "ravi-agent-test-conformance"
PREFIX = "ravi-agent-test-"
AGENT = ("python3", "-I", "/conformance/agent.py")
BELOW = ("python3", "-I", "/conformance/below.py")
# For what should come at once, on a busy machine too; each red check costs about that much. An
# emulated processor takes longer for everything.
SLOWNESS = float(os.environ.get("RAVI_TEST_PATIENCE", "1"))
PATIENCE_S = 5.0 * SLOWNESS
# For what has to come, or nothing is measured.
MUST_COME_S = 60.0
_POLL_S = 0.03


class Init(NamedTuple):
    """An init under test; `package` is Debian's, None for ours and the bad one."""

    name: str
    command: tuple[str, ...]
    package: str | None = None


OURS = Init("ours", ("/opt/ravi/bin/ravi-entrypoint", "--"))
RIVALS = (
    Init("tini", ("tini", "--"), "tini"),
    Init("dumb-init", ("dumb-init", "--"), "dumb-init"),
    Init("catatonit", ("catatonit", "--"), "catatonit"),
)
BAD = Init("bad", ("python3", "-I", "/conformance/bad_init.py"))


class Box:
    """A container that runs."""

    def __init__(self, client: docker.DockerClient, container: Container) -> None:
        self._client = client
        self._container = container

    def output(self) -> str:
        """All that it has written so far."""
        return self._container.logs().decode(errors="replace")

    def wait_for(self, text: str) -> None:
        """Wait for what every init must bring about; AssertionError where it does not come."""
        assert self.has_said(text, MUST_COME_S), f"{text!r} not in the output: {self.output()}"

    def has_said(self, text: str, within_s: float = PATIENCE_S) -> bool:
        """Whether its output comes to hold a text."""
        return comes_true(lambda: text in self.output(), within_s)

    def kill(self, number: int) -> None:
        """`docker kill -s`: a signal to PID 1."""
        self._container.kill(signal=number)

    def stop(self, timeout_s: int) -> None:
        """`docker stop -t`."""
        self._container.stop(timeout=timeout_s)

    def code(self, within_s: float = PATIENCE_S) -> int | None:
        """The exit code; None if it still runs after that time."""
        state: dict[str, Any] = {}

        def has_ended() -> bool:
            state.update(self._client.api.inspect_container(str(self._container.id))["State"])
            return not state["Running"]

        return int(state["ExitCode"]) if comes_true(has_ended, within_s) else None

    def execute(self, *command: str) -> str:
        """What `docker exec` of a command prints, as root; AssertionError where that fails."""
        code, output = self._container.exec_run(list(command), user="0")
        assert isinstance(output, bytes)
        assert code == 0, f"{command}: {code}: {output.decode(errors='replace')}"
        return output.decode()

    def programs(self) -> list[str]:
        """What `docker top` lists, by the names that the kernel has for them."""
        listed = self._container.top(ps_args="-eo pid,comm")
        return [str(row[-1]) for row in listed["Processes"]]

    def resize(self, columns: int, lines: int) -> None:
        """Give its terminal another size."""
        self._container.resize(height=lines, width=columns)

    @contextmanager
    def terminal(self) -> Iterator["Terminal"]:
        """Who sits at its terminal."""
        stream = self._client.api.attach_socket(
            str(self._container.id), params={"stdin": 1, "stdout": 1, "stream": 1}
        )
        connection = stream._sock
        try:
            yield Terminal(connection)
        finally:
            connection.close()
            stream.close()


class Terminal:
    """A keyboard and a screen. Docker's log has lines only once they have ended; this has all."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._screen = b""

    def type(self, text: str) -> None:
        """Press keys."""
        self._connection.sendall(text.encode())

    def shows(self, text: str, within_s: float) -> bool:
        """Whether a text comes to be on the screen."""
        deadline = time.monotonic() + within_s
        while text.encode() not in self._screen:
            left_s = deadline - time.monotonic()
            if left_s < 0 or not select.select([self._connection], [], [], left_s)[0]:
                return False
            data = self._connection.recv(4096)
            if not data:
                return False
            self._screen += data
        return True


class Engine:
    """Starts containers of the test image without a network, and always removes them."""

    def __init__(self, client: docker.DockerClient, image: str = IMAGE) -> None:
        self._client = client
        self._image = image

    @contextmanager
    def run(
        self,
        *command: str,
        user: str = "1000:1000",
        grace_s: float = 8,
        has_terminal: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> Iterator[Box]:
        """A container of that command line, all of it; `grace_s` is a setting of ours alone."""
        container = self._client.containers.create(
            self._image,
            list(command[1:]),
            entrypoint=[command[0]],
            name=PREFIX + uuid.uuid4().hex[:12],
            user=user,
            network_mode="none",
            cap_add=["SYS_PTRACE"],  # for root, to look into a PID 1 that lets nobody else
            tty=has_terminal,
            stdin_open=has_terminal,
            environment={
                "RAVI_GRACE": str(grace_s),
                "RAVI_LOG_LEVEL": "error",
                # As root it takes no identity of an image whose name nobody asks for.
                "RAVI_IDENTITY_NAME": "task-conformance",
                **(environment or {}),
            },
        )
        try:
            container.start()
            yield Box(self._client, container)
        finally:
            container.remove(force=True, v=True)

    def package_versions(self) -> dict[str, str]:
        """Upstream's part of the version of each rival's package."""
        packages = [init.package for init in RIVALS if init.package]
        with self.run("dpkg-query", "-W", "-f", "${Package} ${Version}\n", *packages) as box:
            assert box.code() == 0, box.output()
            pairs = (line.split() for line in box.output().splitlines())
            return {name: version.rpartition("-")[0] for name, version in pairs}


def comes_true(condition: Callable[[], bool], within_s: float) -> bool:
    """Whether a condition holds at some moment within that time."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True
