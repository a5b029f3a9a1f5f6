"""The official CLI v0.6.2 and the local Ravi: what it types, sends and understands.

No package registry has it, so its place is taken by a stand-in that refuses what it refuses. With
RAVI_OFFICIAL_CLI=/path and the port of its address in RAVI_OFFICIAL_CLI_PORT, the same facts are
held against the real one.
"""

import itertools
import json
import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from clients import CLI_VERSION, Cells, check_page
from conftest import MANAGEMENT_KEY
from official_cli.facts import FACTS, HELP, REFUSED
from official_cli.grammar import COMMANDS, GROUPS
from official_cli.recorder import Recorder
from ravi_agent.local.endpoints import Options
from ravi_agent.local.mailbox import Mail
from ravi_agent.local.record import Record
from ravi_agent.local.server import LocalRavi

STAND_IN = Path(__file__).parents[1] / "official_cli" / "ravi"
REAL = os.environ.get("RAVI_OFFICIAL_CLI")
PROGRAM = REAL or str(STAND_IN)
PORT = int(os.environ.get("RAVI_OFFICIAL_CLI_PORT", "0"))
PEER = "+15557770009"
CELLS: Cells = {}
_NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def service() -> Iterator[LocalRavi]:
    with LocalRavi(
        database=":memory:",
        management_key=MANAGEMENT_KEY,
        options=Options(approve_logins=True),
    ) as server:
        yield server


@pytest.fixture(scope="module")
def recorder(service: LocalRavi) -> Iterator[Recorder]:
    with Recorder(service.url, PORT) as proxy:
        yield proxy


@pytest.fixture
def own(service: LocalRavi) -> Record:
    return service.store.create(name=f"agent {next(_NUMBERS)}", email=None, with_phone=True)


@pytest.fixture
def home(service: LocalRavi, own: Record, tmp_path: Path) -> Path:
    """A home directory as `ravi auth login` leaves it, for one identity."""
    config = {
        "management_key": MANAGEMENT_KEY,
        "identity_key": service.store.mint_key(own.uuid, "cli"),
        "identity_uuid": own.uuid,
        "identity_name": own.name,
        "user_email": "owner@ravi-local.test",
    }
    (tmp_path / ".ravi").mkdir()
    (tmp_path / ".ravi/config.json").write_text(json.dumps(config))
    return tmp_path


@pytest.fixture
def names(service: LocalRavi, own: Record, tmp_path: Path) -> dict[str, str]:
    """One of everything that the identity has, by the words of the facts."""
    mail = service.store.mailbox.add_mail(
        own,
        Mail(
            from_email="shop@else.example",
            to_email=own.email,
            subject="s",
            text_content="t",
            html_content="",
            message_id="<1@else.example>",
        ),
    )
    sms = service.store.phones.add_sms(own, peer=PEER, body="Your code is 31415.")
    conversation = f"{own.id}_{PEER}"
    headers, whose = {"Authorization": f"Bearer {MANAGEMENT_KEY}"}, {"identity": own.uuid}
    with httpx.Client(base_url=service.url, headers=headers, params=whose) as account:
        kept = {
            "password": account.post("/api/passwords/", json={"domain": "d"}),
            "secret": account.post("/api/secrets/", json={"key": "TOKEN", "value": "v"}),
            "contact": account.post("/api/contacts/", json={"email": "b@else.example"}),
        }
    file = tmp_path / "file.txt"
    file.write_text("attached")
    return {
        "own": own.uuid,
        "free": f"free{next(_NUMBERS)}",
        "inbox": str(own.id),
        "mail": str(mail["id"]),
        "thread": str(mail["thread_id"]),
        "sms": str(sms["id"]),
        "conversation": conversation,
        "file": str(file),
        **{word: answer.json()["uuid"] for word, answer in kept.items()},
    }


def run(recorder: Recorder, home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    recorder.sent.clear()
    return subprocess.run(
        [PROGRAM, *words],
        env={"PATH": os.environ["PATH"], "HOME": str(home), "RAVI_STAND_IN_URL": recorder.url},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def filled(text: str, names: dict[str, str]) -> str:
    """Fill in the words in braces; a body's fields are in braces as well, with other words."""
    for word, value in names.items():
        text = text.replace(f"{{{word}}}", value)
    return text


@pytest.mark.parametrize("line", FACTS)
def test_a_command_sends_what_it_is_known_to_and_understands_the_answer(
    recorder: Recorder, home: Path, names: dict[str, str], line: str
) -> None:
    ended = run(recorder, home, *shlex.split(filled(line, names)))

    assert ended.returncode == 0, ended.stderr
    sent = [_same(request) for request in recorder.sent]
    assert sent == [_same(filled(fact, names)) for fact in FACTS[line]]
    output = json.loads(ended.stdout)
    assert output not in (None, {}, [])
    CELLS[" ".join(["ravi", *shlex.split(line)]), "works"] = "✔"


def _same(request: str) -> str:
    """A request whatever the order of its query, and whatever an upload is called."""
    method, path, rest = request.split(" ", 2)
    path, _, query = path.partition("?")
    if path.startswith("/local/uploads/"):
        path = "/local/uploads/{upload}/"
    return f"{method} {path}?{'&'.join(sorted(query.split('&')))} {rest}"


@pytest.mark.parametrize("line", REFUSED)
def test_a_command_line_it_refuses_ends_with_1_and_says_why(
    recorder: Recorder, home: Path, names: dict[str, str], line: str
) -> None:
    ended = run(recorder, home, *shlex.split(filled(line, names)))

    assert ended.returncode == 1, ended.stdout
    assert ended.stdout == ""
    assert REFUSED[line] in ended.stderr.replace('\\"', '"')


@pytest.mark.parametrize("line", HELP)
def test_a_group_without_its_command_shows_help(recorder: Recorder, home: Path, line: str) -> None:
    assert run(recorder, home, *shlex.split(line)).returncode == 0
    assert recorder.sent == []


def test_an_identity_without_a_number_has_no_phone(
    service: LocalRavi, recorder: Recorder, tmp_path: Path
) -> None:
    silent = service.store.create(name="silent", email=None, with_phone=False)
    (tmp_path / ".ravi").mkdir()
    config = {"identity_key": service.store.mint_key(silent.uuid, "cli")}
    (tmp_path / ".ravi/config.json").write_text(json.dumps(config))

    ended = run(recorder, tmp_path, "get", "phone")

    assert (ended.returncode, ended.stdout) == (1, "")
    assert "no phone number assigned" in ended.stderr


def test_it_logs_in_and_keeps_the_account_s_key(recorder: Recorder, tmp_path: Path) -> None:
    """On an account without identities: with several it asks on a terminal which to use."""
    options = Options(approve_logins=True)
    if REAL:
        pytest.skip("the address of the real one is compiled in, and taken")
    with (
        LocalRavi(database=":memory:", management_key=MANAGEMENT_KEY, options=options) as empty,
        Recorder(empty.url) as proxy,
    ):
        ended = run(proxy, tmp_path, "auth", "login")
        config: dict[str, Any] = json.loads((tmp_path / ".ravi/config.json").read_text())

    assert ended.returncode == 0, ended.stderr
    assert proxy.sent == [
        "POST /api/auth/device/ as nobody",
        "POST /api/auth/device/token/ {device_code, wait} as nobody",
    ]
    assert config["management_key"].startswith("ravi_mgmt_")


def test_every_command_and_flag_is_in_the_facts() -> None:
    from official_cli.grammar import parse

    seen: dict[str, set[str]] = {}
    for line in FACTS:
        name, _, flags = parse(shlex.split(line.replace("{", "").replace("}", "")))
        seen.setdefault(name, set()).update(flags)
    assert set(COMMANDS) - set(seen) == {"auth login"}  # has a test of its own
    for name, command in COMMANDS.items():
        unused = set(command.flags) - seen.get(name, set()) - {"human", "help"}
        assert unused <= _USED_ELSEWHERE.get(name, set()), name
    assert {"inbox", "identity"} <= GROUPS


# The same flag with the same meaning stands in the facts of a neighbour.
_USED_ELSEWHERE = {
    "email reply": {"cc", "bcc", "attach"},
    "email reply-all": {"bcc", "attach"},
    "email forward": {"cc", "bcc", "attach"},
    "passwords generate": {"length", "no-special", "no-digits", "exclude-chars"},
}


def test_the_page_says_what_works() -> None:
    """Runs last in this file: a part of it alone measures less, and compares that part."""
    check_page(f"CLI {CLI_VERSION}", CELLS)
