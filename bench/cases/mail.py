"""A mail for each of many agents that wait for it, beside a loop that asks again and again."""

import os
import shlex
import smtplib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from email.message import EmailMessage
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from bench.samples import Ratio
from bench.world import COUNT, KEY, READY_S, World
from ravi_agent.identity import Identity
from ravi_agent.workspace.claim import Claim

# Loaded only for this case: what a program starts seems to need the memory that the program has.
if TYPE_CHECKING:
    from ravi_agent.local.server import LocalRavi

TITLE = "A mail for each agent that waits"
SETTINGS = (COUNT,)
LOOP, OURS = "curl, every 2 s", "ravi inbox wait"
RATIOS = [Ratio(of=OURS, over=LOOP, measure=one) for one in ("delay_s", "waiters_s", "service_s")]
_RAVI = os.path.join(os.path.dirname(sys.executable), "ravi")
_PATH = "/api/email-messages/"
_WAIT_S = 15.0  # between the first look at an inbox and the mail


class _Agent(NamedTuple):
    name: str
    email: str
    key: str
    directory: str


@contextmanager
def rivals(world: World) -> Iterator[Mapping[str, Callable[[], Mapping[str, float]]]]:
    """Each waits in a process of its own; the service is part of this one."""
    from ravi_agent.local.server import LocalRavi  # noqa: PLC0415 - see above

    with LocalRavi(database=":memory:", management_key=KEY) as local:
        agents = [_provision(world, local, number) for number in range(world.options.count)]

        def loop(agent: _Agent) -> list[str]:
            header = shlex.quote(f"Authorization: Bearer {agent.key}")
            ask = f"curl --silent --fail --header {header} {local.url}{_PATH}"
            return ["sh", "-c", f"until {ask} | grep -q '\"is_read\": *false'; do sleep 2; done"]

        def wait(agent: _Agent) -> list[str]:
            del agent
            return [_RAVI, "inbox", "wait", "--timeout", "5m", "--since", "all"]

        yield {
            LOOP: partial(_sample, local, agents, loop),
            OURS: partial(_sample, local, agents, wait),
        }


def _provision(world: World, local: "LocalRavi", number: int) -> _Agent:
    record = local.store.create(name=f"bench-{number}", email=None, with_phone=False)
    key = local.store.mint_key(record.uuid, "bench")
    directory = os.path.join(world.directory, record.name)
    identity = Identity(
        uuid=record.uuid,
        name=record.name,
        email=record.email,
        phone=None,
        created_at=record.created_dt,
        key=key,
    )
    with Claim(directory) as claim:
        claim.save(identity, api_url=local.url)
    return _Agent(record.name, record.email, key, directory)


def _sample(
    local: "LocalRavi", agents: list[_Agent], command: Callable[[_Agent], list[str]]
) -> Mapping[str, float]:
    """delay: from a mail's delivery to the end of the wait, of the agent in the middle."""
    looks = _looks(local)
    service_s = time.process_time()
    sent: dict[int, float] = {}
    delays: list[float] = []
    waiters_s = 0.0
    with ExitStack() as stack:
        running = {}
        for agent in agents:
            process = subprocess.Popen(
                command(agent), cwd=agent.directory, stdout=subprocess.DEVNULL
            )
            stack.callback(process.kill)
            running[process.pid] = process
        _until(lambda: _looks(local) >= looks + len(agents))
        time.sleep(_WAIT_S)
        with smtplib.SMTP("127.0.0.1", local.smtp_port) as smtp:
            for agent, pid in zip(agents, running, strict=True):
                smtp.send_message(_mail(agent))
                sent[pid] = time.monotonic()
        for _ in agents:
            pid, status, usage = os.wait4(-1, 0)
            delays.append(time.monotonic() - sent[pid])
            waiters_s += usage.ru_utime + usage.ru_stime
            running[pid].returncode = os.waitstatus_to_exitcode(status)
            if running[pid].returncode:
                raise RuntimeError(f"{running[pid].args!r} exited with {running[pid].returncode}")
    service_s = time.process_time() - service_s
    _read_all(local, agents)
    return {
        "delay_s": median(delays),
        "waiters_s": waiters_s,
        "service_s": service_s,
        "calls_n": float(_looks(local) - looks),
    }


def _looks(local: "LocalRavi") -> int:
    return sum(str(one["path"]).startswith(_PATH) for one in list(local.requests.entries))


def _until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + READY_S
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError("not every agent has looked at its inbox")
        time.sleep(0.05)


def _mail(agent: _Agent) -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "shop@example.com", agent.email, "Your code"
    mail.set_content("Your code is 481516.")
    return mail


def _read_all(local: "LocalRavi", agents: list[_Agent]) -> None:
    for agent in agents:
        record = local.store.identity_at(agent.email)
        assert record is not None
        for mail in local.store.mailbox.mails(record):
            local.store.mailbox.mark_mail(mail["id"], is_read=True)
