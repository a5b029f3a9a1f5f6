"""`make demo-signup`, as somebody types it: twice under one name."""

import re
import smtplib
import subprocess
from collections.abc import Iterator
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path

import docker
import docker.errors
import httpx
import pytest
from docker.models.containers import Container

from ravi_agent.contract import LOCAL_NAME

ROOT = Path(__file__).parents[2]
AGENTS = 4
SIGNED_UP = re.compile(r"signed up as (\S+) with the code (\d{6}), as (\+\d+) with (\d{6})")


@pytest.fixture
def name(client: docker.DockerClient, run_name: str) -> Iterator[str]:
    """A run's name. The local Ravi goes with the test, unless it is somebody's already."""
    was_there = LOCAL_NAME in [one.name for one in client.containers.list(all=True)]
    yield run_name
    if not was_there:
        client.containers.get(LOCAL_NAME).remove(force=True)


def demo(name: str) -> list[tuple[str, ...]]:
    """Run the demo: each agent's address, mailed code, number and texted code."""
    done = subprocess.run(
        ["scripts/demo-signup", str(AGENTS), name],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert f"{AGENTS} of {AGENTS} signed up at the shop, with {2 * AGENTS} different" in done.stdout
    return sorted(SIGNED_UP.findall(done.stdout))


@pytest.mark.timeout(300)
def test_the_same_identities_sign_up_again_and_take_no_old_code(
    client: docker.DockerClient, name: str
) -> None:
    first = demo(name)
    leave_an_unread_code(client.containers.get(LOCAL_NAME), [address for address, *_ in first])
    second = demo(name)

    assert len({address for address, *_ in first}) == AGENTS
    assert [(one[0], one[2]) for one in second] == [(one[0], one[2]) for one in first]
    codes = [code for one in (*first, *second) for code in (one[1], one[3])]
    assert "271828" not in codes
    assert len(first) == len(second) == AGENTS
    assert not set(codes[: 2 * AGENTS]) & set(codes[2 * AGENTS :])
    with pytest.raises(docker.errors.NotFound):
        client.containers.get("ravi-demo-shop")


def leave_an_unread_code(local: Container, addresses: list[str]) -> None:
    """Have the shop's sender mail one more code that nobody waits for.

    It is an old one once the service's clock, which is read to the second, has gone on.
    """
    local.reload()
    host = local.attrs["NetworkSettings"]["Networks"]["ravi"]["IPAddress"]
    with smtplib.SMTP(host, 1025, timeout=10) as smtp:
        for address in addresses:
            mail = EmailMessage()
            mail["From"], mail["To"] = "no-reply@shop.example", address
            mail["Subject"] = "Welcome to the shop"
            mail.set_content("your verification code is 271828.")
            smtp.send_message(mail)
    sent = clock_of(host)
    while clock_of(host) < sent + timedelta(seconds=2):
        pass


def clock_of(host: str) -> datetime:
    """The service's time as its answers tell it."""
    answer = httpx.get(f"http://{host}:8787/", timeout=10)
    return parsedate_to_datetime(answer.headers["Date"])
