"""PID 1 goes on in one process exactly where no key of the account can ever have been in it."""

import json
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import ravi_agent
from conftest import MANAGEMENT_KEY
from ravi_agent import contract
from ravi_agent.container.account_key import find_trace
from ravi_agent.container.environ import initial_entries
from ravi_agent.identity import Identity
from ravi_agent.local.app import REFRESH_TOKEN
from ravi_agent.local.server import LocalRavi
from ravi_agent.settings import VARIABLES
from ravi_agent.workspace.claim import Claim

SOURCE = str(Path(ravi_agent.__file__).parents[1])
IDENTITY = Identity(
    uuid="0a1b",
    name="task-1",
    email="task-1@ravi.example",
    phone=None,
    created_at="2026-01-02T03:04:05Z",
    key="ravi_id_PLANTED_0123456789",
)
HANDED_OVER = {"identity": {**IDENTITY.public(), "key": IDENTITY.key}}
# Says that it runs once PID 1 passes signals on, so that nothing of the start is left to be done.
AGENT = "trap 'echo up; exec sleep 60' USR1; kill -USR1 $PPID; sleep 60 & wait"
# An account's token that nothing shows to be one.
TOKEN = "PLANTED_token_of_the_account_0123456789"


class Started:
    """An entrypoint whose agent runs, looked at from outside."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._folder = Path(f"/proc/{process.pid}")
        self._process = process

    @property
    def is_first_program(self) -> bool:
        return b"exec_phase.py" not in (self._folder / "cmdline").read_bytes()

    @property
    def environ(self) -> bytes:
        return (self._folder / "environ").read_bytes()

    @property
    def descriptors(self) -> dict[str, str]:
        return {one.name: os.readlink(one) for one in (self._folder / "fd").iterdir()}

    def count_in_memory(self, text: str) -> int:
        count = 0
        with (self._folder / "mem").open("rb", buffering=0) as memory:
            for line in (self._folder / "maps").read_text().splitlines():
                found = re.match(r"([0-9a-f]+)-([0-9a-f]+) r", line)
                if found and "[v" not in line:
                    start, end = (int(part, 16) for part in found.groups())
                    memory.seek(start)
                    count += memory.read(end - start).count(text.encode())
        return count


Start = Callable[..., Started]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    processes = []

    def start(
        environ: dict[str, str],
        stdin: bytes = b"",
        pass_fds: tuple[int, ...] = (),
        flags: str = "-IS",
    ) -> Started:
        program = (
            f"import sys; sys.path += {[SOURCE, sysconfig.get_path('purelib')]!r}\n"
            "from ravi_agent.container.boot import main; main()"
        )
        process = subprocess.Popen(
            [sys.executable, flags, "-c", program, "sh", "-c", AGENT],
            env={
                "PATH": os.environ["PATH"],
                "LC_ALL": "C.UTF-8",
                "HOME": str(tmp_path / "home"),
                "RAVI_WORKSPACE": str(tmp_path / "w"),
                "RAVI_AGENT_USER": "0",  # as root, stay root
                **environ,
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=pass_fds,
        )
        processes.append(process)
        assert process.stdin
        assert process.stdout
        process.stdin.write(stdin)
        process.stdin.close()
        assert process.stdout.readline() == b"up\n"
        return Started(process)

    yield start
    for process in processes:
        process.terminate()
        process.wait(20)
        if process.stdout:
            process.stdout.close()


@pytest.fixture
def provisioned(tmp_path: Path) -> Path:
    """The workspace, provisioned."""
    path = tmp_path / "w"
    with Claim(str(path)) as claim:
        assert claim.is_free()
        claim.save(IDENTITY, api_url=contract.DEFAULT_API_URL)
    return path


def line(record: object) -> bytes:
    return json.dumps(record).encode() + b"\n"


# --- it does ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "environ",
    [
        pytest.param({}, id="nothing set"),
        pytest.param(
            {**dict.fromkeys(VARIABLES, ""), "RAVI_EMAIL": "stale@x"}, id="all set to nothing"
        ),
        pytest.param({"RAVI_GRACE": "3", "TASK": "7", "RAVI_LOG_LEVEL": "debug"}, id="settings"),
        pytest.param({"RAVI_ON_EXIT": "forget"}, id="forget"),
    ],
)
def test_a_provisioned_start_goes_on_in_its_process(
    start: Start, provisioned: Path, environ: dict[str, str]
) -> None:
    environ = {**environ, "RAVI_WORKSPACE": str(provisioned), "RAVI_AGENT_USER": "0"}

    assert start(environ).is_first_program


def test_a_handed_over_identity_does_and_leaves_nothing_open(start: Start, tmp_path: Path) -> None:
    with (tmp_path / "private").open("w") as file:
        started = start({"RAVI_HANDOVER": "stdin"}, line(HANDED_OVER), pass_fds=(file.fileno(),))

    assert started.is_first_program
    assert started.descriptors.keys() == {"0", "1", "2"}
    assert started.descriptors["0"] == "/dev/null"


def test_a_key_that_is_not_read_changes_nothing_and_is_nowhere(
    start: Start, provisioned: Path, tmp_path: Path
) -> None:
    (tmp_path / "home/.ravi").mkdir(parents=True)
    (tmp_path / "home/.ravi/auth.json").write_text(json.dumps({"access_token": TOKEN}))

    started = start({"RAVI_HANDOVER": "stdin"}, line({"management_key": MANAGEMENT_KEY}))

    assert started.is_first_program
    assert started.count_in_memory(MANAGEMENT_KEY) == started.count_in_memory(TOKEN) == 0
    # The search can find.
    assert started.count_in_memory(str(IDENTITY.key)) > 0


@pytest.mark.parametrize("flags", ["-I", "-ES"])
def test_a_python_that_loads_other_people_s_code_does_not(
    start: Start, provisioned: Path, flags: str
) -> None:
    """On a host: a thread or a hook of somebody's would stay with PID 1."""
    assert not start({}, flags=flags).is_first_program


# --- it does not --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, TOKEN) for name in ("RAVI_MANAGEMENT_KEY", "RAVI_ACCESS_TOKEN")),
        *((f"{name}_FILE", TOKEN) for name in ("RAVI_MANAGEMENT_KEY", "RAVI_ACCESS_TOKEN")),
        ("RAVI_MANAGEMENT_KEY_FILE", "/run/secrets/key"),
        ("RAVI_API_KEY", MANAGEMENT_KEY),
        ("RAVI_API_KEY", TOKEN),
        ("RAVI_NAME_PREFIX", MANAGEMENT_KEY),
        ("MINE", f"--key={MANAGEMENT_KEY}"),
    ],
)
def test_a_variable_that_may_hold_a_key_does_not(
    start: Start, provisioned: Path, name: str, value: str
) -> None:
    started = start({name: value})

    assert not started.is_first_program
    if name != "MINE":  # what is no setting is the agent's
        assert value.encode() not in started.environ
        assert started.count_in_memory(value) == 0


@pytest.mark.parametrize(
    "handed_over",
    [
        pytest.param(line({**HANDED_OVER, "management_key": MANAGEMENT_KEY}), id="beside it"),
        pytest.param(line({**HANDED_OVER, "token": MANAGEMENT_KEY}), id="by another name"),
        pytest.param(
            line({"identity": {**HANDED_OVER["identity"], "account": MANAGEMENT_KEY}}),
            id="inside it",
        ),
        pytest.param(
            line({"identity": {**HANDED_OVER["identity"], "created_at": MANAGEMENT_KEY}}),
            id="as something else",
        ),
        pytest.param(line(HANDED_OVER) + MANAGEMENT_KEY.encode(), id="behind it"),
    ],
)
def test_a_key_handed_over_with_an_identity_does_not(start: Start, handed_over: bytes) -> None:
    started = start({"RAVI_HANDOVER": "stdin"}, handed_over)

    assert not started.is_first_program
    assert started.count_in_memory(MANAGEMENT_KEY) == 0


def test_a_key_handed_over_to_provision_with_does_not(start: Start, local: LocalRavi) -> None:
    environ = {"RAVI_HANDOVER": "stdin", "RAVI_API_URL": local.url, "RAVI_IDENTITY_NAME": "task-7"}
    started = start(environ, line({"management_key": MANAGEMENT_KEY, "fresh": True}))

    assert not started.is_first_program
    assert started.count_in_memory(MANAGEMENT_KEY) == 0


@pytest.mark.parametrize("expires_at", [None, "2020-01-01T00:00:00Z"], ids=["good", "refreshed"])
def test_the_official_cli_s_own_file_does_not(
    start: Start, local: LocalRavi, tmp_path: Path, expires_at: str | None
) -> None:
    record = {
        "access_token": MANAGEMENT_KEY,
        "refresh_token": REFRESH_TOKEN,
        "expires_at": expires_at,
    }
    (tmp_path / "home/.ravi").mkdir(parents=True)
    (tmp_path / "home/.ravi/auth.json").write_text(json.dumps(record))

    started = start({"RAVI_API_URL": local.url, "RAVI_IDENTITY_NAME": "task-7"})

    assert not started.is_first_program
    assert started.count_in_memory(MANAGEMENT_KEY) == 0
    assert started.count_in_memory(REFRESH_TOKEN) == 0


def test_a_start_that_asks_the_service_about_the_identity_s_key_does_not(
    start: Start, provisioned: Path, tmp_path: Path
) -> None:
    (provisioned / ".ravi" / contract.KEY_REFUSED_FILE).touch()
    (tmp_path / "home/.ravi").mkdir(parents=True)
    (tmp_path / "home/.ravi/auth.json").write_text(json.dumps({"refresh_token": TOKEN}))
    nobody = "http://127.0.0.1:9"  # discard: refused
    record = json.loads((provisioned / ".ravi/identity.json").read_text())
    (provisioned / ".ravi/identity.json").write_text(json.dumps({**record, "api_url": nobody}))

    started = start({"RAVI_API_URL": nobody})

    assert not started.is_first_program
    assert started.count_in_memory(TOKEN) == 0


def test_an_account_s_key_in_the_workspace_s_own_file_does_not(
    start: Start, provisioned: Path
) -> None:
    config = provisioned / ".ravi/config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "management_key": TOKEN}))

    started = start({})

    assert not started.is_first_program
    assert started.count_in_memory(TOKEN) == 0


def test_a_credential_file_whose_other_lines_are_anybody_s_does_not(
    start: Start, provisioned: Path
) -> None:
    (provisioned / "agent.md").write_text(f"---\nmodel: m\n---\n{TOKEN}\n")

    started = start({"RAVI_CREDENTIAL_FILES": "agent.md:yaml-front-matter"})

    assert not started.is_first_program
    assert started.count_in_memory(TOKEN) == 0


# --- the rule -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entries", "environment", "trace"),
    [
        pytest.param([], {}, None, id="nothing"),
        pytest.param([b"A=1"], {"A": "1"}, None, id="what the agent gets"),
        pytest.param([b"A=1", b"A=2"], {"A": "1"}, "A", id="given twice"),
        pytest.param([b"A=1"], {}, "A", id="withheld"),
        pytest.param([b"A=1"], {"A": "2"}, "A", id="replaced"),
        pytest.param([b"A="], {}, None, id="empty"),
        pytest.param([b"HOME=/root"], {"HOME": "/home/agent"}, None, id="known to be harmless"),
        pytest.param([b"secret"], {}, "secret", id="no assignment"),
        pytest.param(None, {}, "the environment", id="unreadable"),
        pytest.param([b"B=\xff"], {"B": "\udcff"}, None, id="bytes"),
    ],
)
def test_in_doubt_there_was_a_key(
    entries: list[bytes] | None, environment: dict[str, str], trace: str | None
) -> None:
    code = (
        f"import sys; sys.path.append({SOURCE!r})\n"
        "from ravi_agent.container.account_key import find_trace\n"
        f"print(repr(find_trace({entries!r}, {environment!r})))"
    )  # a process of its own: this one has read many a key
    ended = subprocess.run(
        [sys.executable, "-IS", "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert ended.stdout == f"{trace!r}\n"


def test_a_trace_is_the_name_of_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ravi_agent.container.account_key.TRACES", ["RAVI_MANAGEMENT_KEY"])

    assert find_trace(initial_entries(), dict(os.environ)) == "RAVI_MANAGEMENT_KEY"


# --- what is pending ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "code", "command"),
    [
        pytest.param("SIGTERM", 143, ["echo", "ran"], id="a stop: nothing starts"),
        pytest.param("SIGUSR1", 138, ["sleep", "60"], id="any other: the agent gets it"),
    ],
)
def test_a_signal_that_came_while_boot_ended_is_not_lost(
    number: str, code: int, command: list[str]
) -> None:
    program = (
        f"import os, sys; sys.path.append({SOURCE!r})\n"
        "import signal\n"
        "from ravi_agent.container.options import Options\n"
        "from ravi_agent.container.stop import block_signals\n"
        "from ravi_agent.container.supervise import go_on\n"
        "block_signals()\n"
        f"os.kill(os.getpid(), signal.{number})\n"
        "go_on(Options(sys.argv[1:], grace_s=8.0), dict(os.environ))"
    )
    ended = subprocess.run(
        [sys.executable, "-IS", "-c", program, *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (ended.returncode, ended.stdout) == (code, ""), ended.stderr
