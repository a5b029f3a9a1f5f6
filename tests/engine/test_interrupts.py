"""Ctrl-C, a service manager's stop and a closed terminal, once and again."""

import signal
import subprocess
import sys

import docker
import pytest

from engine.conftest import DEAF, LAUNCH, Launching, containers, said, started


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_says_what_the_next_does_and_that_kills_every_agent(
    environ: dict[str, str],
    run_name: str,
    client: docker.DockerClient,
    launching: Launching,
    number: signal.Signals,
) -> None:
    launcher = launching([LAUNCH, "--count", "3", "--name", run_name, *DEAF], environ)
    started(launcher, 3)

    launcher.send_signal(number)
    said(launcher, "stopping the agents… press Ctrl-C again to force")
    launcher.send_signal(number)
    said(launcher, "killing the agents… press Ctrl-C again to leave them")
    output, errors = launcher.communicate(timeout=60)

    assert launcher.returncode == 130, errors
    assert output.count("stopped") == 3
    found = containers(client, run_name)
    assert [one.status for one in found] == ["exited"] * 3
    assert [one.attrs["State"]["ExitCode"] for one in found] == [137] * 3


def test_a_run_continues_without_its_terminal_where_that_is_wanted(
    environ: dict[str, str], run_name: str, client: docker.DockerClient, launching: Launching
) -> None:
    flags = ["--count", "1", "--name", run_name, "--ignore-hangup"]
    agent = ["sh", "-c", 'trap "exit 0" USR1; echo up; while :; do sleep 0.1; done']
    launcher = launching([LAUNCH, *flags, "--", *agent], environ)
    started(launcher, 1)

    launcher.send_signal(signal.SIGHUP)
    (container,) = containers(client, run_name)
    container.kill(signal.SIGUSR1)
    _, errors = launcher.communicate(timeout=60)

    assert launcher.returncode == 0, errors


def test_a_hangup_is_ignored_where_that_is_wanted() -> None:
    program = """
import os, signal
from ravi_agent.launcher.model.interrupts import Interrupts
heard = []
for ignores in (True, False):
    with Interrupts(say=heard.append, stop=print, left=str, ignores_hangup=ignores):
        os.kill(os.getpid(), signal.SIGHUP)
    print(len(heard))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "0\nFalse\n1\n"


def test_what_was_ignored_at_the_start_stays_ignored() -> None:
    """As `nohup` and a shell's background jobs have it."""
    program = """
import os, signal
from ravi_agent.launcher.model.interrupts import Interrupts
signal.signal(signal.SIGINT, signal.SIG_IGN)
with Interrupts(say=print, stop=print, left=str):
    os.kill(os.getpid(), signal.SIGINT)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == ""
