"""`--tasks FILE`: every way a row may be written, and where a wrong one is said to stand."""

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ravi_agent.errors import UsageError
from ravi_agent.launcher.planning.tasks_file import Row, parse_tasks, read_tasks

NAME = "tasks"
ID_RULE = "is not 1 to 63 letters, digits, '.', '_' and '-'"
FIELDS = "id, command, env, image, workspace, labels"
HEADINGS = "id, command, image, workspace, env.NAME and label.NAME"


def refusal(text: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        parse_tasks(NAME, text)
    return caught.value


def test_a_json_row_may_say_everything() -> None:
    text = json.dumps(
        {
            "id": "a-1",
            "command": ["sh", "-c", "echo {id}"],
            "env": {"MODEL": "large", "SEED": 7, "HEAT": 0.5, "EMPTY": ""},
            "image": "my-agent:2",
            "workspace": "/data/{id}",
            "labels": {"team": "red", "shift": 2},
        }
    )

    assert parse_tasks(NAME, text) == [
        Row(
            id="a-1",
            command=("sh", "-c", "echo {id}"),
            environment={"MODEL": "large", "SEED": "7", "HEAT": "0.5", "EMPTY": ""},
            image="my-agent:2",
            workspace="/data/{id}",
            labels={"team": "red", "shift": "2"},
        )
    ]


def test_of_a_json_row_only_the_id_is_needed_and_null_is_as_good_as_nothing() -> None:
    text = '{"id": 7}\n\n  {"id": "b", "command": null, "env": null, "image": null}  \n'

    assert parse_tasks(NAME, text) == [Row(id="7"), Row(id="b")]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("run it", ("run", "it")),
        ("sh -c 'echo $HOME'", ("sh", "-c", "echo $HOME")),
        ("say ''", ("say", "")),
        ("say # all", ("say", "#", "all")),
    ],
)
def test_a_command_in_one_text_is_cut_as_a_shell_cuts_words(
    command: str, words: tuple[str, ...]
) -> None:
    quoted = command.replace('"', '""')

    assert parse_tasks(NAME, json.dumps({"id": "a", "command": command}))[0].command == words
    assert parse_tasks(NAME, f'id,command\na,"{quoted}"\n')[0].command == words


def test_a_csv_row_may_say_everything() -> None:
    text = (
        "id, command ,image,workspace,env.MODEL,label.team\n"
        'a,"sh -c ""echo 1, 2""",my-agent:2,/data/a,large,red\n'
        "\n"
        ",,,,,\n"
        " b ,,,,,\n"
    )

    assert parse_tasks(NAME, text) == [
        Row(
            id="a",
            command=("sh", "-c", "echo 1, 2"),
            environment={"MODEL": "large"},
            image="my-agent:2",
            workspace="/data/a",
            labels={"team": "red"},
        ),
        Row(id="b"),
    ]


def test_a_csv_of_ids_alone_is_no_list_of_ids_with_one_called_id() -> None:
    assert parse_tasks(NAME, "id\na\nb\n") == [Row(id="a"), Row(id="b")]


def test_a_csv_cell_may_hold_a_line_end() -> None:
    rows = parse_tasks(NAME, 'id,env.TEXT\na,"one\ntwo"\nb,three\n')

    assert [row.environment["TEXT"] for row in rows] == ["one\ntwo", "three"]


def test_bare_ids_stand_one_a_line_among_comments_and_empty_lines() -> None:
    text = "# first\n\nissue-12\n  issue_13  \n\t\n  # issue.14\nissue.15"

    assert [row.id for row in parse_tasks(NAME, text)] == ["issue-12", "issue_13", "issue.15"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=repr)
@pytest.mark.parametrize(
    "lines",
    [["a", "b"], ["id,image", "a,x", "b,y"], ['{"id": "a"}', '{"id": "b"}']],
    ids=["ids", "CSV", "JSON"],
)
def test_every_system_s_line_ends_will_do(lines: list[str], end: str, tmp_path: Path) -> None:
    path = tmp_path / "tasks"
    path.write_bytes(end.join([*lines, ""]).encode())

    assert [row.id for row in read_tasks(str(path))] == ["a", "b"]


@pytest.mark.parametrize("task", ["a", "0", "A.b_c-d", "x" * 63, "7."])
def test_an_id_may_be_what_fits_into_a_container_s_name(task: str) -> None:
    assert parse_tasks(NAME, task) == [Row(id=task)]
    assert parse_tasks(NAME, json.dumps({"id": task})) == [Row(id=task)]
    assert parse_tasks(NAME, f"id\n{task}\n") == [Row(id=task)]


@pytest.mark.parametrize(
    "task", ["-a", ".a", "_a", "a b", "a/b", "..", "é", "x" * 64, "a\u200b"], ids=repr
)
def test_an_id_may_be_nothing_else(task: str) -> None:
    why = f"id {task!r} {ID_RULE}"

    assert str(refusal(f"ok\n{task}\n")) == f"tasks, line 2, column 1: {why}"
    assert str(refusal(f"image,id\nx,ok\nx,{task}\n")) == f"tasks, line 3, column 2: {why}"
    assert str(refusal(json.dumps({"id": task}))) == f"tasks, line 1, column 8: {why}"


@pytest.mark.parametrize(
    ("row", "column", "why"),
    [
        ('{"id": "a",}', 12, "no JSON: "),
        ("  {id}", 4, "no JSON: "),
        ('{"id": "a"} {"id": "b"}', 13, "no JSON: Extra data"),
        ('{"id": "a', 8, "no JSON: Unterminated string"),
        ('["a"]', 1, 'not an object like {"id": "a"}'),
        ("{}", 1, "no id"),
        ('{"id": null}', 1, "no id"),
        ('{"id": ""}', 8, f"id '' {ID_RULE}"),
        ('{"id": true}', 8, "id is not text or a whole number"),
        ('{"id": 1.5}', 8, "id is not text or a whole number"),
        ('{"id": ["a"]}', 8, "id is not text or a whole number"),
        ('{"id" : -1}', 9, f"id '-1' {ID_RULE}"),
        ('{"id": "a", "comand": "x"}', 13, f"unknown field 'comand'; there are {FIELDS}"),
        ('{"id": "a", "command": ""}', 24, "command is not text or a list of texts"),
        ('{"id": "a", "command": []}', 24, "command is not text or a list of texts"),
        ('{"id": "a", "command": ["x", 1]}', 24, "command is not text or a list of texts"),
        ('{"id": "a", "command": "it\'s"}', 24, "command: No closing quotation"),
        ('{"id": "a", "env": "A=1"}', 20, "env is not an object of texts and numbers"),
        ('{"id": "a", "env": {"A": [1]}}', 20, "env is not an object of texts and numbers"),
        ('{"id": "a", "env": {"A": null}}', 20, "env is not an object of texts and numbers"),
        ('{"id": "a", "env": {"A": true}}', 20, "env is not an object of texts and numbers"),
        ('{"id": "a", "labels": ["x"]}', 23, "labels is not an object of texts and numbers"),
        ('{"id": "a", "image": 1}', 22, "image is not text"),
        ('{"id": "a", "image": ""}', 22, "image is not text"),
        ('{"id": "a", "workspace": {}}', 26, "workspace is not text"),
        pytest.param('{"env": ' * 100_000, 1, "nested too deeply", id="deep"),
    ],
)
def test_a_wrong_json_row_is_named_by_line_and_column(row: str, column: int, why: str) -> None:
    error = refusal(f'{{"id": "first"}}\n\n{row}\n{{"id": "last"}}\n')

    assert error.what == f"tasks, line 3, column {column}"
    assert error.why.startswith(why)
    assert error.exit_code == 64


@pytest.mark.parametrize(
    ("text", "line", "column", "why"),
    [
        ("command,image\nx,y\n", 1, 1, "no heading 'id'"),
        ("id,comand\na,x\n", 1, 2, f"unknown heading 'comand'; there are {HEADINGS}"),
        ("\n\nid,image,\na,x,\n", 3, 3, f"unknown heading ''; there are {HEADINGS}"),
        ("id,env.\na,x\n", 1, 2, f"unknown heading 'env.'; there are {HEADINGS}"),
        ("id,label.\na,x\n", 1, 2, f"unknown heading 'label.'; there are {HEADINGS}"),
        ("id,env\na,x\n", 1, 2, f"unknown heading 'env'; there are {HEADINGS}"),
        ("id,image,id\na,x,b\n", 1, 3, "heading 'id' stands twice"),
        ("id,env.A,image, env.A\n", 1, 4, "heading 'env.A' stands twice"),
        ("id,image\na,x\nb\n", 3, 2, "1 cells under 2 headings"),
        ("id,image\na,x,y,z\n", 2, 3, "4 cells under 2 headings"),
        ("id,image,env.A\n\na,x\n", 3, 3, "2 cells under 3 headings"),
        ("image,id\nx,\n", 2, 2, f"id '' {ID_RULE}"),
        ("id,image,command\na,x,it's\n", 2, 3, "command: No closing quotation"),
        ('id,image\na,"x"y\n', 2, 1, "no CSV: "),
        ('id,image\na,x\nb,"y', 3, 1, "no CSV: unexpected end of data"),
        ("id,image\na," + "x" * 140_000, 2, 1, "no CSV: field larger than field limit"),
    ],
)
def test_a_wrong_csv_row_is_named_by_line_and_cell(
    text: str, line: int, column: int, why: str
) -> None:
    error = refusal(text)

    assert error.what == f"tasks, line {line}, column {column}"
    assert error.why.startswith(why)
    assert error.exit_code == 64


@pytest.mark.parametrize(
    ("text", "place", "first_line"),
    [
        ("# ids\na\nb\n\na\n", "line 5, column 1", 2),
        ("image,id\nx,a\nx,b\ny,a\n", "line 4, column 2", 2),
        ('{"id": "a"}\n{"id": "b"}\n{"image": "x", "id": "a"}', "line 3, column 22", 1),
    ],
    ids=["ids", "CSV", "JSON"],
)
def test_an_id_that_stands_twice_is_refused_with_both_lines(
    text: str, place: str, first_line: int
) -> None:
    assert str(refusal(text)) == f"tasks, {place}: id 'a' stands in line {first_line} too"


def test_a_number_and_a_text_that_read_alike_are_one_id() -> None:
    error = refusal('{"id": 7}\n{"id": "7"}\n')

    assert str(error) == "tasks, line 2, column 8: id '7' stands in line 1 too"


def test_ids_that_differ_in_case_are_two() -> None:
    assert len(parse_tasks(NAME, "a\nA\n")) == 2


@pytest.mark.parametrize("text", ["", "\n \n", "# none\n", "id,image\n"], ids=repr)
def test_a_file_without_a_task_is_refused(text: str) -> None:
    assert str(refusal(text)) == "--tasks tasks: it has no task"


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "tasks.csv"
    path.write_bytes(b"\xef\xbb\xbfid,image\na,x\n")

    assert read_tasks(str(path)) == [Row(id="a", image="x")]


def test_a_file_that_is_no_utf_8_is_refused_by_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "tasks"
    path.write_bytes(b"abc\n\xff\n")

    with pytest.raises(UsageError) as caught:
        read_tasks(str(path))

    assert str(caught.value) == f"--tasks {path}: byte 5 is no UTF-8"


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file or directory") as caught:
        read_tasks(str(tmp_path / "none"))
    assert caught.value.what == f"--tasks {tmp_path}/none"

    with pytest.raises(UsageError, match="Is a directory"):
        read_tasks(str(tmp_path))


def test_a_wrong_row_of_a_file_is_named_by_the_file(tmp_path: Path) -> None:
    path = tmp_path / "tasks"
    path.write_text("a\n-b\n")

    with pytest.raises(UsageError) as caught:
        read_tasks(str(path))

    assert caught.value.what == f"{path}, line 2, column 1"


def test_a_dash_reads_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\n-b\n")))

    with pytest.raises(UsageError) as caught:
        read_tasks("-")

    assert caught.value.what == "standard input, line 2, column 1"


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
names = st.sampled_from(["id", "command", "env", "image", "workspace", "labels"])
json_rows = st.dictionaries(names | st.text(max_size=5), values, max_size=5).map(json.dumps)
csv_rows = st.lists(
    st.sampled_from(["id", "command", "env.A", "label.b", "a", "b c", '"', "'", "", "\n"]),
    max_size=4,
).map(",".join)
rows = st.text(max_size=60) | json_rows | csv_rows | st.sampled_from(["id", "id,image", "#", "a"])
texts = st.lists(rows, max_size=5).map("\n".join)


def assert_clear(error: UsageError, text: str) -> None:
    assert error.lines("ravi-launch").count("\n") == 2
    if error.why != "it has no task":
        place = re.fullmatch(r"tasks, line (\d+), column (\d+)", error.what)
        assert place, error.what
        assert 1 <= int(place[1]) <= len(text.splitlines())
        assert int(place[2]) >= 1


@settings(max_examples=500, deadline=None)
@given(texts)
@example('{"id": "a"')
@example('id,"')
@example("a\x00b")
@example("\ufeffid,image\n")
def test_any_text_is_rows_or_a_refusal_that_names_the_place(text: str) -> None:
    try:
        tasks = parse_tasks(NAME, text)
    except UsageError as exc:
        assert_clear(exc, text)
    else:
        assert len({row.id for row in tasks}) == len(tasks) >= 1


texts_of_one_line = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1)


@given(
    st.builds(
        Row,
        id=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", fullmatch=True),
        command=st.none() | st.lists(st.text(), min_size=1).map(tuple),
        environment=st.dictionaries(st.text(), st.text()),
        image=st.none() | texts_of_one_line,
        workspace=st.none() | texts_of_one_line,
        labels=st.dictionaries(st.text(), st.text()),
    )
)
def test_what_is_written_as_json_is_what_is_read(row: Row) -> None:
    record = {
        "id": row.id,
        "command": row.command,
        "env": row.environment,
        "image": row.image,
        "workspace": row.workspace,
        "labels": row.labels,
    }

    assert parse_tasks(NAME, json.dumps(record)) == [row]


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ('{"id": "a", "né": 1}', 13),
        ('{"id": "nam", "nam": 1}', 15),
        ('{"env": {"id": "x"}, "id": "bad id"}', 28),
    ],
    ids=["not ASCII", "a value alike", "nested"],
)
def test_the_column_is_that_of_the_field_and_of_nothing_like_it(text: str, column: int) -> None:
    with pytest.raises(UsageError, match=f"line 1, column {column}:"):
        parse_tasks(NAME, text)


def test_a_number_that_python_will_not_read_is_refused() -> None:
    with pytest.raises(UsageError, match=r"line 1, column 1: .*a number too long"):
        parse_tasks(NAME, f'{{"id": {"1" * 5000}}}')


def test_a_text_in_json_may_hold_what_other_programs_cut_lines_at() -> None:
    (row,) = parse_tasks(NAME, '{"id": "a", "command": ["one\u2028two\x85three"]}')

    assert row.command == ("one\u2028two\x85three",)


def test_a_comment_does_not_say_what_a_file_is_written_in() -> None:
    assert [row.id for row in parse_tasks(NAME, "# one, two\na\nb\n")] == ["a", "b"]


def test_a_command_without_a_word_is_refused() -> None:
    with pytest.raises(UsageError, match="command: no word"):
        parse_tasks(NAME, '{"id": "a", "command": "  "}')


def test_a_row_of_several_lines_is_named_by_its_first() -> None:
    with pytest.raises(UsageError, match="line 2, column 3"):
        parse_tasks(NAME, 'id,command\na,"echo\nmore",x\n')


@pytest.mark.parametrize(
    "text", ["- id: a\n- id: b\n", "---\n- a\n", "tasks:\n  - id: a\n", "id: a\n"]
)
def test_yaml_is_told_from_ids(text: str) -> None:
    with pytest.raises(UsageError, match="looks like YAML; tasks are JSON Lines, CSV"):
        parse_tasks("tasks.yaml", text)


@pytest.mark.parametrize("text", ["id;command\na;true\n", "command\tid\n", '"id";"env.A"\n'])
def test_cells_that_no_comma_separates_are_told_from_ids(text: str) -> None:
    with pytest.raises(UsageError, match="its cells are not separated by commas"):
        parse_tasks("tasks.csv", text)


def test_a_standard_input_that_is_closed_has_no_tasks() -> None:
    command = [str(Path(sys.executable).with_name("ravi-launch")), "--tasks", "-", "--dry-run"]

    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" <&-', "sh", *command],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 64
    assert done.stderr.startswith("ravi-launch: error: --tasks -: standard input is closed\n")
