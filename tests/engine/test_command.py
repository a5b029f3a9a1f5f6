"""`ravi` in a container: whose mailbox it opens, from where, and who comes first on PATH."""

import json
import re
import smtplib
import time
from email.message import EmailMessage
from pathlib import Path

import pytest
from docker.models.containers import Container

from conftest import MANAGEMENT_KEY
from engine.conftest import Ran, Run, Start, execute, wait_for_output
from ravi_agent.local.server import LocalRavi

EMAIL_OF = "python3 -c 'import json, sys; print(json.load(sys.stdin)[\"email\"])'"
DIRECTORIES = ("/", "/tmp", "/workspace", "/workspace/deep/er", "/home/agent")
# What the public CLI (v0.6.2) reads: here, then at home, and RAVI_CONFIG_DIR not at all.
OFFICIAL_CLI = """#!/usr/bin/env python3
import json, pathlib
for folder in (pathlib.Path.cwd(), pathlib.Path.home()):
    config = folder / ".ravi" / "config.json"
    if config.exists():
        print("official", json.loads(config.read_text())["identity_uuid"])
        break
"""


@pytest.fixture
def agent(start: Start) -> Container:
    """A container whose agent just stays."""
    container = start("sh", "-c", "mkdir -p deep/er; echo up; exec sleep 600")
    wait_for_output(container, "up")
    return container


@pytest.fixture
def official_cli(tmp_path: Path) -> dict[str, dict[str, str]]:
    """The volume that installs a stand-in for the official CLI."""
    program = tmp_path / "ravi"
    program.write_text(OFFICIAL_CLI)
    program.chmod(0o755)
    return {str(program): {"bind": "/usr/local/bin/ravi", "mode": "ro"}}


def otp(to: str) -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "no-reply@shop.example", to, "Your code"
    mail.set_content("Your code is 271828.\n")
    return mail


def test_the_agent_gets_its_own_address_from_any_directory(run: Run, service: LocalRavi) -> None:
    service.store.create(name="somebody-else", email=None, with_phone=True)
    there = " && ".join(
        f"mkdir -p {path} && cd {path} && ravi get email --json | {EMAIL_OF}"
        for path in DIRECTORIES
    )

    ran = run("sh", "-c", there, environment={"TASK_ID": "own"})

    own = next(one for one in service.store.identities() if one.name == "task-own")
    assert (ran.code, ran.stdout.split()) == (0, [own.email] * len(DIRECTORIES))


@pytest.mark.parametrize("user", ["root", "agent"])
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_login_shell_of_docker_exec_gets_it_too(
    agent: Container, service: LocalRavi, shell: str, user: str
) -> None:
    command = f"cd / && ravi get email --json | {EMAIL_OF}"

    code, output = agent.exec_run([shell, "-lc", command], user=user)

    assert isinstance(output, bytes)
    assert (code, output.decode().strip()) == (0, service.store.identities()[0].email)


def test_a_plain_docker_exec_gets_it_in_the_workspace(agent: Container, service: LocalRavi) -> None:
    assert json.loads(execute(agent, "ravi", "get", "email"))["email"] == (
        service.store.identities()[0].email
    )


def test_an_official_cli_finds_the_identity_from_any_directory(
    run: Run, service: LocalRavi, official_cli: dict[str, dict[str, str]]
) -> None:
    there = "; ".join(f"mkdir -p {path}; cd {path}; ravi" for path in DIRECTORIES)

    ran = run("sh", "-c", there, volumes=official_cli)

    uuid = service.store.identities()[0].uuid
    assert ran.stdout.splitlines() == [f"official {uuid}"] * len(DIRECTORIES)


def test_an_official_cli_comes_first_for_everybody(
    start: Start, official_cli: dict[str, dict[str, str]]
) -> None:
    container = start("sh", "-c", "ravi; echo up; exec sleep 600", volumes=official_cli)

    assert wait_for_output(container, "up").count("official ") == 1
    for command in (["ravi"], ["sh", "-lc", "ravi"], ["bash", "-lc", "ravi"]):
        assert execute(container, *command).startswith("official ")


def test_nothing_but_ravi_is_added_to_the_path(agent: Container) -> None:
    for command in (["sh", "-c", "echo $PATH"], ["sh", "-lc", "echo $PATH"]):
        folders = execute(agent, *command).split(":")
        assert folders.count("/opt/ravi/fallback") == 1
        assert folders[-1] == "/opt/ravi/fallback"
    assert execute(agent, "ls", "/opt/ravi/fallback") == "ravi"


def test_the_agent_reads_a_code_that_came_by_mail(start: Start, service: LocalRavi) -> None:
    container = start(
        "sh",
        "-c",
        "cd /; ravi get email; "
        "until ravi inbox email --unread | grep -q thread_id; do sleep 0.1; done; "
        "ravi message email >&2",
    )
    wait_for_output(container, "@ravi-local.test")

    with smtplib.SMTP(service.host, service.smtp_port, timeout=10) as smtp:
        smtp.send_message(otp(service.store.identities()[0].email))

    ran = Ran(container)
    (message,) = json.loads(ran.stderr[ran.stderr.index("\n[") :])
    assert ran.code == 0
    assert message["text_content"] == "Your code is 271828."


def send(service: LocalRavi, name: str, code: str) -> None:
    """A mail with a code to the identity of that name."""
    own = next(one for one in service.store.identities() if one.name == name)
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "no-reply@shop.example", own.email, "Welcome"
    mail.set_content(f"Your code is {code}.\n")
    with smtplib.SMTP(service.host, service.smtp_port, timeout=10) as smtp:
        smtp.send_message(mail)


def test_a_second_run_of_the_same_name_does_not_take_the_old_code(
    start: Start, service: LocalRavi
) -> None:
    """The code comes before the agent waits for it, as it may after a form was sent."""
    for code in ("111222", "333444"):
        container = start(
            *("sh", "-c", "mkfifo go; echo up; read -r _ <go; cd /; exec ravi inbox wait --code"),
            environment={"TASK_ID": "signup"},
        )
        wait_for_output(container, "up")
        send(service, "task-signup", code)
        execute(container, "sh", "-c", "echo go >/workspace/go")
        assert Ran(container).stdout.splitlines() == ["up", code]
        # Not taken by the first run, and old for the second.
        send(service, "task-signup", "999888")
        elapse(2.5)


def elapse(seconds: float) -> None:
    """Let the clock of HTTP, which has whole seconds, go on."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        time.sleep(0.1)


def test_a_shell_of_docker_exec_waits_for_what_came_since_the_container_started(
    agent: Container, service: LocalRavi
) -> None:
    (own,) = service.store.identities()
    send(service, own.name, "271828")

    assert execute(agent, "sh", "-c", "ravi inbox wait --code --timeout 30s") == "271828"


def test_the_image_gives_agents_a_skill_and_modules_to_wait_with(agent: Container) -> None:
    listed = execute(agent, "ls", "/opt/ravi/share").split()
    told = execute(agent, "head", "-2", "/opt/ravi/share/SKILL.md")
    story = (
        "import sys; sys.path.append('/opt/ravi/share'); import ravi_wait; "
        "print(ravi_wait.code_of({'text_content': 'Your code is 271828.'}))"
    )

    assert sorted(listed) == ["SKILL.md", "ravi-wait.d.mts", "ravi-wait.mjs", "ravi_wait.py"]
    assert told == "---\nname: ravi-inbox"
    assert execute(agent, "python3", "-Bc", story) == "271828"


def test_the_module_waits_with_the_node_that_debian_has(start: Start, service: LocalRavi) -> None:
    agent = start("sh", "-c", "echo up; exec sleep 600", image="ravi-codex")
    wait_for_output(agent, "up")
    (own,) = service.store.identities()
    send(service, own.name, "271828")
    story = (
        "import { waitForCode } from '/opt/ravi/share/ravi-wait.mjs';"
        "console.log(process.version, await waitForCode({ timeout: '30s' }));"
    )

    said = execute(agent, "node", "--input-type=module", "--eval", story)

    assert re.fullmatch(r"v(18|[2-9]\d)\.\S+ 271828", said), said


def test_the_image_of_the_local_ravi_takes_mail(start: Start, run: Run) -> None:
    local = start("--key", MANAGEMENT_KEY, image="ravi-local", with_key=False)
    wait_for_output(local, "SMTP on port 1025")
    local.reload()
    host = local.attrs["NetworkSettings"]["IPAddress"]
    story = (
        "import os, smtplib, subprocess, sys\n"
        f"with smtplib.SMTP({host!r}, 1025, timeout=10) as smtp:\n"
        "    smtp.sendmail('a@b.example', [os.environ['RAVI_EMAIL']], 'Subject: 31415\\n\\nx')\n"
        "sys.exit(subprocess.run(['ravi', 'inbox', 'email']).returncode)\n"
    )

    ran = run("python3", "-c", story, environment={"RAVI_API_URL": f"http://{host}:8787"})

    assert ran.code == 0
    assert [thread["subject"] for thread in json.loads(ran.stdout)] == ["31415"]
