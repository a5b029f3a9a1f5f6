"""`ravi inbox wait` against a real local Ravi: what it waits for, and what it survives."""

import json
import os
import smtplib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import pytest

from ravi_agent.command.agent_start import agent_age_s
from ravi_agent.command.cli import ravi
from ravi_agent.errors import RefusedError, TimeUpError, UsageError
from ravi_agent.identity import Identity
from ravi_agent.local.faults import Fault
from ravi_agent.local.record import Record
from ravi_agent.local.server import LocalRavi
from ravi_agent.workspace.claim import Claim

RAVI = str(Path(sys.executable).with_name("ravi"))
Wait = Callable[..., Any]
Start = Callable[..., "subprocess.Popen[str]"]


def provision(workspace: Path, local: LocalRavi, *, with_phone: bool = True) -> Record:
    record = local.store.create(name=workspace.name, email=None, with_phone=with_phone)
    identity = Identity(
        uuid=record.uuid,
        name=record.name,
        email=record.email,
        phone=record.phone,
        created_at=record.created_dt,
        key=local.store.mint_key(record.uuid, "test"),
    )
    with Claim(str(workspace)) as claim:
        assert claim.is_free()
        claim.save(identity, api_url=local.url)
    return record


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return tmp_path / "agent"


@pytest.fixture
def own(workspace: Path, local: LocalRavi) -> Record:
    return provision(workspace, local)


@pytest.fixture
def environ(own: Record, workspace: Path, tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path), "RAVI_CONFIG_DIR": str(workspace / ".ravi")}


@pytest.fixture
def wait(environ: dict[str, str], capfd: pytest.CaptureFixture[str]) -> Wait:
    """Wait in this process, and return what was printed."""

    def wait(*flags: str) -> Any:
        capfd.readouterr()
        assert ravi(["inbox", "wait", *flags], environ, "/") == 0
        printed = capfd.readouterr().out
        return json.loads(printed) if printed.startswith("{") else printed

    return wait


@pytest.fixture
def start(environ: dict[str, str], local: LocalRavi) -> Iterator[Start]:
    """A wait in a process of its own that has looked at the inbox and found nothing."""
    started = []

    def start(*flags: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [RAVI, "inbox", "wait", *flags],
            env={**os.environ, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        asked(local, "/api/messages/" if "--sms" in flags else "/api/email-messages/")
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def asked(local: LocalRavi, path: str, times: int = 1) -> None:
    """Return once the service has been asked for that path."""
    ends = time.monotonic() + 30
    while sum(str(one["path"]).startswith(path) for one in list(local.requests.entries)) < times:
        assert time.monotonic() < ends, f"nobody asked for {path}"
        time.sleep(0.02)


def mail(
    local: LocalRavi,
    to: Record,
    text: str,
    *,
    subject: str = "Hello",
    sender: str = "no-reply@shop.example",
    html: str = "",
) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, to.email, subject
    message.set_content(text)
    if html:
        message.add_alternative(html, subtype="html")
    with smtplib.SMTP(local.host, local.smtp_port, timeout=10) as smtp:
        smtp.send_message(message)


def sms(local: LocalRavi, to: Record, body: str, sender: str = "+15550009999") -> None:
    arrived = {"to_number": to.phone, "from_number": sender, "body": body}
    httpx.post(f"{local.url}/local/sms/", json=arrived).raise_for_status()


def ended(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


# --- what it returns ---------------------------------------------------------------------------


def test_a_mail_that_is_there_already_is_returned_at_once(
    wait: Wait, local: LocalRavi, own: Record
) -> None:
    mail(
        local,
        own,
        "Your code is 271828.",
        html='<a href="https://shop.example/verify?t=1">Confirm</a>',
    )

    found = wait("--timeout", "30s")

    assert (found["kind"], found["code"]) == ("email", "271828")
    assert found["link"] == "https://shop.example/verify?t=1"
    assert found["from_email"] == "no-reply@shop.example"


def test_a_mail_that_comes_while_it_waits_is_returned(
    start: Start, local: LocalRavi, own: Record
) -> None:
    process = start("--code", "--timeout", "60s")

    mail(local, own, "Your code is 314159.")

    assert ended(process)[:2] == (0, "314159\n")


def test_an_sms_is_returned(start: Start, local: LocalRavi, own: Record) -> None:
    process = start("--sms", "--timeout", "60s")

    sms(local, own, "G-161803 is your Google verification code.")

    code, out, _ = ended(process)
    found = json.loads(out)
    assert (code, found["kind"], found["code"], found["link"]) == (0, "sms", "161803", None)
    assert found["from_number"] == "+15550009999"


def test_the_oldest_of_several_is_returned(wait: Wait, local: LocalRavi, own: Record) -> None:
    mail(local, own, "Your code is 111222.")
    sms(local, own, "Your code is 333444.")

    assert wait("--code", "--timeout", "30s") == "111222\n"


def test_a_code_passes_over_a_mail_without_one(wait: Wait, local: LocalRavi, own: Record) -> None:
    mail(local, own, "Your order 48213 of 2026 is on its way.", subject="Order 48213")
    mail(local, own, "Your code is 271828.")

    assert wait("--code", "--timeout", "30s") == "271828\n"


def test_a_link_is_printed_alone(wait: Wait, local: LocalRavi, own: Record) -> None:
    mail(local, own, "Welcome! See https://shop.example/help")
    mail(local, own, "Confirm your address: https://shop.example/confirm/abcdef0123456789.\nBye")

    assert wait("--link", "--timeout", "30s") == "https://shop.example/confirm/abcdef0123456789\n"


@pytest.mark.parametrize(
    "flags",
    [
        ("--from", "SHOP.example"),
        ("--from", "/@shop\\.example$/"),
        ("--subject", "sign-in"),
        ("--subject", "/^Your SIGN/i"),
        ("--body", "for Anna"),
        ("--body", "/\\b2718\\d\\d\\b/"),
        ("--email", "--from", "shop", "--body", "Anna"),
    ],
    ids=" ".join,
)
def test_a_filter_chooses(
    wait: Wait, local: LocalRavi, own: Record, flags: tuple[str, ...]
) -> None:
    mail(local, own, "Your code is 999999 for Bert.", sender="a@bank.example", subject="Bank")
    mail(local, own, "Your code is 271828 for Anna.", subject="Your sign-in")

    assert wait(*flags, "--code", "--timeout", "30s") == "271828\n"


def test_what_came_before_since_is_not_returned(wait: Wait, local: LocalRavi, own: Record) -> None:
    mail(local, own, "Your code is 271828.")

    with pytest.raises(TimeUpError, match="nothing that matches came"):
        wait("--since", "2100-01-01T00:00:00Z", "--timeout", "0")
    assert wait("--code", "--since", "1h", "--timeout", "30s") == "271828\n"


def test_an_adopted_inbox_holds_old_codes_that_are_not_taken(
    start: Start, local: LocalRavi, own: Record, workspace: Path, wait: Wait
) -> None:
    mail(local, own, "Your code is 111111.")
    # HTTP dates have whole seconds, so an old mail is one of two seconds ago.
    before = time.time()
    while time.time() < before + 2.5:
        time.sleep(0.1)
    os.utime(workspace / ".ravi/identity.json")  # as a start that adopts writes it

    process = start("--code", "--timeout", "60s")
    mail(local, own, "Your code is 222222.")

    assert ended(process)[:2] == (0, "222222\n")
    assert wait("--code", "--since", "all", "--timeout", "30s") == "111111\n"


# --- when it ends without one ------------------------------------------------------------------


def test_75_when_the_time_is_up(start: Start) -> None:
    code, out, err = ended(start("--timeout", "0.2s"))

    assert (code, out) == (75, "")
    assert err.startswith("ravi: error: no message by mail or SMS within 0.2 s: nothing")


def test_it_says_that_something_came_that_does_not_match(
    wait: Wait, local: LocalRavi, own: Record
) -> None:
    mail(local, own, "Hello.")

    with pytest.raises(TimeUpError, match="1 came, and none matches"):
        wait("--code", "--timeout", "0")


@pytest.mark.parametrize(
    "flags",
    [
        ("--timeout", "soon"),
        ("--timeout", "-1s"),
        ("--timeout", "99d"),
        ("--since", "yesterday"),
        ("--subject", "/(/"),
        ("--sms", "--subject", "x"),
        ("--code", "--link"),
        ("--form", "x"),
    ],
    ids=" ".join,
)
def test_flags_that_make_no_sense_ask_nobody(
    wait: Wait, local: LocalRavi, flags: tuple[str, ...]
) -> None:
    with pytest.raises(UsageError):
        wait(*flags)
    assert not local.requests.entries


def test_an_expression_that_never_ends_is_stopped(
    wait: Wait, local: LocalRavi, own: Record
) -> None:
    mail(local, own, "a" * 64)

    with pytest.raises(UsageError, match="takes too long"):
        wait("--body", "/^(a+)+$x/", "--timeout", "30s")


# --- what it survives --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        Fault(method="GET", status=503, count=2),
        Fault(method="GET", status=500, count=2, body="<html>"),
        Fault(method="GET", drop="before", count=2),
        Fault(method="GET", status=429, count=1, headers={"retry-after": "1"}),
    ],
    ids=["503", "an HTML 500", "dropped connections", "429"],
)
def test_a_service_that_stumbles_is_waited_out(
    wait: Wait, local: LocalRavi, own: Record, fault: Fault
) -> None:
    mail(local, own, "Your code is 271828.")
    local.faults.append(fault)

    assert wait("--code", "--timeout", "60s") == "271828\n"


def test_a_service_that_never_answers_is_75_with_the_reason(wait: Wait, local: LocalRavi) -> None:
    local.faults.append(Fault(method="GET", status=503))

    with pytest.raises(TimeUpError, match=r"the last look failed: .*503"):
        wait("--timeout", "0")


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_ends_it_at_once(wait: Wait, local: LocalRavi, status: int) -> None:
    local.faults.append(Fault(method="GET", path="/api/email-messages/", status=status))

    with pytest.raises(RefusedError, match=str(status)):
        wait("--timeout", "60s")


def test_an_identity_without_a_number_still_gets_its_mail(
    wait: Wait, local: LocalRavi, own: Record
) -> None:
    local.faults.append(Fault(method="GET", path="/api/messages/", status=404))
    mail(local, own, "Your code is 271828.")

    assert wait("--code", "--timeout", "30s") == "271828\n"


# --- the start of the agent --------------------------------------------------------------------


def test_the_agent_is_the_outermost_process_with_its_variable(tmp_path: Path) -> None:
    """Two processes of an agent, of which the inner one asks; both are younger than this one."""
    (tmp_path / "config.json").write_text("{}")
    os.utime(tmp_path / "config.json", (0, 0))
    story = (
        "import os, sys, subprocess, time\n"
        "from ravi_agent.command.agent_start import agent_age_s, _age_of\n"
        "if len(sys.argv) == 1:\n"
        "    print(_age_of(os.getpid()), time.monotonic(), flush=True)\n"
        "    sys.exit(subprocess.run([sys.executable, sys.argv[0], 'inner']).returncode)\n"
        "folder = os.environ['RAVI_CONFIG_DIR']\n"
        "print(agent_age_s(os.environ, folder, is_home=False), time.monotonic())\n"
    )
    script = tmp_path / "agent.py"
    script.write_text(story)

    ran = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "RAVI_CONFIG_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )

    (outer, outer_at), (inner, inner_at) = (
        map(float, line.split()) for line in ran.stdout.splitlines()
    )
    # The same start, seen from two moments; /proc counts in hundredths of a second.
    assert inner - outer == pytest.approx(inner_at - outer_at, abs=0.03)


def test_an_agent_is_no_older_than_its_workspace(own: Record, workspace: Path) -> None:
    age = agent_age_s({}, str(workspace / ".ravi"), is_home=False)

    assert 0 <= age <= time.time() - (workspace / ".ravi/identity.json").stat().st_mtime + 1
