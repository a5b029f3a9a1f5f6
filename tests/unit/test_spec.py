"""What was asked for: kept whole for `--resume`, and refused where it would show a key."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import MANAGEMENT_KEY
from ravi_agent.errors import UsageError
from ravi_agent.launcher.planning.container import ContainerOptions
from ravi_agent.launcher.planning.plan import Plan, make_plan
from ravi_agent.launcher.planning.spec import (
    Flow,
    RunSpec,
    check_volume,
    parse_environment,
    parse_labels,
    read_env_file,
)
from ravi_agent.launcher.planning.tasks_file import Row, parse_tasks
from ravi_agent.launcher.planning.values import host_path

SECRETS = ("RAVI_MANAGEMENT_KEY", "RAVI_ACCESS_TOKEN", "RAVI_HANDOVER")
SPEC = RunSpec(image="my-agent:1", count=2, api_url="https://ravi.example")

texts = st.text(max_size=10)
mappings = st.dictionaries(texts, texts, max_size=3)
tuples = st.lists(texts, max_size=3).map(tuple)
counts = st.none() | st.integers(0, 1 << 50)
specs = st.builds(
    RunSpec,
    image=texts,
    count=counts,
    rows=st.none()
    | st.lists(
        st.builds(
            Row,
            id=texts,
            command=st.none() | tuples,
            environment=mappings,
            image=st.none() | texts,
            workspace=st.none() | texts,
            labels=mappings,
        ),
        max_size=3,
    ).map(tuple),
    command=st.none() | tuples,
    environment=mappings,
    labels=mappings,
    volumes=tuples,
    workspace_dir=st.none() | texts,
    name_prefix=texts,
    api_url=texts,
    is_local=st.booleans(),
    is_provisioning_here=st.booleans(),
    container=st.builds(
        ContainerOptions,
        cpus=st.none() | st.floats(0.01, 10_000),
        memory=counts,
        shm_size=counts,
        pids_limit=st.integers(16, 1 << 20),
        gpus=st.none() | texts,
        user=st.none() | texts,
        is_read_only=st.booleans(),
        cap_add=tuples,
        security_opt=tuples,
        network=st.none() | texts,
        platform=st.none() | texts,
        pull=texts,
    ),
    flow=st.builds(
        Flow,
        concurrency=counts,
        parallel=counts,
        retries=st.integers(0, 9),
        timeout_s=counts,
        max_failures=counts,
        is_removing=st.booleans(),
    ),
)


def plan_of(*rows: Row, count: int | None = None, **options: object) -> Plan:
    spec = RunSpec(
        image="my-agent:1",
        count=count,
        rows=rows or None,
        api_url="https://ravi.example",
        **options,  # type: ignore[arg-type]
    )
    return make_plan("nightly", spec, is_fresh=True)


@given(specs)
def test_the_record_of_a_spec_is_one_line_that_reads_back_the_same(spec: RunSpec) -> None:
    record = spec.to_record()

    assert record.isascii()
    assert "\n" not in record
    assert RunSpec.from_record(record) == spec
    assert RunSpec.from_record(record).to_record() == record


@given(specs)
def test_a_resumed_spec_makes_the_same_plan_or_is_refused_in_the_same_words(spec: RunSpec) -> None:
    def outcome(one: RunSpec) -> Plan | str:
        try:
            return make_plan("nightly", one, is_fresh=False)
        except UsageError as exc:
            return str(exc)

    small = RunSpec.from_record(json.dumps(json.loads(spec.to_record()) | {"count": 2}))
    assert outcome(RunSpec.from_record(small.to_record())) == outcome(small)


@pytest.mark.parametrize(
    "record",
    [
        "",
        "{",
        "null",
        "1",
        "[]",
        '"x"',
        "{}",
        SPEC.to_record().replace('"version":1', '"version":2'),
        SPEC.to_record().replace('"version":1', '"version":"1"'),
        SPEC.to_record().replace('"version":1,', ""),
        SPEC.to_record().replace('"rows":null,', ""),
        SPEC.to_record().replace('"rows":null', '"rows":[1]'),
        SPEC.to_record().replace('"rows":null', '"rows":[{"id":"a","new":1}]'),
        SPEC.to_record().replace('"image"', '"picture"'),
        SPEC.to_record().replace('"retries"', '"tries"'),
        SPEC.to_record().replace('"pids_limit"', '"pids"'),
    ],
)
def test_the_record_of_another_version_is_refused(record: str) -> None:
    with pytest.raises(UsageError) as caught:
        RunSpec.from_record(record)

    assert str(caught.value) == "--resume: another version of ravi-launch started this run"
    assert caught.value.exit_code == 64


def test_specs_differ_in_what_makes_another_run_and_not_in_how_it_goes_on() -> None:
    other = RunSpec(
        image="my-agent:2",
        count=2,
        environment={"A": "1"},
        api_url="https://ravi.example",
        container=ContainerOptions(cpus=1),
        flow=Flow(retries=3),
    )

    assert SPEC.differences(SPEC) == []
    assert SPEC.differences(other) == ["image", "environment", "container"]
    assert other.differences(SPEC) == ["image", "environment", "container"]


def test_an_env_file_is_read_as_docker_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "env"
    path.write_text("# model\n\nMODEL=large\n  SEED=1=2\n#A=1\nHOME_OF\nNOT_THERE\nMODEL=small\n")

    assert read_env_file(str(path), {"HOME_OF": "host", "SEED": "9"}) == {
        "MODEL": "small",
        "SEED": "1=2",
        "HOME_OF": "host",
    }


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("A-B=1", "not a variable's name"),
        ("=1", "not a variable's name"),
        ("export A=1", "not a variable's name"),
        ("TASK_ID=1", "the launcher sets TASK_ID for each agent"),
    ],
)
def test_a_wrong_line_of_an_env_file_is_named(line: str, why: str, tmp_path: Path) -> None:
    path = tmp_path / "env"
    path.write_text(f"# first\n\nOK=1\n{line}\nOK=2\n")

    with pytest.raises(UsageError) as caught:
        read_env_file(str(path), {})

    assert str(caught.value) == f"{path}, line 4, column 1: {why}"
    assert caught.value.exit_code == 64


def test_an_env_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "env"
    with pytest.raises(UsageError) as caught:
        read_env_file(str(path), {})
    assert str(caught.value) == f"--env-file {path}: No such file or directory"

    path.write_bytes(b"A=\xff\n")
    with pytest.raises(UsageError) as caught:
        read_env_file(str(path), {})
    assert str(caught.value) == f"--env-file {path}: it is no UTF-8"


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("value", ["", f"={MANAGEMENT_KEY}"], ids=["the host's", "given"])
def test_a_secret_is_refused_wherever_it_is_set_and_never_quoted(
    name: str, value: str, tmp_path: Path
) -> None:
    host = {name: MANAGEMENT_KEY}
    path = tmp_path / "env"
    path.write_text(f"OK=1\n{name}{value}\n")

    with pytest.raises(UsageError) as from_flag:
        parse_environment([f"{name}{value}"], host)
    with pytest.raises(UsageError) as from_file:
        read_env_file(str(path), host)

    assert from_flag.value.what == f"--env '{name}'"
    assert from_file.value.what == f"{path}, line 2, column 1"
    for caught in (from_flag, from_file):
        assert caught.value.why == (
            f"`docker inspect` would show {name}; the launcher hands the key over by itself"
        )
        assert MANAGEMENT_KEY not in caught.value.lines("ravi-launch") + repr(caught.value)


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("form", ["JSON", "CSV"])
def test_a_secret_in_a_row_is_refused_and_never_quoted(name: str, form: str) -> None:
    text = {
        "JSON": json.dumps({"id": "a", "env": {name: MANAGEMENT_KEY}}),
        "CSV": f"id,env.{name}\na,{MANAGEMENT_KEY}\n",
    }[form]

    with pytest.raises(UsageError) as caught:
        plan_of(Row(id="first"), *parse_tasks("tasks", text))

    assert caught.value.what == f"task a: env '{name}'"
    assert name in caught.value.why
    assert MANAGEMENT_KEY not in caught.value.lines("ravi-launch") + repr(caught.value)


@pytest.mark.parametrize("name", ["TASK_ID", "RAVI_API_URL", "A-B", ""])
def test_a_row_may_set_no_other_variables_than_a_flag(name: str) -> None:
    with pytest.raises(UsageError, match=f"task a: env '{name}'"):
        plan_of(Row(id="a", environment={name: "x"}))


def test_labels_are_taken_as_docker_takes_them() -> None:
    assert parse_labels(["a=1", "b", "c=", "d=e=f", "a=2"]) == {
        "a": "2",
        "b": "",
        "c": "",
        "d": "e=f",
    }


@pytest.mark.parametrize("label", ["id.ravi.run", "id.ravi.run=x", "id.ravi.=x", "=x", ""])
def test_the_launcher_s_own_labels_are_refused(label: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_labels([label])
    assert str(caught.value) == (f"--label {label!r}: labels beginning with 'id.ravi.' are ours")

    name = label.partition("=")[0]
    with pytest.raises(UsageError, match="task a: label"):
        plan_of(Row(id="a", labels={name: "x"}))


def test_a_volume_s_source_is_made_absolute_and_a_volume_s_name_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")

    assert check_volume("./a:/data:ro") == f"{tmp_path}/a:/data:ro"
    assert check_volume("..:/data") == f"{tmp_path.parent}:/data"
    assert check_volume("~/a:/data") == "/home/somebody/a:/data"
    assert check_volume("/a//b/../c:/data") == "/a/c:/data"
    assert check_volume("cache:/data") == "cache:/data"
    assert host_path("cache") == "cache"


@pytest.mark.parametrize("entry", ["", "/data", ":/data", "/data:", "/a:b", "/a:ro:/b"], ids=repr)
def test_what_is_no_volume_is_refused(entry: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_volume(entry)

    assert caught.value.what == f"--volume {entry!r}"


def test_a_row_goes_before_the_run_and_both_are_filled_in() -> None:
    plan = plan_of(
        Row(id="a"),
        Row(
            id="b",
            command=("own", "{index}"),
            environment={"MODEL": "own-{id}"},
            image="own:1",
            workspace="/own/{id}",
            labels={"team": "own-{run}"},
        ),
        command=("all", "{id}", "${id}"),
        environment={"MODEL": "all-{id}", "OF": "{count}"},
        labels={"team": "all", "place": "{index}"},
        volumes=("/cache/{id}:/cache",),
        workspace_dir="/all/{id}",
    )
    first, second = plan.tasks

    assert (first.image, second.image) == ("my-agent:1", "own:1")
    assert plan.images == ["my-agent:1", "own:1"]
    assert (first.command, second.command) == (("all", "a", "${id}"), ("own", "1"))
    assert first.environment == {"MODEL": "all-a", "OF": "2"}
    assert second.environment == {"MODEL": "own-b", "OF": "2"}
    assert first.labels == {"team": "all", "place": "0"}
    assert second.labels == {"team": "own-nightly", "place": "1"}
    assert first.volumes == ("/cache/a:/cache", "/all/a:/workspace")
    assert second.volumes == ("/cache/b:/cache", "/own/b:/workspace")
    assert second.identity_name == "task-nightly-b"


@pytest.mark.parametrize(
    ("options", "source"),
    [
        ({"workspace_dir": "/data"}, "/data"),
        ({"workspace_dir": "/data/{run}"}, "/data/nightly"),
        ({"workspace_dir": "/data/{id}/.."}, "/data"),
        ({"volumes": ("/data:/workspace",)}, "/data"),
        ({"volumes": ("/data:/workspace/:rw",)}, "/data"),
        ({"volumes": ("cache:/tmp/../workspace",)}, "cache"),
        ({"volumes": ("/data:/w",), "environment": {"RAVI_WORKSPACE": "/w"}}, "/data"),
        ({"workspace_dir": "/data", "environment": {"RAVI_WORKSPACE": "/w"}}, "/data"),
    ],
)
def test_a_workspace_that_two_agents_would_share_is_refused(
    options: dict[str, object], source: str
) -> None:
    with pytest.raises(UsageError) as caught:
        plan_of(count=3, **options)

    assert str(caught.value) == (
        f"workspace {source}: tasks 0000 and 0001 would share it, and their identity"
    )
    assert caught.value.fix == "--workspace-dir DIR/{id}"


def test_a_row_s_workspace_may_not_be_another_s() -> None:
    with pytest.raises(UsageError, match="workspace /data/a: tasks a and b would share it"):
        plan_of(Row(id="a"), Row(id="b", workspace="/data/x/../a"), workspace_dir="/data/{id}")


def test_other_directories_may_be_shared_and_one_agent_may_have_any() -> None:
    assert plan_of(count=2, volumes=("/data:/data", "/data:/workspace/data")).tasks
    assert plan_of(count=1, workspace_dir="/data").tasks[0].volumes == ("/data:/workspace",)


@pytest.mark.parametrize("prefix", ["it's-", "two\nlines-", "x" * 244])
def test_an_identity_s_name_is_plain_and_not_too_long(prefix: str) -> None:
    with pytest.raises(UsageError, match="identity name") as caught:
        plan_of(count=1, name_prefix=prefix)

    assert caught.value.fix == "a shorter RAVI_NAME_PREFIX"
    assert len(plan_of(count=1, name_prefix="x" * 243).tasks[0].identity_name) == 255
