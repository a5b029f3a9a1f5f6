"""What variables may say, and what is said of those that may not."""

import os
import signal

import pytest

from conftest import MANAGEMENT_KEY
from ravi_agent import contract
from ravi_agent.errors import SettingsError
from ravi_agent.settings import VARIABLES, Settings, unknown_variables

ACCESS_TOKEN = "ravi_jwt_PLANTED_9876543210"


@pytest.mark.parametrize(
    ("attribute", "default"),
    [
        ("api_url", "https://ravi.id"),
        ("workspace", "/workspace"),
        ("phone_policy", "auto"),
        ("provision_timeout_s", 60.0),
        ("grace_s", 8.0),
        ("signal_scope", "stop"),
        ("signal_map", {}),
        ("exit_remap", {}),
        ("on_exit", "keep"),
        ("agent_user", "agent"),
        ("is_agent_user_asked_for", False),
        ("log_format", "text"),
        ("log_level", "info"),
        ("is_handover_expected", False),
        ("is_name_asked_for", False),
    ],
)
@pytest.mark.parametrize("is_empty", [False, True], ids=["unset", "empty"])
def test_a_setting_that_is_unset_or_empty_has_its_default(
    attribute: str, default: object, is_empty: bool
) -> None:
    environ = dict.fromkeys(VARIABLES, "") if is_empty else {}

    assert getattr(Settings(environ), attribute) == default


@pytest.mark.parametrize(
    ("variable", "value", "attribute", "expected"),
    [
        ("RAVI_API_URL", "https://ravi.example/", "api_url", "https://ravi.example"),
        ("RAVI_WORKSPACE", "/srv/./a/../b/", "workspace", "/srv/b"),
        ("RAVI_WORKSPACE", '/srv/two words "$HOME"', "workspace", '/srv/two words "$HOME"'),
        ("RAVI_PHONE_POLICY", "require", "phone_policy", "require"),
        ("RAVI_PHONE_POLICY", "never", "phone_policy", "never"),
        ("RAVI_PROVISION_TIMEOUT", "0.5", "provision_timeout_s", 0.5),
        ("RAVI_PROVISION_TIMEOUT", "86400", "provision_timeout_s", 86400.0),
        ("RAVI_GRACE", "30", "grace_s", 30.0),
        ("RAVI_SIGNAL_SCOPE", "agent", "signal_scope", "agent"),
        ("RAVI_SIGNAL_MAP", "TERM:INT", "signal_map", {15: 2}),
        ("RAVI_SIGNAL_MAP", "SIGTERM:sigquit,1:0,", "signal_map", {15: 3, 1: 0}),
        ("RAVI_SIGNAL_MAP", "RTMIN+3:15", "signal_map", {signal.SIGRTMIN + 3: 15}),
        ("RAVI_EXIT_REMAP", "143:0,0:255", "exit_remap", {143: 0, 0: 255}),
        ("RAVI_DIE_WITH_PARENT", "1", "dies_with_parent", True),
        ("RAVI_DIE_WITH_PARENT", "0", "dies_with_parent", False),
        ("RAVI_CLI_SHIM", "1", "has_cli_shim", True),
        ("RAVI_CLI_SHIM", "0", "has_cli_shim", False),
        ("RAVI_START_HOOK", "/hooks/start", "start_hook", "/hooks/start"),
        ("RAVI_STOP_HOOK", "/hooks/stop", "stop_hook", "/hooks/stop"),
        ("RAVI_ON_EXIT", "forget", "on_exit", "forget"),
        ("RAVI_ON_EXIT", "delete", "on_exit", "delete"),
        ("RAVI_AGENT_USER", "1001:1001", "agent_user", "1001:1001"),
        ("RAVI_AGENT_USER", "agent", "is_agent_user_asked_for", True),
        ("RAVI_LOG_FORMAT", "json", "log_format", "json"),
        ("RAVI_LOG_LEVEL", "debug", "log_level", "debug"),
        ("RAVI_LOG_LEVEL", "error", "log_level", "error"),
        ("RAVI_HANDOVER", "stdin", "is_handover_expected", True),
    ],
)
def test_a_setting_is_what_its_variable_says(
    variable: str, value: str, attribute: str, expected: object
) -> None:
    assert getattr(Settings({variable: value}), attribute) == expected


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("RAVI_API_URL", "ravi.id"),
        ("RAVI_API_URL", "http://ravi.id"),
        ("RAVI_API_URL", "ftp://ravi.id"),
        ("RAVI_WORKSPACE", "workspace"),
        ("RAVI_WORKSPACE", "./workspace"),
        ("RAVI_WORKSPACE", "/it's"),
        ("RAVI_WORKSPACE", "/two\nlines"),
        ("RAVI_PHONE_POLICY", "maybe"),
        ("RAVI_PHONE_POLICY", "AUTO"),
        ("RAVI_PROVISION_TIMEOUT", "0"),
        ("RAVI_PROVISION_TIMEOUT", "-1"),
        ("RAVI_PROVISION_TIMEOUT", "nan"),
        ("RAVI_PROVISION_TIMEOUT", "inf"),
        ("RAVI_PROVISION_TIMEOUT", "86401"),
        ("RAVI_PROVISION_TIMEOUT", "1m"),
        ("RAVI_GRACE", "0"),
        ("RAVI_GRACE", "soon"),
        ("RAVI_SIGNAL_SCOPE", "all"),
        ("RAVI_SIGNAL_SCOPE", "child"),
        ("RAVI_SIGNAL_MAP", "TERM"),
        ("RAVI_SIGNAL_MAP", "TERM:"),
        ("RAVI_SIGNAL_MAP", ":INT"),
        ("RAVI_SIGNAL_MAP", "0:INT"),
        ("RAVI_SIGNAL_MAP", "TERM=INT"),
        ("RAVI_SIGNAL_MAP", "NOSUCH:INT"),
        ("RAVI_SIGNAL_MAP", "TERM:65"),
        ("RAVI_SIGNAL_MAP", "RTMIN+31:INT"),
        ("RAVI_SIGNAL_MAP", "TERM:INT;HUP:0"),
        ("RAVI_EXIT_REMAP", "143"),
        ("RAVI_EXIT_REMAP", "143:256"),
        ("RAVI_EXIT_REMAP", "-1:0"),
        ("RAVI_EXIT_REMAP", "TERM:0"),
        ("RAVI_DIE_WITH_PARENT", "yes"),
        ("RAVI_CLI_SHIM", "yes"),
        ("RAVI_ON_EXIT", "destroy"),
        ("RAVI_LOG_FORMAT", "xml"),
        ("RAVI_LOG_LEVEL", "verbose"),
        ("RAVI_HANDOVER", "stdout"),
        ("RAVI_IDENTITY_NAME", "it's"),
        ("RAVI_IDENTITY_NAME", "two\nlines"),
        ("RAVI_IDENTITY_NAME", "n" * 256),
        ("TASK_ID", "it's"),
    ],
)
def test_a_bad_value_is_refused_naming_the_variable_and_a_remedy(variable: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings({variable: value})

    assert caught.value.exit_code == 78
    assert variable in caught.value.what
    assert caught.value.fix


def test_the_former_name_of_a_signal_scope_is_refused_with_the_new_one() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings({"RAVI_SIGNAL_SCOPE": "child"})

    assert caught.value.fix == "RAVI_SIGNAL_SCOPE=agent"


def test_http_to_any_host_has_to_be_asked_for() -> None:
    environ = {"RAVI_API_URL": "http://ravi.example", "RAVI_ALLOW_HTTP": "1"}

    assert Settings(environ).api_url == "http://ravi.example"
    with pytest.raises(SettingsError, match="RAVI_API_URL"):
        Settings({**environ, "RAVI_ALLOW_HTTP": "0"})


@pytest.mark.parametrize(
    ("environ", "name", "is_asked_for"),
    [
        pytest.param({}, f"task-{os.uname().nodename}", False, id="host name"),
        pytest.param({"TASK_ID": "0007"}, "task-0007", True, id="TASK_ID"),
        pytest.param(
            {"TASK_ID": "0007", "RAVI_NAME_PREFIX": "nightly-"}, "nightly-0007", True, id="prefix"
        ),
        pytest.param(
            {"RAVI_NAME_PREFIX": "box-"}, f"box-{os.uname().nodename}", False, id="prefix of host"
        ),
        pytest.param(
            {"RAVI_IDENTITY_NAME": "anna", "TASK_ID": "7", "RAVI_NAME_PREFIX": "x-"},
            "anna",
            True,
            id="name before TASK_ID",
        ),
        pytest.param({"RAVI_IDENTITY_NAME": "n" * 255}, "n" * 255, True, id="longest"),
        pytest.param(
            {"JOB_NAME": "nightly", "JOB_COMPLETION_INDEX": "0"}, "task-nightly-0", True, id="job"
        ),
        pytest.param(
            {"TASK_ID": "7", "JOB_NAME": "nightly", "JOB_COMPLETION_INDEX": "0"},
            "task-7",
            True,
            id="TASK_ID before a job",
        ),
        pytest.param(
            {"JOB_NAME": "build"}, f"task-{os.uname().nodename}", False, id="a job of another kind"
        ),
    ],
)
def test_the_name_is_the_one_given_else_made_of_the_task_else_of_the_host(
    environ: dict[str, str], name: str, is_asked_for: bool
) -> None:
    settings = Settings(environ)

    assert settings.identity_name == name
    assert settings.is_name_asked_for is is_asked_for


def test_a_bad_name_of_a_job_is_refused_by_its_own_name() -> None:
    with pytest.raises(SettingsError, match="JOB_NAME"):
        Settings({"JOB_NAME": "it's", "JOB_COMPLETION_INDEX": "1"})


def test_a_bad_prefix_is_refused_by_its_own_name() -> None:
    with pytest.raises(SettingsError, match="RAVI_NAME_PREFIX"):
        Settings({"RAVI_NAME_PREFIX": "it's-"})


@pytest.mark.parametrize("variable", sorted(VARIABLES))
def test_no_error_shows_a_key_that_is_set_beside_a_bad_value(variable: str) -> None:
    environ = {
        "RAVI_MANAGEMENT_KEY": MANAGEMENT_KEY,
        "RAVI_ACCESS_TOKEN": ACCESS_TOKEN,
        "RAVI_IDENTITY_NAME": "it's",
    }
    if variable not in environ:
        environ[variable] = "'"

    with pytest.raises(SettingsError) as caught:
        Settings(environ)

    assert MANAGEMENT_KEY not in caught.value.lines("test")
    assert ACCESS_TOKEN not in caught.value.lines("test")


def test_an_error_shows_no_key_that_stands_in_the_url() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings({"RAVI_API_URL": f"https://{MANAGEMENT_KEY}@ravi.id"})

    assert MANAGEMENT_KEY not in caught.value.lines("test")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("RAVI_MANAGMENT_KEY", "RAVI_MANAGEMENT_KEY"),
        ("RAVI_MANAGEMENT_KEYS", "RAVI_MANAGEMENT_KEY"),
        ("RAVI_API_ULR", "RAVI_API_URL"),
        ("RAVI_IDENTITYNAME", "RAVI_IDENTITY_NAME"),
        ("RAVI_LOGLEVEL", "RAVI_LOG_LEVEL"),
    ],
)
def test_a_misspelt_setting_is_hinted_at(name: str, meant: str) -> None:
    assert unknown_variables(["PATH", name, "HOME"]) == [(name, meant)]


@pytest.mark.parametrize(
    "name",
    [
        *VARIABLES,
        *contract.AGENT_VARIABLES,
        "RAVI_RUN",
        "RAVI_MY_OWN_THING",
        "RAVI",
        "MY_RAVI_API_ULR",
    ],
)
def test_what_is_ours_or_clearly_another_program_s_is_not_hinted_at(name: str) -> None:
    assert unknown_variables([name]) == []
