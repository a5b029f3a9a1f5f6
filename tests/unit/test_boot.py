"""From a command line and an environment to what the agent is started with."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import MANAGEMENT_KEY
from ravi_agent import contract
from ravi_agent.container.boot import boot
from ravi_agent.container.environment import agent_environment, expand
from ravi_agent.container.user import AgentUser
from ravi_agent.errors import UsageError
from ravi_agent.identity import Identity
from ravi_agent.settings import VARIABLES, Settings
from ravi_agent.workspace.claim import Claim

IDENTITY = Identity(
    uuid="0a1b",
    name="task-1",
    email="task-1@ravi.example",
    phone="+15550000001",
    created_at="2026-01-02T03:04:05Z",
    key="ravi_id_PLANTED_0123456789",
)
ENVIRONMENT = {
    "RAVI_CONFIG_DIR": "/workspace/.ravi",
    "RAVI_EMAIL": "task-1@ravi.example",
    "RAVI_PHONE": "",
    "RAVI_IDENTITY_UUID": "0a1b",
    "RAVI_IDENTITY_NAME": "task-1",
    "RAVI_API_URL": "https://ravi.id",
    "HOME": "/home/agent",
}


# --- expand ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "expanded"),
    [
        ("$(RAVI_EMAIL)", "task-1@ravi.example"),
        ("--from=$(RAVI_EMAIL);", "--from=task-1@ravi.example;"),
        ("$(RAVI_IDENTITY_NAME) <$(RAVI_EMAIL)>", "task-1 <task-1@ravi.example>"),
        ("$(RAVI_EMAIL)$(RAVI_EMAIL)", "task-1@ravi.example" * 2),
        ("$(RAVI_CONFIG_DIR)/config.json", "/workspace/.ravi/config.json"),
        ("$(RAVI_IDENTITY_UUID)", "0a1b"),
        ("$(RAVI_API_URL)", "https://ravi.id"),
        ("[$(RAVI_PHONE)]", "[]"),
        ("$$(RAVI_EMAIL)", "$(RAVI_EMAIL)"),
        ("$$(", "$("),
        ("$$(date) $(RAVI_EMAIL)", "$(date) task-1@ravi.example"),
        ("$(date)", "$(date)"),
        ("$(HOME)", "$(HOME)"),
        ("$(RAVI_MANAGEMENT_KEY)", "$(RAVI_MANAGEMENT_KEY)"),
        ("$(RAVI_EMAIL", "$(RAVI_EMAIL"),
        ("$(ravi_email)", "$(ravi_email)"),
        ("$( RAVI_EMAIL )", "$( RAVI_EMAIL )"),
        ("$RAVI_EMAIL ${RAVI_EMAIL}", "$RAVI_EMAIL ${RAVI_EMAIL}"),
        ("$$ $", "$$ $"),
        ("", ""),
    ],
    ids=repr,
)
def test_our_own_variables_are_expanded_and_nothing_else(argument: str, expanded: str) -> None:
    assert expand(["cmd", argument, "end"], ENVIRONMENT) == ["cmd", expanded, "end"]


def test_an_argument_stays_one_argument() -> None:
    environment = {**ENVIRONMENT, "RAVI_IDENTITY_NAME": "two words * $HOME"}

    assert expand(["$(RAVI_IDENTITY_NAME)"], environment) == ["two words * $HOME"]


def test_a_value_is_not_expanded_again() -> None:
    environment = {**ENVIRONMENT, "RAVI_EMAIL": "$(RAVI_IDENTITY_UUID)@ravi.example"}

    assert expand(["$(RAVI_EMAIL)"], environment) == ["$(RAVI_IDENTITY_UUID)@ravi.example"]


@pytest.mark.parametrize(
    ("argument", "expanded"),
    [
        ("$$$(RAVI_IDENTITY_UUID)", "$0a1b"),
        ("$$$$(RAVI_IDENTITY_UUID)", "$$(RAVI_IDENTITY_UUID)"),
    ],
)
def test_dollars_pair_up_as_in_kubernetes(argument: str, expanded: str) -> None:
    assert expand([argument], ENVIRONMENT) == [expanded]


# --- agent_environment -------------------------------------------------------------------------


def test_the_agent_gets_its_own_variables_and_its_identity() -> None:
    environ = {"PATH": "/bin", "TASK_ID": "7", "RAVI_RUN": "r", "EMPTY": "", "RAVI_EMAIL": "stale"}

    assert agent_environment(environ, Settings(environ), IDENTITY, None) == {
        "PATH": "/bin",
        "TASK_ID": "7",
        "RAVI_RUN": "r",
        "EMPTY": "",
        "RAVI_CONFIG_DIR": "/workspace/.ravi",
        "RAVI_EMAIL": "task-1@ravi.example",
        "RAVI_PHONE": "+15550000001",
        "RAVI_IDENTITY_UUID": "0a1b",
        "RAVI_IDENTITY_NAME": "task-1",
        "RAVI_API_URL": "https://ravi.id",
        "RAVI_API_KEY": IDENTITY.key,
    }


def test_the_agent_gets_none_of_our_knobs_and_no_key() -> None:
    environ = {
        **dict.fromkeys(VARIABLES, ""),
        "RAVI_MANAGEMENT_KEY": MANAGEMENT_KEY,
        "RAVI_MANAGEMENT_KEY_FILE": "/run/secrets/ravi_management_key",
        "RAVI_ACCESS_TOKEN": MANAGEMENT_KEY,
        "RAVI_ACCESS_TOKEN_FILE": "/run/secrets/token",
        "RAVI_WORKSPACE": "/srv/w",
        "RAVI_IDENTITY_NAME": "task-1",
    }
    before = dict(environ)

    environment = agent_environment(environ, Settings(environ), IDENTITY, None)

    assert set(environment) == {*contract.AGENT_VARIABLES, "RAVI_API_KEY"}
    assert environment["RAVI_CONFIG_DIR"] == "/srv/w/.ravi"
    assert MANAGEMENT_KEY not in environment.values()
    assert environment["RAVI_API_KEY"] == IDENTITY.key
    assert environ == before


@pytest.mark.parametrize(
    ("given", "is_exported", "identity", "expected"),
    [
        pytest.param("mine", "1", IDENTITY, IDENTITY.key, id="the identity's own"),
        pytest.param("mine", "0", IDENTITY, "mine", id="left out"),
        pytest.param("mine", "1", IDENTITY.with_key(None), "mine", id="an account without keys"),
        pytest.param("ravi_mgmt_x", "0", IDENTITY, None, id="the account's"),
    ],
)
def test_the_api_key_is_the_identity_s_and_never_the_account_s(
    given: str, is_exported: str, identity: Identity, expected: str | None
) -> None:
    environ = {"RAVI_API_KEY": given, "RAVI_EXPORT_API_KEY": is_exported}

    environment = agent_environment(environ, Settings(environ), identity, None)

    assert environment.get("RAVI_API_KEY") == expected


def test_a_key_is_not_expanded_into_an_argument() -> None:
    """Every process of the container can read another's arguments."""
    assert expand(["$(RAVI_API_KEY)"], {"RAVI_API_KEY": "k"}) == ["$(RAVI_API_KEY)"]


def test_without_a_phone_the_variable_is_there_and_empty() -> None:
    identity = Identity.from_public({**IDENTITY.public(), "phone": None})

    assert agent_environment({}, Settings({}), identity, None)["RAVI_PHONE"] == ""


@pytest.mark.parametrize(
    ("environ", "home", "expected"),
    [
        pytest.param({"HOME": "/root"}, "/home/agent", "/home/agent", id="root's"),
        pytest.param({"HOME": "/"}, "/home/agent", "/home/agent", id="the root directory"),
        pytest.param({}, "/home/agent", "/home/agent", id="none"),
        pytest.param({"HOME": "/data"}, "/home/agent", "/data", id="one somebody chose"),
        pytest.param({"HOME": "/root"}, None, "/root", id="a user without a home"),
    ],
)
def test_home_is_the_agent_s_unless_somebody_chose_another(
    environ: dict[str, str], home: str | None, expected: str
) -> None:
    user = AgentUser(1000, 1000, [1000], home)

    assert agent_environment(environ, Settings({}), IDENTITY, user)["HOME"] == expected


def test_home_stays_where_nobody_steps_down() -> None:
    environment = agent_environment({"HOME": "/root"}, Settings({}), IDENTITY, None)

    assert environment["HOME"] == "/root"


# --- boot --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        ([], "no command"),
        (["--"], "no command"),
        (["ravi-entrypoint"], "no command"),
        (["/usr/local/bin/ravi-entrypoint", "--"], "no command"),
        (["--verbose"], "'--verbose'"),
        (["-x", "cmd"], "'-x'"),
        (["-"], "'-'"),
        (["ravi-entrypoint", "--verbose"], "'--verbose'"),
    ],
    ids=repr,
)
def test_a_command_line_that_names_no_command_is_a_usage_error(argv: list[str], why: str) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        boot(argv, {})

    assert caught.value.exit_code == 64
    assert caught.value.fix


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A provisioned workspace."""
    path = tmp_path / "workspace"
    with Claim(str(path)) as claim:
        assert claim.is_free()
        claim.save(IDENTITY, api_url=contract.DEFAULT_API_URL)
    return path


def entrypoint(
    *argv: str, environ: dict[str, str] | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """The real entrypoint in a process of its own, as another pid than 1."""
    program = "from ravi_agent.container.boot import main; main()"
    return subprocess.run(
        [sys.executable, "-I", "-c", program, *argv],
        env={
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            "RAVI_AGENT_USER": "0",  # as root, stay root
            **(environ or {}),
        },
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


PRINT_ARGUMENTS = ["sh", "-c", 'printf "<%s>" "$@"', "sh"]


@pytest.mark.parametrize(
    "prefix",
    [
        [],
        ["--"],
        ["ravi-entrypoint"],
        ["ravi-entrypoint", "--"],
        ["/opt/ravi/bin/ravi-entrypoint", "--"],
    ],
    ids=repr,
)
def test_a_command_is_run_with_its_arguments_as_they_are(
    workspace: Path, prefix: list[str]
) -> None:
    ended = entrypoint(
        *prefix,
        *PRINT_ARGUMENTS,
        "a b",
        "",
        "--",
        "-h",
        "ravi-entrypoint",
        "$(RAVI_EMAIL)",
        "$$(RAVI_EMAIL)",
        "$(date)",
        environ={"RAVI_WORKSPACE": str(workspace)},
    )

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == (
        "<a b><><--><-h><ravi-entrypoint><task-1@ravi.example><$(RAVI_EMAIL)><$(date)>"
    )


def test_a_command_behind_the_separator_may_begin_with_a_dash(workspace: Path) -> None:
    ended = entrypoint("--", "-no-such-command", environ={"RAVI_WORKSPACE": str(workspace)})

    assert ended.returncode == 127
    assert "'-no-such-command'" in ended.stderr


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_is_the_answer_on_standard_output(flag: str) -> None:
    ended = entrypoint(flag)

    assert ended.returncode == 0
    assert ended.stdout.startswith("usage: ravi-entrypoint [--ensure] [--] CMD [ARG...]\n")
    assert ended.stderr == ""


def test_a_provisioned_start_needs_no_key_and_no_network(workspace: Path) -> None:
    ended = entrypoint(
        "env", "-0", environ={"RAVI_WORKSPACE": str(workspace), "RAVI_GRACE": "3", "MINE": "1"}
    )

    variables = dict(entry.split("=", 1) for entry in ended.stdout.split("\0") if entry)
    assert ended.returncode == 0, ended.stderr
    assert variables == {
        "PATH": os.environ["PATH"],
        "LC_ALL": "C.UTF-8",
        "MINE": "1",
        "RAVI_CONFIG_DIR": f"{workspace}/.ravi",
        "RAVI_EMAIL": "task-1@ravi.example",
        "RAVI_PHONE": "+15550000001",
        "RAVI_IDENTITY_UUID": "0a1b",
        "RAVI_IDENTITY_NAME": "task-1",
        "RAVI_API_URL": "https://ravi.id",
        "RAVI_API_KEY": IDENTITY.key,
    }
    assert ended.stderr.count("\n") == 1
    assert ended.stderr.startswith("ravi-entrypoint: info: task-1 is task-1@ravi.example")


def test_a_provisioned_start_does_not_look_at_the_management_key(workspace: Path) -> None:
    environ = {
        "RAVI_WORKSPACE": str(workspace),
        "RAVI_MANAGEMENT_KEY": MANAGEMENT_KEY,
        "RAVI_MANAGEMENT_KEY_FILE": "/nowhere",
    }

    ended = entrypoint("env", environ=environ)

    assert ended.returncode == 0
    assert MANAGEMENT_KEY not in ended.stdout + ended.stderr


def test_a_handover_is_not_read_where_the_workspace_is_provisioned(workspace: Path) -> None:
    ended = entrypoint(
        "cat",
        environ={"RAVI_WORKSPACE": str(workspace), "RAVI_HANDOVER": "stdin"},
        stdin=json.dumps({"management_key": MANAGEMENT_KEY}) + "\n",
    )

    assert (ended.returncode, ended.stdout) == (0, "")  # the agent's input is /dev/null
    assert ended.stderr.startswith('ravi-entrypoint: ready: {"uuid": "0a1b"')


def test_a_handover_of_an_identity_provisions_without_a_service(tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    record = {**IDENTITY.public(), "key": IDENTITY.key}

    ended = entrypoint(
        "cat",
        environ={"RAVI_WORKSPACE": str(workspace), "RAVI_HANDOVER": "stdin"},
        stdin=json.dumps({"identity": record}) + "\nfor the agent?\n",
    )

    assert (ended.returncode, ended.stdout) == (0, ""), ended.stderr
    config = json.loads((workspace / ".ravi" / "config.json").read_text())
    assert config["identity_key"] == IDENTITY.key
    assert str(IDENTITY.key) not in ended.stderr


def test_a_misspelt_setting_is_warned_of_and_goes_to_the_agent(workspace: Path) -> None:
    ended = entrypoint("env", environ={"RAVI_WORKSPACE": str(workspace), "RAVI_LOGLEVEL": "debug"})

    assert ended.returncode == 0
    assert "warning: RAVI_LOGLEVEL is not a setting\n" in ended.stderr
    assert "  fix: did you mean RAVI_LOG_LEVEL?\n" in ended.stderr


@pytest.mark.parametrize(
    ("environ", "code", "what"),
    [
        pytest.param({}, 78, "no management key", id="no key"),
        pytest.param({"RAVI_GRACE": "soon"}, 78, "RAVI_GRACE='soon'", id="a bad setting"),
        pytest.param(
            {"RAVI_MANAGEMENT_KEY": MANAGEMENT_KEY, "RAVI_MANAGEMENT_KEY_FILE": "/x"},
            78,
            "both RAVI_MANAGEMENT_KEY and RAVI_MANAGEMENT_KEY_FILE",
            id="two keys",
        ),
        pytest.param(
            {"RAVI_HANDOVER": "stdin"}, 78, "hand-over on standard input", id="no hand-over"
        ),
        pytest.param(
            {"RAVI_WORKSPACE": "/dev/null/w", "RAVI_MANAGEMENT_KEY": MANAGEMENT_KEY},
            73,
            "/dev/null/w",
            id="no directory",
        ),
    ],
)
def test_a_start_that_cannot_be_says_why_on_standard_error_and_runs_nothing(
    tmp_path: Path, environ: dict[str, str], code: int, what: str
) -> None:
    ended = entrypoint("echo", "ran", environ={"RAVI_WORKSPACE": str(tmp_path / "w"), **environ})

    assert (ended.returncode, ended.stdout) == (code, "")
    assert ended.stderr.startswith("ravi-entrypoint: error: ")
    assert what in ended.stderr
    assert "\n  fix: " in ended.stderr
    assert MANAGEMENT_KEY not in ended.stderr
    assert not (tmp_path / "w" / ".ravi").exists()


NEAR_THE_LIMIT = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_STACK, (2 << 20, resource.getrlimit(resource.RLIMIT_STACK)[1]))

def fits(size, program, *words):
    environment = {**os.environ, **{f"BIG_{n}": "x" * 100_000 for n in range(5)}, "PAD": "x" * size}
    if program == "/bin/true" and os.fork() == 0:
        try:
            os.execve(program, [program, *words], environment)
        finally:
            os._exit(1)
    if program == "/bin/true":
        return os.wait()[1] == 0
    os.execve(program, [program, *words], environment)

low, high = 0, 120_000
while high - low > 1:
    middle = (low + high) // 2
    low, high = (middle, high) if fits(middle, "/bin/true", *sys.argv[2:]) else (low, middle)
fits(low - 2 * len(sys.argv[1]), sys.argv[1], *sys.argv[2:])
"""


def test_an_environment_that_our_own_variables_push_over_the_limit_is_126_in_words(
    workspace: Path,
) -> None:
    """Room for an execve of the entrypoint, and none for what it adds."""
    program = "from ravi_agent.container.boot import main; main()"
    ended = subprocess.run(
        [sys.executable, "-I", "-c", NEAR_THE_LIMIT, sys.executable, "-I", "-c", program, "true"],
        env={
            "PATH": os.environ["PATH"],
            "LC_ALL": "C.UTF-8",
            "RAVI_AGENT_USER": "0",
            "RAVI_WORKSPACE": str(workspace),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert ended.returncode == 126, ended.stderr
    assert "more than the kernel takes" in ended.stderr
    assert "--ulimit stack=" in ended.stderr
    assert "Traceback" not in ended.stderr
