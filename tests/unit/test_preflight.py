"""What would end every agent of a run is refused before the run begins."""

import socket

import pytest

from conftest import MANAGEMENT_KEY
from ravi_agent.credential import Credential
from ravi_agent.errors import RefusedError, UnreachableError, UsageError
from ravi_agent.launcher.model.account import check_account
from ravi_agent.launcher.model.exit_codes import is_account_refused
from ravi_agent.launcher.planning.plan import Plan, make_plan
from ravi_agent.launcher.planning.preflight import WORD_LIMIT, check_settings, check_words
from ravi_agent.launcher.planning.spec import RunSpec
from ravi_agent.local.faults import Fault
from ravi_agent.local.server import LocalRavi


def plan_of(**fields: object) -> Plan:
    spec = RunSpec(image="i", count=3, api_url="https://ravi.example", **fields)  # type: ignore[arg-type]
    return make_plan("nightly", spec, is_fresh=False)


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"command": ("true", "x" * WORD_LIMIT)}, "argument 2 of task 0000"),
        ({"command": ("true", "é" * (WORD_LIMIT // 2))}, "argument 2 of task 0000"),
        ({"environment": {"BIG": "x" * (WORD_LIMIT - 4)}}, "variable BIG of task 0000"),
        ({"environment": {"BIG": "{id}" + "x" * (WORD_LIMIT - 8)}}, "variable BIG of task 0000"),
    ],
    ids=["ascii", "bytes, not characters", "variable", "filled in"],
)
def test_what_linux_starts_no_program_with_is_refused(fields: dict[str, object], what: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_words(plan_of(**fields))

    assert caught.value.what == what
    assert "131071" in caught.value.why


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"command": ("echo", "a\0b")}, "argument 2 of task 0000"),
        ({"environment": {"A": "a\0b"}}, "variable A of task 0000"),
        ({"environment": {"A": "a\ud800b"}}, "variable A of task 0000"),
        ({"command": ("echo", "\ud83d" * WORD_LIMIT)}, "argument 2 of task 0000"),
        ({"command": ("echo", "a\udcff")}, "argument 2 of task 0000"),
    ],
    ids=["NUL", "NUL in a variable", "half a character", "long", "byte of the command line"],
)
def test_what_no_engine_can_pass_on_is_refused(fields: dict[str, object], what: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_words(plan_of(**fields))

    assert caught.value.what == what


def test_the_longest_argument_that_linux_takes_is_taken() -> None:
    check_words(plan_of(command=("true", "x" * (WORD_LIMIT - 1)), environment={"A": "x" * 1000}))


@pytest.mark.parametrize(
    ("environment", "image", "cause"),
    [
        ({"RAVI_ON_EXIT": "delete"}, {}, "task 0000: RAVI_ON_EXIT=delete: only a file"),
        ({}, {"RAVI_ON_EXIT": "delete"}, "task 0000: RAVI_ON_EXIT=delete: only a file"),
        ({"RAVI_ON_EXIT": "explode"}, {}, "RAVI_ON_EXIT='explode'"),
        ({"RAVI_GRACE": "soon"}, {}, "RAVI_GRACE='soon'"),
        ({"RAVI_WORKSPACE": "here"}, {}, "RAVI_WORKSPACE='here'"),
    ],
)
def test_settings_that_the_entrypoint_refuses_are_refused_here(
    environment: dict[str, str], image: dict[str, str], cause: str
) -> None:
    with pytest.raises(UsageError) as caught:
        check_settings(plan_of(environment=environment), image, "i")

    assert cause in str(caught.value)


@pytest.mark.parametrize(
    ("environment", "volumes"),
    [
        ({}, ()),
        ({"RAVI_ON_EXIT": "forget"}, ()),
        ({"RAVI_ON_EXIT": "delete"}, ("/k:/run/secrets/ravi_management_key:ro",)),
        ({"RAVI_ON_EXIT": "delete"}, ("/k:/run/secrets",)),
        ({"RAVI_ON_EXIT": "delete", "RAVI_MANAGEMENT_KEY_FILE": "/k/key"}, ("/k:/k",)),
    ],
)
def test_settings_that_the_entrypoint_takes_are_taken(
    environment: dict[str, str], volumes: tuple[str, ...]
) -> None:
    check_settings(plan_of(environment=environment, volumes=volumes), {}, "i")


def ask(service_url: str, key: str = MANAGEMENT_KEY, *, is_needed_here: bool = True) -> list[str]:
    said: list[str] = []
    check_account(
        service_url, Credential(key, "test"), is_needed_here=is_needed_here, say=said.append
    )
    return said


@pytest.mark.parametrize("is_needed_here", [True, False])
def test_a_key_is_tried_once_and_a_wrong_one_refused(
    local: LocalRavi, is_needed_here: bool
) -> None:
    assert ask(local.url, is_needed_here=is_needed_here) == []
    with pytest.raises(RefusedError) as caught:
        ask(local.url, "ravi_mgmt_wrong", is_needed_here=is_needed_here)

    assert caught.value.status == 401
    assert len(list(local.requests.entries)) == 2


def test_a_service_that_nobody_serves_is_refused_where_it_is_needed() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and never listens
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(UnreachableError) as caught:
            ask(url)
        (said,) = ask(url, is_needed_here=False)

    assert caught.value.fix
    assert "the containers may reach it" in said


@pytest.mark.parametrize("status", [429, 503])
def test_a_service_that_is_busy_is_only_mentioned(local: LocalRavi, status: int) -> None:
    local.faults.append(Fault(method="GET", status=status))

    (said,) = ask(local.url)

    assert f"status {status}" in said
    assert said.endswith("each start tries again")


@pytest.mark.parametrize(
    ("error", "is_refused"),
    [
        ("POST ravi.id/api/identities/: status 402 (subscription needed)", True),
        ("GET ravi.id/api/identities/: status 401", True),
        ("GET ravi.id/api/identities/: status 403", False),
        ("POST ravi.id/api/identities/: status 4020", False),
    ],
)
def test_a_refusal_of_the_account_is_told_from_one_of_an_identity(
    error: str, is_refused: bool
) -> None:
    assert is_account_refused(error) is is_refused
