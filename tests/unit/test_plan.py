"""What a run is to be: names, variables and labels, checked before anything is started."""

import re
import shlex
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from conftest import MANAGEMENT_KEY
from ravi_agent.errors import UsageError
from ravi_agent.launcher.commands.run_options import AgentOptions
from ravi_agent.launcher.planning.plan import (
    Plan,
    check_run_name,
    joined_name,
    make_plan,
    new_run_name,
)
from ravi_agent.launcher.planning.spec import RunSpec, parse_environment
from ravi_agent.launcher.planning.tasks_file import Row


def plan_of(count: int, *, prefix: str = "task-", **environment: str) -> Plan:
    spec = RunSpec(
        image="ravi-agent-base",
        count=count,
        name_prefix=prefix,
        environment=environment,
        api_url="https://ravi.example",
    )
    return make_plan("nightly", spec, is_fresh=True)


PLAN = plan_of(3, MODEL="small")


def test_tasks_are_numbered_from_nought_with_four_digits() -> None:
    tasks = plan_of(3).tasks

    assert [task.id for task in tasks] == ["0000", "0001", "0002"]
    assert [task.index for task in tasks] == [0, 1, 2]
    assert [task.identity_name for task in tasks] == [
        "task-nightly-0000",
        "task-nightly-0001",
        "task-nightly-0002",
    ]


@pytest.mark.parametrize(
    ("count", "last"), [(1, "0000"), (10_000, "9999"), (10_001, "10000"), (100_000, "99999")]
)
def test_all_numbers_of_a_run_have_the_same_width(count: int, last: str) -> None:
    tasks = plan_of(count, prefix="").tasks

    assert len(tasks) == count
    assert tasks[-1].id == last
    assert len({len(task.id) for task in tasks}) == 1
    assert sorted(task.id for task in tasks) == [task.id for task in tasks]


@pytest.mark.parametrize("count", [0, -1])
def test_a_run_has_at_least_one_agent(count: int) -> None:
    with pytest.raises(UsageError, match=f"--count {count}") as caught:
        plan_of(count)

    assert caught.value.exit_code == 64


def test_no_two_runs_get_the_same_name() -> None:
    names = {new_run_name() for _ in range(1000)}

    assert len(names) == 1000
    assert all(re.fullmatch(r"[2-9a-kmnp-z]{8}", name) for name in names)
    assert all(check_run_name("--name", name) == name for name in names)


@pytest.mark.parametrize("name", ["a", "0", "nightly", "a.b_c-d", "x" * 40])
def test_a_run_may_be_called_what_docker_takes(name: str) -> None:
    assert check_run_name("--name", name) == name


@pytest.mark.parametrize(
    "name",
    ["", "Nightly", "-a", ".a", "_a", "a b", "a/b", "a\n", "nächtlich", "x" * 41, "$(id)"],
    ids=repr,
)
def test_a_run_may_not_be_called_anything_else(name: str) -> None:
    with pytest.raises(UsageError, match="--name") as caught:
        check_run_name("--name", name)

    assert caught.value.exit_code == 64


def test_an_agent_is_told_its_place_its_name_and_its_service() -> None:
    assert PLAN.variables(PLAN.tasks[1]) == {
        "MODEL": "small",
        "TASK_ID": "0001",
        "TASK_INDEX": "1",
        "TASK_COUNT": "3",
        "RAVI_RUN": "nightly",
        "RAVI_API_URL": "https://ravi.example",
        "RAVI_IDENTITY_NAME": "task-nightly-0001",
        "RAVI_HANDOVER": "stdin",
    }


def test_one_agent_s_variables_are_not_another_s() -> None:
    first = PLAN.variables(PLAN.tasks[0])
    first["MODEL"] = "changed"

    assert PLAN.variables(PLAN.tasks[1])["MODEL"] == "small"


def test_a_container_is_found_again_by_its_labels() -> None:
    assert PLAN.labels_of(PLAN.tasks[2]) == {
        "id.ravi.run": "nightly",
        "id.ravi.task": "0002",
        "id.ravi.index": "2",
        "id.ravi.count": "3",
        "id.ravi.identity-name": "task-nightly-0002",
    }


def test_a_container_is_called_after_its_run_and_its_task() -> None:
    names = [PLAN.container_name(task) for task in PLAN.tasks]

    assert names[0] == "ravi-agent-nightly-0000"
    assert len(set(names)) == 3


def test_a_container_of_the_longest_name_is_a_host_name() -> None:
    plan = replace(PLAN, run="x" * 40)

    assert len(plan.container_name(plan.tasks[0])) <= 63  # RFC 1035


HOST = {"MODEL": "large", "EMPTY": "", "RAVI_MANAGEMENT_KEY": MANAGEMENT_KEY}


@pytest.mark.parametrize(
    ("entries", "environment"),
    [
        ([], {}),
        (["A=1", "B=2"], {"A": "1", "B": "2"}),
        (["A=b=c"], {"A": "b=c"}),
        (["A="], {"A": ""}),
        (["A=two\nlines 'é'"], {"A": "two\nlines 'é'"}),
        (["MODEL"], {"MODEL": "large"}),
        (["EMPTY"], {"EMPTY": ""}),
        (["NOT_THERE"], {}),
        (["A=1", "A=2"], {"A": "2"}),
        (["_a1=x"], {"_a1": "x"}),
        (["RAVI_PHONE_POLICY=never"], {"RAVI_PHONE_POLICY": "never"}),
    ],
    ids=repr,
)
def test_variables_are_taken_as_docker_takes_them(
    entries: list[str], environment: dict[str, str]
) -> None:
    assert parse_environment(entries, HOST) == environment


@pytest.mark.parametrize("entry", ["", "=x", "1A=x", "A-B=x", "A B", "é=x", "A\n=x"], ids=repr)
def test_what_is_no_variable_is_refused(entry: str) -> None:
    with pytest.raises(UsageError, match="not a variable's name") as caught:
        parse_environment([entry], HOST)

    assert caught.value.exit_code == 64


@pytest.mark.parametrize("name", ["RAVI_MANAGEMENT_KEY", "RAVI_ACCESS_TOKEN", "RAVI_HANDOVER"])
@pytest.mark.parametrize("value", ["", f"={MANAGEMENT_KEY}"], ids=["the host's", "given"])
def test_a_key_is_refused_for_everybody_could_read_it(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"--env '{name}': .*docker inspect") as caught:
        parse_environment([name + value], HOST)

    assert MANAGEMENT_KEY not in caught.value.lines("test")


@pytest.mark.parametrize(
    "name",
    ["RAVI_API_URL", "RAVI_IDENTITY_NAME", "RAVI_RUN", "TASK_ID", "TASK_INDEX", "TASK_COUNT"],
)
def test_what_the_launcher_sets_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"the launcher sets {name}"):
        parse_environment([f"{name}=x"], HOST)


def test_every_variable_that_the_launcher_sets_is_one_it_refuses() -> None:
    plan = plan_of(1)

    for name in plan.variables(plan.tasks[0]):
        with pytest.raises(UsageError):
            parse_environment([f"{name}=x"], {})


def run_of(*rows: Row, **fields: Any) -> Plan:
    spec = RunSpec(image="i", rows=rows, api_url="https://ravi.example", **fields)
    return make_plan("nightly", spec, is_fresh=True)


def test_a_workspace_is_where_the_agent_looks_for_it() -> None:
    rows = [Row(id="a"), Row(id="b", environment={"RAVI_WORKSPACE": "/own"})]
    plan = run_of(*rows, workspace_dir="/d/{id}", environment={"RAVI_WORKSPACE": "/w/{id}"})

    assert [task.volumes for task in plan.tasks] == [("/d/a:/w/a",), ("/d/b:/own",)]


@pytest.mark.parametrize(
    "fields",
    [
        {"volumes": ("/shared:/workspace",)},
        {"workspace_dir": "/shared"},
        {"volumes": ("/shared:/w2/",), "environment": {"RAVI_WORKSPACE": "/w2"}},
    ],
    ids=["volume", "directory", "elsewhere"],
)
def test_two_agents_never_share_a_workspace(fields: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="tasks a and b would share it"):
        run_of(Row(id="a"), Row(id="b"), **fields)


def test_one_agent_may_have_its_workspace_to_itself() -> None:
    (task,) = run_of(Row(id="a"), volumes=("/shared:/workspace",)).tasks

    assert task.volumes == ("/shared:/workspace",)


def test_a_workspace_with_a_colon_is_refused() -> None:
    with pytest.raises(UsageError, match="--workspace-dir '/d:x'"):
        run_of(Row(id="a"), workspace_dir="/d:x")


def test_a_relative_workspace_is_one_of_this_directory() -> None:
    (task,) = run_of(Row(id="a"), workspace_dir="out/{id}").tasks

    assert task.volumes == (f"{Path.cwd()}/out/a:/workspace",)


@pytest.mark.parametrize(
    ("run", "task", "joined"),
    [
        ("nightly", "0001", "nightly-0001"),
        ("nightly", "issue-12", "nightly-issue-12"),
        ("nightly-build", "0001", "nightly-build-0001"),
        ("n", "eu-login", "n-eu-login"),
        ("n-eu", "login", "n--eu-login"),
        ("n-", "eu-login", "n---eu-login"),
        ("nightly-eu", "0001", "nightly-eu-0001"),
        ("nightly", "eu-0001", "nightly-eu--0001"),
        ("nightly-", "0001", "nightly---0001"),
        ("nightly-issue", "12", "nightly-issue-12"),
    ],
)
def test_a_name_is_the_run_s_and_the_task_s(run: str, task: str, joined: str) -> None:
    assert joined_name(run, task) == joined


def test_no_two_pairs_have_one_name_where_a_number_is_one_of_count_s() -> None:
    parts = ("a", "-", "0001")
    words = ["".join(chosen) for size in (1, 2, 3) for chosen in product(parts, repeat=size)]
    named = sorted({word for word in words if not word.startswith("-")})
    pairs = [(run, task) for run in named for task in named]

    assert len({joined_name(run, task) for run, task in pairs}) == len(pairs)


@pytest.mark.parametrize("volume", ["data/sub:/x", "my data:/x", "d:/x", "/srv:/", "data://"])
def test_a_volume_that_no_engine_mounts_is_refused(volume: str) -> None:
    with pytest.raises(UsageError, match="--volume"):
        run_of(Row(id="a"), volumes=(volume,))


def test_a_fix_with_a_path_is_one_that_a_shell_takes() -> None:
    options = AgentOptions(count=1, tasks="my tasks.jsonl")

    with pytest.raises(UsageError) as caught:
        options.check()

    assert shlex.split(caught.value.fix or "") == ["--tasks", "my tasks.jsonl"]
