"""Much mail at once: none is lost, each is in one inbox alone, and who waits hears of it soon."""

import os
import re
import smtplib
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from conftest import MANAGEMENT_KEY
from ravi_agent.credential import Credential
from ravi_agent.service.api import RaviApi

PER_SECOND = 50
SENDERS = 4
ACCOUNT = {"Authorization": f"Bearer {MANAGEMENT_KEY}"}


@dataclass(frozen=True, kw_only=True)
class Server:
    url: str
    smtp_port: int


@dataclass(frozen=True, kw_only=True)
class Agent:
    """One identity that waits, and when it woke up to find each mail, by its subject."""

    uuid: str
    email: str
    key: str
    woke: dict[str, float] = field(default_factory=dict)


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """A local Ravi in a process of its own, as agents have it."""
    program = "from ravi_agent.local.cli import main; main()"
    flags = ["--port", "0", "--smtp-port", "0", "--management-key", MANAGEMENT_KEY]
    with subprocess.Popen(
        [sys.executable, "-I", "-c", program, *flags],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr
        url = re.search(r"listening on (\S+),", process.stderr.readline())
        port = re.search(r"on port (\d+)", process.stderr.readline())
        assert url
        assert port
        yield Server(url=url[1], smtp_port=int(port[1]))
        process.terminate()
        process.communicate(timeout=30)


def make_agents(server: Server, count: int) -> list[Agent]:
    agents = []
    with httpx.Client(base_url=server.url, headers=ACCOUNT) as http:
        for number in range(count):
            made = http.post("/api/identities/", json={"name": f"agent-{number}"}).json()
            body = {"identity_uuid": made["uuid"], "label": "test"}
            key = http.post("/api/auth/keys/identity/", json=body).json()["key"]
            agents.append(Agent(uuid=made["uuid"], email=made["inbox"], key=key))
    return agents


def inbox(server: Server, agent: Agent) -> list[str]:
    """The subjects of everything an agent can see."""
    headers = {"Authorization": f"Bearer {agent.key}"}
    found = httpx.get(f"{server.url}/api/email-messages/", headers=headers, timeout=60).json()
    return [str(mail["subject"]) for mail in found]


def wait_for(server: Server, agent: Agent, count: int, is_listening: threading.Barrier) -> None:
    """Wait as `ravi inbox wait` does: by the WebSocket of events, then look."""
    headers = {"Authorization": f"Bearer {agent.key}"}
    ends = time.monotonic() + 120
    credential = Credential(agent.key, "test")
    with RaviApi(server.url, credential) as api, httpx.Client(headers=headers) as http:
        socket = api.listen(timeout_s=60)
        is_listening.wait(60)
        try:
            while len(agent.woke) < count and time.monotonic() < ends:
                if not socket.wait(ends - time.monotonic()):
                    continue
                woke = time.monotonic()
                mails = http.get(f"{server.url}/api/email-messages/", timeout=60).json()
                for mail in mails:
                    agent.woke.setdefault(str(mail["subject"]), woke)
        finally:
            socket.close()


def send(server: Server, mails: list[tuple[float, str, str]], started: float) -> dict[str, float]:
    """Send each mail at its time; when each was accepted, by its subject."""
    accepted = {}
    with smtplib.SMTP("127.0.0.1", server.smtp_port, timeout=60) as smtp:
        for at, to, subject in mails:
            time.sleep(max(0.0, started + at - time.monotonic()))
            refused = smtp.sendmail(
                "shop@else.example", [to], f"Subject: {subject}\n\nYour code is 271828.\n"
            )
            assert refused == {}
            accepted[subject] = time.monotonic()
    return accepted


@dataclass(frozen=True, kw_only=True)
class Outcome:
    lost: list[str]
    mixed_up: list[str]
    latencies_ms: list[float]

    def percentile(self, share: float) -> float:
        return sorted(self.latencies_ms)[int(share * (len(self.latencies_ms) - 1))]


def deliver(folder: Path, *, count: int, agent_count: int) -> Outcome:
    """`count` mails at PER_SECOND to `agent_count` agents in turn, all of which wait."""
    with serving(folder) as server, ExitStack() as stack:
        agents = make_agents(server, agent_count)
        expected: defaultdict[str, list[str]] = defaultdict(list)
        mails: list[tuple[float, str, str]] = []
        for number in range(count):
            agent = agents[number % agent_count]
            expected[agent.uuid].append(f"mail {number}")
            mails.append((number / PER_SECOND, agent.email, f"mail {number}"))
        pool = stack.enter_context(ThreadPoolExecutor(agent_count + SENDERS))
        is_listening = threading.Barrier(agent_count + 1)
        waiting = [
            pool.submit(wait_for, server, agent, len(expected[agent.uuid]), is_listening)
            for agent in agents
        ]
        is_listening.wait(60)
        started = time.monotonic()
        sending = [
            pool.submit(send, server, mails[one::SENDERS], started) for one in range(SENDERS)
        ]
        accepted: dict[str, float] = {}
        for sender in sending:
            accepted |= sender.result(120)
        for waiter in waiting:
            waiter.result(150)
        assert len(accepted) == count
        seen = {agent.uuid: inbox(server, agent) for agent in agents}
    woke = {subject: at for agent in agents for subject, at in agent.woke.items()}
    return Outcome(
        lost=[
            subject
            for uuid, subjects in expected.items()
            for subject in subjects
            if seen[uuid].count(subject) != 1 or subject not in woke
        ],
        mixed_up=[
            subject
            for uuid, subjects in seen.items()
            for subject in subjects
            if subject not in expected[uuid]
        ],
        # What is heard of before its sender has read the acceptance took no time.
        latencies_ms=[
            max(0.0, woke[one] - at) * 1000 for one, at in accepted.items() if one in woke
        ],
    )


def report(outcome: Outcome, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(  # noqa: T201
            f"\nfrom SMTP acceptance to wake-up, {len(outcome.latencies_ms)} mails:"
            f" p50 {outcome.percentile(0.5):.1f} ms, p95 {outcome.percentile(0.95):.1f} ms,"
            f" p99 {outcome.percentile(0.99):.1f} ms, {os.cpu_count()} CPUs"
        )


def test_five_hundred_mails_at_fifty_a_second_are_each_in_their_own_inbox(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = deliver(tmp_path, count=500, agent_count=50)

    assert (outcome.lost, outcome.mixed_up) == ([], [])
    assert len(outcome.latencies_ms) == 500
    report(outcome, capsys)


@pytest.mark.soak
def test_a_waiting_agent_wakes_up_within_a_tenth_of_a_second(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = deliver(tmp_path, count=500, agent_count=50)
    report(outcome, capsys)

    assert outcome.percentile(0.95) < 100
