"""What shows a run never stops, delays or fails what controls it."""

import fcntl
import json
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import docker
import psutil
import pytest

from engine.conftest import LAUNCH, Launching, containers, launch, of_run

FLOOD = ["sh", "-c", "echo up; exec yes"]
# A Python of the launcher's, 50 attached containers and what they may have unshown.
MEMORY_LIMIT = 160 << 20  # bytes
PIPE = 60 << 10  # bytes, of the 64 KiB that fit in: a full one


@contextmanager
def held(
    environ: dict[str, str], arguments: list[str], errors: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A launcher whose standard output nobody reads."""
    with errors.open("wb") as file:
        launcher = subprocess.Popen(
            [LAUNCH, *arguments],
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=file,
        )
    try:
        yield launcher
    finally:
        launcher.kill()
        launcher.wait()
        assert launcher.stdout
        launcher.stdout.close()


def wait_until(is_true: Callable[[], bool], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def wait_until_at_rest(pid: int) -> None:
    """Until a process uses no processor any more: what it could do is done, or it is held."""
    process = psutil.Process(pid)
    times: list[float] = []

    def is_at_rest() -> bool:
        assert process.memory_info().rss < MEMORY_LIMIT
        used = process.cpu_times()
        times.append(used.user + used.system)
        time.sleep(0.4)
        return len(times) > 5 and times[-1] - times[-5] < 0.05

    wait_until(is_at_rest, 120)


def waiting_in(pipe: IO[bytes] | None) -> int:
    """Bytes that a pipe holds (pipe(7), FIONREAD)."""
    assert pipe
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4), sys.byteorder)


def states(client: docker.DockerClient, run: str) -> list[str]:
    found = client.api.containers(all=True, filters=of_run(run))
    return [str(one["State"]) for one in found]


@pytest.mark.parametrize(
    "count",
    [4, pytest.param(50, marks=[pytest.mark.soak, pytest.mark.timeout(900)])],
)
def test_agents_that_write_without_end_before_a_blocked_reader_cost_no_memory_and_no_control(
    environ: dict[str, str],
    run_name: str,
    client: docker.DockerClient,
    tmp_path: Path,
    count: int,
) -> None:
    errors = tmp_path / "errors"
    arguments = ["--count", str(count), "--name", run_name, "--", *FLOOD]
    with held(environ, arguments, errors) as launcher:
        wait_until(lambda: states(client, run_name) == ["running"] * count, timeout_s=300)
        wait_until(lambda: waiting_in(launcher.stdout) >= PIPE)
        wait_until_at_rest(launcher.pid)
        assert psutil.Process(launcher.pid).memory_info().rss < MEMORY_LIMIT

        launcher.send_signal(signal.SIGINT)
        wait_until(lambda: "press Ctrl-C again to force" in errors.read_text())
        assert launcher.wait(timeout=60) == 130

    assert states(client, run_name) == ["exited"] * count


def test_a_flood_that_is_read_does_not_hold_up_a_quiet_agent(
    environ: dict[str, str], run_name: str, tmp_path: Path
) -> None:
    tasks = tmp_path / "tasks"
    tasks.write_text(
        json.dumps({"id": "loud", "command": ["timeout", "5", "yes"]})
        + "\n"
        + json.dumps({"id": "quiet", "command": ["sh", "-c", "echo I am done; exit 3"]})
        + "\n"
    )
    done = subprocess.run(
        [LAUNCH, "--tasks", str(tasks), "--name", run_name, "-o", "jsonl"],
        env=environ,
        capture_output=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 1
    ended = [json.loads(line) for line in done.stdout.splitlines() if b'"exit_code": ' in line]
    codes = {one["task"]: one["exit_code"] for one in ended if one.get("state") == "exited"}
    assert codes == {"loud": 124, "quiet": 3}
    assert b'"line": "I am done"' in done.stdout


def test_a_reader_that_leaves_is_said_once_and_the_run_goes_on(
    environ: dict[str, str], run_name: str, client: docker.DockerClient, launching: Launching
) -> None:
    script = "for i in 1 2 3 4 5; do echo $i; sleep 0.3; done"
    launcher = launching(
        [LAUNCH, "--count", "2", "--name", run_name, "-o", "jsonl", "--", "sh", "-c", script],
        environ,
    )
    assert launcher.stdout
    assert launcher.stderr
    assert json.loads(launcher.stdout.readline())
    launcher.stdout.close()

    errors = launcher.stderr.read()
    assert launcher.wait(timeout=60) == 0
    assert errors.count("Broken pipe") == 1
    assert "2 requested, 2 succeeded" in errors
    assert [one.attrs["State"]["ExitCode"] for one in containers(client, run_name)] == [0, 0]


def test_what_the_encoding_does_not_have_is_escaped(environ: dict[str, str], run_name: str) -> None:
    done = subprocess.run(
        [LAUNCH, "--count", "1", "--name", run_name, "--", "printf", "\\342\\234\\224 ok\\n"],
        env=environ | {"PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert b"0000 | \\u2714 ok" in done.stdout


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A directory on a file system with room for a few pages."""
    path = tmp_path / "tiny"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", path], check=True)
    yield path
    subprocess.run(["umount", path], check=True)


def test_a_full_log_directory_is_said_once_and_the_run_goes_on(
    environ: dict[str, str], run_name: str, tiny: Path
) -> None:
    script = "yes | head -c 300000; echo the last line"
    done = subprocess.run(
        [LAUNCH, "--count", "2", "--name", run_name, "--log-dir", tiny, "--", "sh", "-c", script],
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stderr.count("No space left on device") == 1
    assert done.stdout.count("| the last line") == 2


@pytest.mark.parametrize("flags", [(), ("--follow",)], ids=" ".join)
def test_a_line_in_the_log_is_whole_although_the_other_stream_wrote_in_between(
    environ: dict[str, str], run_name: str, flags: tuple[str, ...]
) -> None:
    command = "printf be; echo aside >&2; echo gun; printf un"
    launch(environ, "--count", "1", "--name", run_name, "--quiet", "--", "sh", "-c", command)

    lines = launch(environ, "logs", *flags, run_name).stdout.splitlines()

    said = [line for line in lines if "ravi-entrypoint" not in line]
    assert sorted(said[:2]) == ["0000 | aside", "0000 | begun"]
    assert said[2:] == ["0000 | un"]


def test_streams_that_were_closed_before_the_start_stop_nothing(
    environ: dict[str, str], run_name: str, client: docker.DockerClient
) -> None:
    command = f"exec {LAUNCH} --count 1 --name {run_name} -- echo hello >&- 2>&-"
    done = subprocess.run(["sh", "-c", command], env=environ, timeout=120, check=False)

    assert done.returncode == 0
    assert states(client, run_name) == ["exited"]


LONG = """
import sys
sys.stdout.write('{"log": "' + "ü" * 100_000 + '"}\\n')
for percent in range(0, 101, 10):
    sys.stdout.write(f"\\r{percent}%")
print()
print("x" * 5_000_000)
"""


def test_long_lines_and_progress_are_shown_as_they_were_written(
    environ: dict[str, str], run_name: str
) -> None:
    arguments = ["--count", "1", "--name", run_name, "--quiet"]
    done = launch(environ, *arguments, "--", "python3", "-c", LONG)
    logs = launch(environ, "logs", run_name)

    for text in (done.stdout, logs.stdout):
        lines = [one.removeprefix("0000 | ") for one in text.splitlines() if "0000 | " in one]
        (long,) = [one for one in lines if one.startswith('{"log')]
        # The engine's own log breaks a character at each 16 KiB, for `docker logs` too.
        assert long.endswith('"}')
        assert len(long) >= 100_000
        assert "\ufffd" not in long or text is logs.stdout
        assert "100%" in lines
        assert "50%" not in lines
        # PID 1's last line, of the other stream, may come before the end of the line.
        assert sum(len(one) for one in lines if one.startswith("x")) == 5_000_000
        assert {*"".join(one for one in lines if "xx" in one)} == {"x"}
