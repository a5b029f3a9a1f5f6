"""Lists read as docker's and kubectl's do, for people and for scripts."""

import json

import pytest

from ravi_agent.errors import UsageError
from ravi_agent.launcher.show.listing import formatter, table

FIELDS = ("Task", "Email", "ExitCode")
RECORDS = [
    {"Task": "0000", "Email": "a@ravi.example", "ExitCode": "-"},
    {"Task": "login", "Email": "-", "ExitCode": "137"},
]


def test_a_table_is_as_wide_as_it_needs_to_be_and_has_no_lines() -> None:
    long = "androidx.test:runner:1.6.1 [bold]" + "x" * 200

    assert table(("task", "why"), [("0000", long), ("login", "")]) == (
        f"TASK    WHY\n0000    {long}\nlogin\n"
    )


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{.Task}}", "0000\nlogin\n"),
        ("{{ .Task }}={{.ExitCode}}", "0000=-\nlogin=137\n"),
        ("{{.Task}}\\t{{.Email}}", "0000\ta@ravi.example\nlogin\t-\n"),
        ("{{json .Email}}", '"a@ravi.example"\n"-"\n'),
        (
            "json",
            "".join(f"{json.dumps(one)}\n" for one in RECORDS),
        ),
        ("table {{.Task}}\\t{{.ExitCode}}", "TASK    EXIT CODE\n0000    -\nlogin   137\n"),
        (
            "table",
            table(("task", "email", "exit code"), [tuple(one.values()) for one in RECORDS]),
        ),
    ],
)
def test_a_format_is_dockers(template: str, text: str) -> None:
    assert formatter(template, FIELDS)(RECORDS) == text


@pytest.mark.parametrize("template", ["{{.Nope}}", "{{.Task", "{{upper .Task}}", "{{json .Nope}}"])
def test_a_format_that_nobody_can_fill_is_refused(template: str) -> None:
    with pytest.raises(UsageError) as caught:
        formatter(template, FIELDS)

    assert caught.value.fix == "--format '{{.Task}}'"
