"""`logs --follow`: all that a run writes, also what starts later, and out at the first Ctrl-C."""

import fcntl
import signal
import struct
import subprocess
import termios
from collections import Counter
from pathlib import Path

import docker

from engine.conftest import LAUNCH, Launching, launch, of_run


def test_tasks_that_start_later_and_second_attempts_are_followed_until_the_run_is_over(
    environ: dict[str, str],
    run_name: str,
    client: docker.DockerClient,
    launching: Launching,
    tmp_path: Path,
) -> None:
    tries = tmp_path / "tries"
    tries.mkdir(mode=0o777)
    tries.chmod(0o777)
    # Each task fails once.
    script = "echo up $TASK_ID; sleep 1; mkdir /tries/$TASK_ID && exit 3; echo done $TASK_ID"
    arguments = ["--count", "3", "--parallel", "1", "--retries", "1", "--name", run_name]
    arguments += ["-v", f"{tries}:/tries", "--", "sh", "-c", script]
    launcher = launching([LAUNCH, *arguments], environ)
    while not client.api.containers(filters=of_run(run_name)):
        assert launcher.poll() is None

    followed = launch(environ, "logs", run_name, "-f")

    assert launcher.wait(60) == 0
    lines = Counter(followed.stdout.splitlines())
    for task in ("0000", "0001", "0002"):
        assert lines[f"{task} | up {task}"] == 2
        assert lines[f"{task} | done {task}"] == 1


def test_one_task_is_followed_to_its_end_while_the_run_goes_on(
    environ: dict[str, str], run_name: str, client: docker.DockerClient, launching: Launching
) -> None:
    script = "[ $TASK_INDEX = 1 ] && exec sleep 600; sleep 1; echo done"
    arguments = ["--count", "2", "--name", run_name, "--", "sh", "-c", script]
    launcher = launching([LAUNCH, *arguments], environ)
    while len(client.api.containers(filters=of_run(run_name))) < 2:
        assert launcher.poll() is None

    followed = launch(environ, "logs", run_name, "0000", "-f")

    assert "0000 | done" in followed.stdout.splitlines()
    assert launcher.poll() is None


def waiting(reader: int) -> int:
    """Bytes in a pipe that have not been read."""
    return int(struct.unpack("i", fcntl.ioctl(reader, termios.FIONREAD, b"\0" * 4))[0])


def test_ctrl_c_leaves_at_once_even_where_nobody_reads(
    environ: dict[str, str], run_name: str
) -> None:
    launch(environ, "--count", "2", "--name", run_name, "--detach", "--", "yes")
    follower = subprocess.Popen(
        [LAUNCH, "logs", run_name, "-f"], env=environ, stdout=subprocess.PIPE
    )
    assert follower.stdout
    descriptor = follower.stdout.fileno()
    size = fcntl.fcntl(descriptor, fcntl.F_GETPIPE_SZ)
    try:
        while waiting(descriptor) < size - 4096:
            assert follower.poll() is None

        follower.send_signal(signal.SIGINT)

        assert follower.wait(5) == 130
    finally:
        follower.kill()
        follower.wait()
        follower.stdout.close()


def test_who_has_read_enough_ends_the_following(environ: dict[str, str], run_name: str) -> None:
    launch(environ, "--count", "2", "--name", run_name, "--detach", "--", "yes")
    follower = subprocess.Popen(
        [LAUNCH, "logs", run_name, "-f"],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert follower.stdout
    follower.stdout.readline()
    follower.stdout.close()

    _, errors = follower.communicate(timeout=30)

    assert follower.returncode == 141
    assert errors == b""
