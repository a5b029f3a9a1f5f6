"""`{index} {count} {id} {run}`: four fields are filled in, and nothing else is touched."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ravi_agent.launcher.planning.templates import NAMES, Filler

FILLER = Filler(index=7, count=50, task="issue-12", run="nightly")


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{index}", "7"),
        ("{count}", "50"),
        ("{id}", "issue-12"),
        ("{run}", "nightly"),
        ("{run}/{id}", "nightly/issue-12"),
        ("{id}{id}", "issue-12issue-12"),
        ("/data/{id}:/data:ro", "/data/issue-12:/data:ro"),
        ('{"task": "{id}"}', '{"task": "issue-12"}'),
        ("{x{id}y}", "{xissue-12y}"),
        ("{{id}", "{issue-12"),
        ("{id}}", "issue-12}"),
        ("cost: 5${run", "cost: 5${run"),
        ("$ {id}", "$ issue-12"),
    ],
)
def test_fields_are_filled_in_wherever_they_stand(template: str, text: str) -> None:
    assert FILLER.text(template) == text


@pytest.mark.parametrize(
    ("template", "text"),
    [("{{id}}", "{id}"), ("a {{run}} b", "a {run} b"), ("{{id}}{id}", "{id}issue-12")],
)
def test_doubled_braces_stand_for_the_field_s_own_name(template: str, text: str) -> None:
    assert FILLER.text(template) == text


@pytest.mark.parametrize(
    "template",
    [
        "",
        "${id}",
        "${index}/${count}/${run}",
        "$${id}",
        "echo ${id:-none}",
        "awk '{print}'",
        "awk '{print $1}'",
        "{}",
        "{{}}",
        "{ID}",
        "{id }",
        "{ id}",
        "{id!r}",
        "{id:>4}",
        "{0}",
        "{name}",
        "{{name}}",
        "{i}d}",
        "{id",
        "id}",
        "%s %(id)s $id \\1 \\g<0>",
        '{"a": {"b": 1}}',
        "find . -exec rm {} +",
        "a{1,2}b",
        "{id\n}",
    ],
)
def test_everything_else_stays_as_it_is(template: str) -> None:
    assert FILLER.text(template) == template


def test_what_was_filled_in_is_not_filled_in_again() -> None:
    filler = Filler(index=1, count=2, task="{run}", run="{id}\\1")

    assert filler.text("{id} {run}") == "{run} {id}\\1"


def test_a_command_is_filled_in_word_by_word() -> None:
    assert FILLER.each(["sh", "-c", "echo {id} ${id}"]) == ("sh", "-c", "echo issue-12 ${id}")
    assert FILLER.each([]) == ()


def test_of_a_mapping_the_values_are_filled_in_and_the_names_stay() -> None:
    assert FILLER.mapping({"{id}": "{id}", "b": "x"}) == {"{id}": "issue-12", "b": "x"}


FIELD = re.compile(r"\{(index|count|id|run)\}")
pieces = st.sampled_from(["{", "}", "$", "{id", "{run}", "{{", "}}", "${", "print", "index", " "])


@given(st.text() | st.lists(pieces | st.text(max_size=3)).map("".join))
@example("awk '{print}'")
@example("{ id }{Id}{id\n}")
def test_a_text_without_a_field_is_never_touched(text: str) -> None:
    plain = FIELD.sub("", text)
    while FIELD.search(plain):
        plain = FIELD.sub("", plain)

    assert FILLER.text(plain) == plain


@given(
    st.sampled_from(NAMES),
    st.text(st.characters(exclude_characters="{}$")),
    st.text(st.characters(exclude_characters="{}$")),
)
def test_what_stands_around_a_field_is_never_touched(name: str, before: str, after: str) -> None:
    value = FILLER.text(f"{{{name}}}")

    assert FILLER.text(f"{before}{{{name}}}{after}") == f"{before}{value}{after}"
    assert FILLER.text(f"{before}${{{name}}}{after}") == f"{before}${{{name}}}{after}"
    assert FILLER.text(f"{before}{{{{{name}}}}}{after}") == f"{before}{{{name}}}{after}"
